import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { profileNamed, profiles, runFleet, steady, withFaults } from '../../../firmware-sim/index.ts'
import { RecordingBroker } from './recording-broker.ts'

let broker: RecordingBroker

beforeEach(async () => {
  broker = await RecordingBroker.start()
})
afterEach(() => broker.stop())

const profile = (name: string) => profileNamed(name)!

describe('a fleet on a real broker', () => {
  test('50 devices through a link drop: nothing acknowledged is missing, order is kept', async () => {
    const scenario = withFaults({ ...steady, reconnect: { minMs: 50, maxMs: 200 } }, { latencyMs: 5, jitterMs: 5 }, [
      { kind: 'drop', startMs: 800, durationMs: 400 },
    ])
    const ledger = await runFleet({
      url: broker.url,
      members: [
        { profile: profile('env'), count: 20 },
        { profile: profile('power'), count: 20 },
        { profile: profile('gps'), count: 10 },
      ],
      readingsPerSecond: 20,
      seed: 7,
      durationMs: 2_500,
      scenario,
      drainMs: 8_000,
    })
    await broker.settled()
    const totals = ledger.totals()
    const comparison = ledger.compare(broker.receipts)
    expect(comparison).toMatchObject({ isClean: true, examples: [] })
    expect(totals).toMatchObject({ inDoubt: 0, waiting: 0, refused: 0, lostByPolicy: 0 })
    expect(totals.made).toBeGreaterThan(1_500)
    expect(totals.acked).toBe(totals.made)
    // the drop was felt: something had to be sent again, flagged as MQTT demands
    expect(totals.resent).toBeGreaterThan(0)
    expect(broker.duplicatesFlagged).toBeGreaterThan(0)
    expect(broker.strangers).toEqual([])
  })

  test('every profile publishes what its own decoder accepts, QoS 0, 1 and 2', async () => {
    for (const qos of [0, 1, 2] as const) {
      const ledger = await runFleet({
        url: broker.url,
        members: profiles.map(each => ({ profile: each, count: 1 })),
        readingsPerSecond: 20,
        seed: 20 + qos,
        durationMs: 400,
        qos,
        site: `site-${qos}`,
      })
      await broker.settled()
      const totals = ledger.totals()
      expect(totals.made).toBeGreaterThan(20)
      expect(qos === 0 ? totals.inDoubt : totals.acked).toBe(totals.made)
      expect(ledger.compare(broker.receipts)).toMatchObject({ isClean: true, received: totals.made })
      expect(broker.strangers).toEqual([])
      broker.receipts.length = 0
    }
  })

  test('a full offline buffer loses by policy, counts it, and keeps what the policy says', async () => {
    const small = (name: string, dropPolicy: 'oldest' | 'newest') => {
      const base = profile(name)
      return { ...base, name: `${name}-${dropPolicy}`, firmware: { ...base.firmware, bufferReadings: 5, dropPolicy } }
    }
    const scenario = withFaults({ ...steady, reconnect: { minMs: 10, maxMs: 20 } }, {}, [
      { kind: 'drop', startMs: 0, durationMs: 600 },
    ])
    const members = [
      { profile: small('env', 'oldest'), count: 1 },
      { profile: small('soil', 'newest'), count: 1 },
    ]
    const ledger = await runFleet({
      url: broker.url,
      members,
      readingsPerSecond: 50,
      seed: 3,
      durationMs: 1_200,
      scenario,
    })
    await broker.settled()
    const oldest = ledger.device('env-oldest-00001')!
    const newest = ledger.device('soil-newest-00001')!
    expect(oldest.lost.size).toBeGreaterThan(5)
    expect(newest.lost.size).toBeGreaterThan(5)
    expect(oldest.lost.has(1)).toBe(true)
    expect(newest.lost.ranges()[0]?.[0]).toBe(6)
    for (const { made, acked, lost } of [oldest, newest]) expect(acked.size + lost.size).toBe(made)
    expect(ledger.compare(broker.receipts)).toMatchObject({ isClean: true })
  })

  test('a stalled link loses nothing, and the device goes on after it', async () => {
    const scenario = withFaults(steady, {}, [{ kind: 'stall', startMs: 300, durationMs: 500 }])
    const members = [{ profile: profile('env'), count: 5 }]
    const ledger = await runFleet({ url: broker.url, members, readingsPerSecond: 20, durationMs: 1_500, scenario })
    await broker.settled()
    expect(ledger.totals().acked).toBe(ledger.totals().made)
    expect(ledger.compare(broker.receipts)).toMatchObject({ isClean: true, permittedDuplicates: 0 })
  })

  test('a deep sleeper connects for each reading and loses none', async () => {
    const soil = profile('soil')
    const stop = new AbortController()
    const run = runFleet({
      url: broker.url,
      members: [{ profile: soil, count: 3 }],
      readingsPerSecond: 1 / 3,
      signal: stop.signal,
      onProgress: ({ ledger, connected }) => {
        const { acked, made } = ledger.totals()
        if (made > 3 && acked === made && connected === 0) stop.abort()
      },
    })
    const ledger = await run
    await broker.settled()
    expect(ledger.totals().made).toBeGreaterThan(3)
    expect(ledger.compare(broker.receipts)).toMatchObject({ isClean: true, missingAcked: 0 })
  })
})

test('without a gateway the devices say so once, keep trying, and stop when told', async () => {
  const notices: string[] = []
  const stop = new AbortController()
  const members = [{ profile: profile('env'), count: 3 }]
  const ledger = await runFleet({
    url: 'mqtt://127.0.0.1:1',
    members,
    readingsPerSecond: 50,
    signal: stop.signal,
    drainMs: 50,
    onNotice: text => notices.push(text),
    onProgress: () => stop.abort(),
  })
  expect(notices).toEqual(['no gateway at mqtt://127.0.0.1:1 (ECONNREFUSED); the devices keep trying with backoff'])
  expect(ledger.totals()).toMatchObject({ acked: 0, inDoubt: 0, waiting: ledger.totals().made })
})

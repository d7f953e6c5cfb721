import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { profileNamed, profiles, receiptOf, runFleet, steady, withFaults } from '../../../firmware-sim/index.ts'
import { RecordingBroker } from './recording-broker.ts'

const profile = (name: string) => profileNamed(name)!

describe('a fleet on a real broker', () => {
  let broker: RecordingBroker
  beforeEach(async () => {
    broker = await RecordingBroker.start()
  })
  afterEach(() => broker.stop())

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

  test('connections that break between publish and acknowledgement: sent again, permitted to be double', async () => {
    const scenario = withFaults({ ...steady, reconnect: { minMs: 10, maxMs: 50 } }, { latencyMs: 30 }, [
      { kind: 'drop', startMs: 300, durationMs: 50, everyMs: 400 },
    ])
    const members = [{ profile: profile('env'), count: 10 }]
    const ledger = await runFleet({ url: broker.url, members, readingsPerSecond: 20, durationMs: 1_600, scenario })
    await broker.settled()
    const comparison = ledger.compare(broker.receipts)
    expect(comparison).toMatchObject({ isClean: true, examples: [] })
    expect(comparison.permittedDuplicates).toBeGreaterThan(0)
    expect(ledger.totals().acked).toBe(ledger.totals().made)
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

describe('a fleet on a broker that misbehaves', () => {
  let broker: RecordingBroker
  afterEach(() => broker.stop())

  test('the canary: a broker that acknowledges and then loses one reading in a hundred is found out', async () => {
    let forwarded = 0
    broker = await RecordingBroker.start({
      authorizeForward: (_client, packet) => (++forwarded % 100 === 0 ? null : packet),
    })
    const members = [{ profile: profile('env'), count: 10 }]
    const ledger = await runFleet({ url: broker.url, members, readingsPerSecond: 50, seed: 4, durationMs: 600 })
    await broker.settled()
    const comparison = ledger.compare(broker.receipts)
    expect(comparison.isClean).toBe(false)
    expect(comparison.missingAcked).toBe(Math.floor(forwarded / 100))
    expect(comparison.missingAcked).toBeGreaterThan(0)
    expect(comparison.examples.length).toBeGreaterThan(0)
  })

  test('readings refused with a reason code are counted as refused, and the device goes on', async () => {
    let asked = 0
    broker = await RecordingBroker.start({
      authorizePublish: (_client, _packet, done) => done(++asked % 5 === 0 ? new Error('not this one') : null),
    })
    const members = [{ profile: profile('power'), count: 5 }]
    for (const qos of [1, 2] as const) {
      asked = 0
      broker.receipts.length = 0
      const ledger = await runFleet({ url: broker.url, members, readingsPerSecond: 50, durationMs: 500, qos })
      await broker.settled()
      const totals = ledger.totals()
      expect(totals.refused).toBe(Math.floor(asked / 5))
      expect(totals.refused).toBeGreaterThan(0)
      expect(totals.acked + totals.refused).toBe(totals.made)
      expect(ledger.compare(broker.receipts)).toMatchObject({ isClean: true, refusedReceived: 0 })
    }
  })
})

test('two runs with one seed, start and rate publish the same bytes', async () => {
  const payloads = async (): Promise<Map<string, string>> => {
    const seen = new Map<string, string>()
    const broker = await RecordingBroker.start({
      authorizePublish: (client, packet, done) => {
        const text = Buffer.from(packet.payload).toString('hex')
        seen.set(`${client?.id} ${receiptOf(packet.topic, Buffer.from(text, 'hex'))?.seq}`, text)
        done()
      },
    })
    const members = profiles.map(each => ({ profile: each, count: 2 }))
    const startMs = Date.UTC(2025, 5, 1)
    await runFleet({ url: broker.url, members, readingsPerSecond: 20, seed: 9, startMs, durationMs: 500 })
    await broker.stop()
    return seen
  }
  const [first, second] = [await payloads(), await payloads()]
  const common = [...first.keys()].filter(key => second.has(key))
  expect(common.length).toBeGreaterThan(60)
  for (const key of common) expect(second.get(key)).toBe(first.get(key))
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

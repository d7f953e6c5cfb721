import { beforeEach, expect, it } from 'vitest'
import { defaultSettings, type Settings } from '../../../src/config/settings.ts'
import { plainRule } from '../../../src/config/uplink-rules.ts'
import { openUplink } from '../../../src/open-uplink.ts'
import { sleep } from '../../../src/platform/clock.ts'
import { OffsetMapView } from '../../../src/state/offset-map.ts'
import { UplinkView } from '../../../src/state/uplink.ts'
import { emptyLedger } from '../../../src/uplink/ledger.ts'
import { endOf, offsetsIn } from '../../../src/uplink/track.ts'
import type { Uplink, UplinkParts } from '../../../src/uplink/uplink.ts'
import { uplinkSummary } from '../../../src/uplink/uplink-status.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { recordCountOf } from '../../../src/wire/kafka/record-batch.ts'
import { allRecords, decompressRecords } from '../../../src/wire/kafka/records.ts'
import { type MemoryBroker, openMemoryBroker } from '../../support/memory-broker.ts'
import { CentralCluster } from '../../support/sim/central-cluster.ts'
import { SimMachine } from '../../support/sim/machine.ts'
import { SimRandom } from '../../support/sim/random.ts'

const KiB = 1024
/** Some 1,100 bytes as it is sent. */
const value = Buffer.alloc(KiB, 'x')

let machine: SimMachine
let central: CentralCluster
let under: MemoryBroker
let uplink: Uplink
let uplinkView: UplinkView
let parts: Pick<UplinkParts, 'settings' | 'gatewayId' | 'incarnation' | 'clockQuality'>
let quality: 'synchronised' | 'unknown'

const start = async (settings: Partial<Settings>): Promise<void> => {
  const view = new UplinkView()
  const offsetMap = new OffsetMapView()
  uplinkView = view
  under = await openMemoryBroker({ clock: machine.clock, frontViews: [view, offsetMap] })
  const { broker, state } = under.open
  parts = {
    settings: {
      ...defaultSettings,
      'uplink.bootstrap.servers': central.bootstrap,
      'uplink.compression.type': 'none',
      'uplink.batch.size': KiB,
      'num.partitions': 1,
      ...settings,
    },
    gatewayId: 'g7',
    incarnation: 'now',
    clockQuality: () => quality,
  }
  uplink = openUplink({ ...parts, ...machine.platform, broker, state, view, offsetMap })!
}

const write = async (name: string, records: number, configs = new Map<string, string>()): Promise<void> => {
  const { topics } = under.open.broker
  const topic = topics.find(name) ?? topics.create({ name, partitions: 1, configs })
  for (let left = records; left > 0; left--)
    await under.open.broker.produce(topic, 0, encodeBatch([{ timestampMs: 1, key: null, value }]), { zstd: true })
}

const sent = (topic: string): number => uplink.upstreamThrough(topic, 0) ?? 0
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await sleep(machine.clock, 10)
}
/** So much of the log's life. */
const age = async (seconds: number): Promise<void> => {
  under.log.logAge += seconds
  await sleep(machine.clock, 60_000)
}
const summary = () => uplinkSummary(uplink, under.open.broker, machine.clock)
const holds = async () => (await summary()).holds.map(({ retentionClass, by }) => `${retentionClass}: ${by}`)
const during = (work: () => Promise<void>) => () => machine.clock.run(work())

beforeEach(() => {
  machine = new SimMachine(7)
  central = new CentralCluster(new SimRandom(8), 'tv2')
  central.attach(machine.clock, machine.network)
  quality = 'synchronised'
})

it(
  'a lower priority has what a higher one leaves, and topics of one priority advance together',
  during(async () => {
    await start({
      'uplink.rate.max': 4 * KiB,
      'uplink.rules': [
        { ...plainRule, topics: ['alarms'], priority: 'high' },
        { ...plainRule, topics: ['logs'], priority: 'low' },
      ],
    })
    const topics = ['logs', 'one', 'two', 'alarms']
    for (const topic of topics) await write(topic, 40)
    const seen: number[][] = []
    central.fate = () => {
      seen.push(topics.map(sent))
      return 'served'
    }
    uplink.start()
    await until(() => sent('logs') > 10)
    await write('alarms', 1)
    const logsThen = sent('logs')
    await until(() => sent('alarms') === 41)
    // what a round had loaded already goes first
    expect(sent('logs')).toBeLessThan(logsThen + 20)
    await until(() => sent('logs') === 40)
    for (const [logs, one, two, alarms] of seen as [number, number, number, number][]) {
      if (logs > 0) expect([one, two]).toEqual([40, 40])
      if (one + two > 0) expect(alarms).toBeGreaterThan(39)
      expect(Math.abs(one - two)).toBeLessThan(20)
    }
    expect(seen.some(([, one]) => one! > 0 && one! < 40)).toBe(true)
    expect((await summary()).partitions.map(({ topic, priority }) => `${topic} ${priority}`)).toEqual([
      'alarms high',
      'logs low',
      'one normal',
      'two normal',
    ])
    await uplink.stop()
  }),
)

it(
  'a topic that is refused keeps nothing of lower priority back',
  during(async () => {
    central.refusal = batch => (batch.includes('poison') ? 87 : 0)
    await start({ 'uplink.rules': [{ ...plainRule, topics: ['alarms'], priority: 'high' }] })
    await write('alarms', 0)
    const poison = encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from('poison') }])
    await under.open.broker.produce(under.open.broker.topics.get('alarms'), 0, poison, { zstd: true })
    await write('one', 5)
    uplink.start()
    await until(() => sent('one') === 5)
    expect(sent('alarms')).toBe(0)
    await uplink.stop()
  }),
)

it(
  'no more goes over the link than the cap allows, requests and positions included, and a new cap holds at once',
  during(async () => {
    const { network, clock } = machine
    let bytes = 0
    const connect = network.connect.bind(network)
    network.connect = async (...given) => {
      const connection = await connect(...given)
      const send = connection.write.bind(connection)
      connection.write = chunks => {
        bytes += chunks.reduce((sum, { length }) => sum + length, 0)
        return send(chunks)
      }
      return connection
    }
    await start({ 'uplink.rate.max': 2 * KiB })
    await write('one', 200)
    uplink.start()
    await until(() => uplink.state === 'connected' && sent('one') > 0)
    expect(await holds()).toEqual(['normal: uplink.rate.max (2KiB/s)'])
    const [fromMs, before, sentBefore] = [clock.nowMs, bytes, sent('one')]
    await until(() => clock.nowMs > fromMs + 60_000)
    const perSecond = (bytes - before) / 60
    // a round of 4 s may just have begun
    expect(perSecond).toBeLessThan(2 * KiB * (1 + 5 / 60))
    expect(sent('one')).toBeGreaterThan(sentBefore)
    expect(sent('one')).toBeLessThan(200)
    uplink.caps.change('uplink.rate.max', Number.POSITIVE_INFINITY)
    uplink.lanes.wake()
    const changedMs = clock.nowMs
    await until(() => sent('one') === 200)
    expect(clock.nowMs - changedMs).toBeLessThan(30_000)
    await uplink.stop()
  }),
)

it(
  'in a metered window only its classes go up, the others when it ends',
  during(async () => {
    const { clock } = machine
    const at = (hour: number, minute: number): void => {
      clock.wallOffsetMs = new Date(2026, 0, 5, hour, minute).getTime() - clock.nowMs
    }
    at(17, 50)
    const days = ['mon', 'tue'] as const
    await start({
      'uplink.metered': [
        { fromMinute: 480, toMinute: 1080, days, rate: Number.POSITIVE_INFINITY, classes: ['critical'] },
      ],
    })
    await write('alarms', 3, new Map([['retention.class', 'critical']]))
    await write('one', 3)
    uplink.start()
    await until(() => sent('alarms') === 3)
    expect(await holds()).toEqual(['normal: uplink.metered 08:00 to 18:00 mon,tue, until 18:00'])
    await sleep(clock, 9 * 60_000)
    expect(sent('one')).toBe(0)
    await until(() => sent('one') === 3)
    expect(new Date(clock.wallMs()).getHours()).toBe(18)
    expect(await holds()).toEqual([])
    // nobody vouches for the clock any more
    quality = 'unknown'
    await write('one', 1)
    await sleep(clock, 3_600_000 / 2)
    expect([sent('one'), await holds()]).toEqual([3, [expect.stringContaining('which holds at all times')]])
    await uplink.stop()
  }),
)

it(
  'what has outlived its ttl is not sent, and is on record before anything behind it goes up',
  during(async () => {
    await start({ 'uplink.rules': [{ ...plainRule, topics: ['gps'], ttlMs: 3_600_000 }] })
    await write('gps', 5)
    await write('kept', 5)
    await age(3_000)
    await write('gps', 3)
    await age(1_000)
    const view = { seen: [] as string[] }
    central.fate = api => {
      const left = [...uplink.leftOut()].map(({ first, last, reason }) => `${first}-${last} ${reason}`)
      if (api === 'Produce') view.seen.push(left.join())
      return 'served'
    }
    uplink.start()
    await until(() => sent('gps') === 8 && sent('kept') === 5 && central.transactions.unfinished === 0)
    expect(new Set(view.seen)).toEqual(new Set(['0-4 expired']))
    const [gps, kept] = (await summary()).partitions
    expect(gps).toMatchObject({ sentRecords: 3, expiredRecords: 5, thinnedRecords: 0 })
    expect(kept).toMatchObject({ sentRecords: 5, expiredRecords: 0 })
    expect(central.topics.get('gps')!.partitions[0]!.committed()).toHaveLength(3)
    expect(under.metrics.text()).toContain('brooklet_uplink_left_out_records_total{reason="expired"} 5')
    await uplink.stop()
  }),
)

it(
  'a batch that is refused goes with its ttl, and what stands behind it goes up',
  during(async () => {
    central.refusal = batch => (batch.includes('poison') ? 87 : 0)
    await start({ 'uplink.rules': [{ ...plainRule, topics: ['one'], ttlMs: 3_600_000 }] })
    const poison = encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from('poison') }])
    await write('one', 1)
    await under.open.broker.produce(under.open.broker.topics.get('one'), 0, poison, { zstd: true })
    uplink.start()
    await until(() => uplink.lanes.refused === 1)
    await age(3_000)
    await write('one', 1)
    expect(sent('one')).toBe(1)
    await age(2_000)
    await until(() => sent('one') === 3)
    expect([...uplink.leftOut()]).toMatchObject([{ first: 1, last: 1, reason: 'expired' }])
    expect(uplink.lanes.refused).toBe(0)
    await uplink.stop()
  }),
)

it(
  'what was skipped behind records that expired is not sent after a restart',
  during(async () => {
    central.refusal = batch => (batch.includes('poison') ? 87 : 0)
    await start({ 'uplink.rules': [{ ...plainRule, topics: ['one'], ttlMs: 3_600_000 }] })
    await write('one', 1)
    await age(4_000)
    const poison = encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from('poison') }])
    await under.open.broker.produce(under.open.broker.topics.get('one'), 0, poison, { zstd: true })
    uplink.start()
    await until(() => uplink.lanes.find('one', 0)?.trouble?.batch !== undefined)
    expect(await uplink.skip({ topic: 'one', partition: 0, first: 1, last: 1 })).toBeUndefined()
    await uplink.stop()
    central.refusal = () => 0
    const view = new UplinkView()
    const offsetMap = new OffsetMapView()
    under = await openMemoryBroker({ clock: machine.clock, frontViews: [view, offsetMap], log: under.log })
    const { broker, state } = under.open
    uplink = openUplink({ ...parts, ...machine.platform, broker, state, view, offsetMap })!
    expect(uplink.lanes.find('one', 0)?.track).toEqual({ next: 0, ahead: [{ first: 1, last: 1 }] })
    uplink.start()
    await write('one', 1)
    await until(() => sent('one') === 3)
    expect(uplink.lanes.find('one', 0)?.ledger).toMatchObject({ records: 1, unsent: { expired: 1, skipped: 1 } })
    await uplink.stop()
  }),
)

const numbered = async (name: string, from: number, to: number): Promise<void> => {
  const { broker } = under.open
  const topic = broker.topics.find(name) ?? broker.topics.create({ name, partitions: 1 })
  for (let index = from; index < to; index++) {
    const text = Buffer.from(String(index).padEnd(KiB))
    await broker.produce(topic, 0, encodeBatch([{ timestampMs: 1, key: null, value: text }]), { zstd: true })
  }
}
/** Numbers of the records upstream, in the order in which they stand there. */
const arrived = async (topic: string): Promise<number[]> => {
  const batches = central.topics.get(topic)?.partitions[0]?.committed() ?? []
  const records = await Promise.all(batches.map(async batch => allRecords(await decompressRecords(batch, 1 << 20))))
  return records.flat().map(({ value: text }) => Number(String(text)))
}

it(
  'newest-first: what came last goes up first, new records at once, and the backlog fills up beside them, each record once',
  during(async () => {
    await start({
      'uplink.rate.max': 8 * KiB,
      'uplink.rules': [{ ...plainRule, topics: ['live'], order: 'newest-first' }],
    })
    await numbered('live', 0, 300)
    uplink.start()
    const lane = () => uplink.lanes.find('live', 0)!
    await until(() => lane().track.ahead.length > 0)
    // the markers of its transaction
    await sleep(machine.clock, 500)
    const first = await arrived('live')
    expect(first[0]).toBeGreaterThan(250)
    expect(Math.max(...first)).toBe(299)
    await until(() => lane().next > 20)
    await numbered('live', 300, 303)
    const nextThen = lane().next
    await until(() => endOf(lane().track) === 303)
    expect(lane().next).toBeLessThan(nextThen + 60)
    expect((await summary()).partitions[0]).toMatchObject({ lagRecords: 303 - offsetsIn(lane().track) })
    // a restart knows both places
    await uplink.stop()
    const view = new UplinkView()
    const offsetMap = new OffsetMapView()
    under = await openMemoryBroker({ clock: machine.clock, frontViews: [view, offsetMap], log: under.log })
    const { broker, state } = under.open
    uplink = openUplink({ ...parts, ...machine.platform, broker, state, view, offsetMap })!
    uplink.start()
    await until(() => sent('live') === 303)
    await sleep(machine.clock, 500)
    const all = await arrived('live')
    expect(all.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 303 }, (_, index) => index))
    expect(lane().ledger.records).toBe(303)
    await uplink.stop()
  }),
)

it(
  'a backlog is thinned by key up to its last records, and what is left out is counted and on record',
  during(async () => {
    await start({
      'uplink.rate.max': 16 * KiB,
      'uplink.rules': [{ ...plainRule, topics: ['many'], thin: { oneOf: 5, lag: 20 } }],
    })
    const { broker } = under.open
    const topic = broker.topics.create({ name: 'many', partitions: 1 })
    for (let index = 0; index < 220; index++) {
      const record = {
        timestampMs: 1,
        key: Buffer.from(`k${index % 4}`),
        value: Buffer.from(String(index).padEnd(KiB)),
      }
      await broker.produce(topic, 0, encodeBatch([record]), { zstd: true })
    }
    uplink.start()
    await until(() => sent('many') === 220)
    await sleep(machine.clock, 500)
    const all = await arrived('many')
    // of each key one of five of the first 200, and all of the last 20
    expect(all.slice(0, 5)).toEqual([0, 1, 2, 3, 20])
    expect(all).toHaveLength(40 + 20)
    expect(all.slice(-20)).toEqual(Array.from({ length: 20 }, (_, index) => 200 + index))
    const [row] = (await summary()).partitions
    expect(row).toMatchObject({ sentRecords: 60, thinnedRecords: 160, expiredRecords: 0, lagRecords: 0 })
    expect([...uplink.leftOut()].map(({ first, last, records, reason }) => ({ first, last, records, reason }))).toEqual(
      [{ first: 0, last: 199, records: 160, reason: 'thinned' }],
    )
    expect(under.metrics.text()).toContain('brooklet_uplink_left_out_records_total{reason="thinned"} 160')
    await uplink.stop()
  }),
)

it(
  'what is thinned behind a hole that nothing was left out of is on record, too',
  during(async () => {
    await start({ 'uplink.rules': [{ ...plainRule, topics: ['many'], thin: { oneOf: 5, lag: 20 } }] })
    central.createTopic('many', 1)
    await write('one', 1)
    uplink.start()
    await until(() => sent('one') === 1)
    await uplink.pause()
    await sleep(machine.clock, 60_000)
    await write('many', 100)
    const { broker, state } = under.open
    const { id: topicId } = broker.topics.get('many')
    const ahead = [{ first: 1, last: 9 }]
    const position = { ...emptyLedger, topicId, last: -1, ahead, unsent: { skipped: 9 }, starts: [] }
    state.write([uplinkView.putPosition('many', 0, position)])
    await uplink.resume()
    await until(() => sent('many') === 100)
    const { unsent } = uplink.lanes.find('many', 0)!.ledger
    const records = [...uplink.leftOut()].reduce((sum, span) => sum + span.records, 0)
    expect([unsent, records]).toEqual([{ skipped: 9, thinned: 56 }, 56])
    await uplink.stop()
  }),
)

it(
  'no round carries so many partitions that their positions would not fit in a batch, and all have their turn',
  during(async () => {
    await start({ 'uplink.rename': { text: 'all', parts: [{ literal: 'all' }] } })
    const { broker, state } = under.open
    const topics = Array.from({ length: 700 }, (_, index) => `topic-${index}`)
    const span = { first: 0, last: 9, records: 1 }
    const central50 = Object.fromEntries(Array.from({ length: 50 }, (_, partition) => [partition, span]))
    for (const topic of topics) {
      await write(topic, 1)
      const { id: topicId } = broker.topics.get(topic)
      const position = { ...emptyLedger, topicId, last: -1, central: central50, starts: [] }
      state.write([uplinkView.putPosition(topic, 0, position)])
    }
    uplink.lanes.restart()
    uplink.start()
    await until(() => topics.every(topic => sent(topic) === 1))
    await sleep(machine.clock, 500)
    const positions = central.topics.get('__brooklet_positions')!.partitions.flatMap(one => one.committed())
    const counts = positions.map(batch => recordCountOf(batch))
    expect(Math.max(...counts)).toBeLessThan(400)
    expect(counts.reduce((sum, count) => sum + count)).toBe(700)
    await uplink.stop()
  }),
)

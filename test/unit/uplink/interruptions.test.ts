import { beforeEach, expect, it } from 'vitest'
import { defaultSettings, type Settings } from '../../../src/config/settings.ts'
import { plainRule } from '../../../src/config/uplink-rules.ts'
import { openUplink } from '../../../src/open-uplink.ts'
import { sleep } from '../../../src/platform/clock.ts'
import { OffsetMapView } from '../../../src/state/offset-map.ts'
import { UplinkView } from '../../../src/state/uplink.ts'
import type { Uplink } from '../../../src/uplink/uplink.ts'
import { compressBatch, encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { allRecords, decompressRecords } from '../../../src/wire/kafka/records.ts'
import { type MemoryBroker, openMemoryBroker } from '../../support/memory-broker.ts'
import { CentralCluster } from '../../support/sim/central-cluster.ts'
import { SimMachine } from '../../support/sim/machine.ts'
import { SimRandom } from '../../support/sim/random.ts'

const KiB = 1024

let machine: SimMachine
let central: CentralCluster
let under: MemoryBroker
let uplink: Uplink

const start = async (settings: Partial<Settings>): Promise<void> => {
  const view = new UplinkView()
  const offsetMap = new OffsetMapView()
  under = await openMemoryBroker({ clock: machine.clock, frontViews: [view, offsetMap] })
  const { broker, state } = under.open
  uplink = openUplink({
    ...machine.platform,
    ...{ broker, state, view, offsetMap },
    settings: {
      ...defaultSettings,
      'uplink.bootstrap.servers': central.bootstrap,
      'uplink.compression.type': 'none',
      'uplink.batch.size': KiB,
      ...settings,
    },
    gatewayId: 'g7',
    incarnation: 'now',
    clockQuality: () => 'synchronised',
  })!
}

/** Records of 1 KiB, one for each key. */
const write = async (keys: readonly string[]): Promise<void> => {
  const { broker } = under.open
  const topic = broker.topics.find('t') ?? broker.topics.create({ name: 't', partitions: 1 })
  for (const key of keys) {
    const record = { timestampMs: 1, key: Buffer.from(key), value: Buffer.alloc(KiB, 'x') }
    await broker.produce(topic, 0, encodeBatch([record]), { zstd: true })
  }
}

const sent = (): number => uplink.upstreamThrough('t', 0) ?? 0
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await sleep(machine.clock, 10)
}
const during = (work: () => Promise<void>) => () => machine.clock.run(work())
/** Keys upstream, in their order. */
const arrived = async (): Promise<string[]> => {
  // the markers of the last transaction
  await sleep(machine.clock, 500)
  const batches = central.topics.get('t')!.partitions[0]!.committed()
  const records = await Promise.all(batches.map(async batch => allRecords(await decompressRecords(batch, 1 << 20))))
  return records.flat().map(({ key }) => String(key))
}

beforeEach(async () => {
  // its first use takes real time, in which the virtual one runs
  await compressBatch(encodeBatch([{ timestampMs: 1, key: null, value: Buffer.alloc(KiB) }]), 'zstd')
  machine = new SimMachine(7)
  central = new CentralCluster(new SimRandom(8), 'tv2')
  central.attach(machine.clock, machine.network)
})

it(
  'sessions that fail for long leave no debt under a cap that was kept',
  during(async () => {
    const { clock } = machine
    await start({ 'uplink.rate.max': 256, 'uplink.retry.backoff.max.ms': 4_000 })
    await write(['a'])
    central.fate = api => (api === 'InitProducerId' ? 'cut' : 'served')
    uplink.start()
    await sleep(clock, 2_000_000)
    let produced = 0
    central.fate = api => {
      if (api === 'Produce') produced++
      return 'served'
    }
    await until(() => sent() === 1)
    const [sentMs, before] = [clock.nowMs, produced]
    await write(['b'])
    await until(() => produced > before)
    // what the first round has cost
    expect(clock.nowMs - sentMs).toBeLessThan(30_000)
    await uplink.stop()
  }),
)

it(
  'what the first round of a backlog was to keep of each key is kept when the round failed',
  during(async () => {
    await start({ 'uplink.rules': [{ ...plainRule, topics: ['t'], thin: { oneOf: 10, lag: 2 } }] })
    await write(['a', 'b', 'a', 'c', 'b', 'a', 'last', 'last'])
    let ends = 0
    central.fate = api => (api === 'EndTxn' && ends++ < 3 ? 'cut' : 'served')
    uplink.start()
    await until(() => sent() === 8)
    expect(await arrived()).toEqual(['a', 'b', 'c', 'last', 'last'])
    await uplink.stop()
  }),
)

it.each([errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER, errorCodes.INVALID_TXN_STATE, errorCodes.TRANSACTION_ABORTABLE])(
  'error %i is of the producer and its transaction: no partition is held up by it',
  code =>
    during(async () => {
      let refusals = 0
      central.refusal = (_batch, topic) => (topic === 't' && refusals++ === 0 ? code : 0)
      await start({})
      await write(['a', 'b'])
      uplink.start()
      await until(() => sent() === 2 || uplink.lanes.refused > 0)
      expect([refusals > 1, uplink.lanes.refused]).toEqual([true, 0])
      await uplink.stop()
    })(),
)

it(
  'a time that the central cluster does not take stops its partition, and it is said what helps',
  during(async () => {
    central.refusal = (_batch, topic) => (topic === 't' ? errorCodes.INVALID_TIMESTAMP : 0)
    await start({})
    await write(['a'])
    uplink.start()
    await until(() => uplink.lanes.refused > 0)
    expect(uplink.lanes.find('t', 0)!.trouble!.reason).toMatch(
      /INVALID_TIMESTAMP.*; raise message\.timestamp\.after\.max\.ms of topic t upstream, or set .*LogAppendTime/,
    )
    await uplink.stop()
  }),
)

it(
  'so it is where an older topic of positions does not take it',
  during(async () => {
    const positions = defaultSettings['uplink.positions.topic']
    central.refusal = (_batch, topic) => (topic === positions ? errorCodes.INVALID_TIMESTAMP : 0)
    await start({})
    await write(['a'])
    uplink.start()
    await until(() => uplink.state === 'stopped')
    expect(uplink.lastError).toMatch(
      new RegExp(
        `; raise .* of topic ${positions} upstream, or set .*LogAppendTime: without positions nothing goes up`,
      ),
    )
    await uplink.stop()
  }),
)

import { beforeEach, expect, it } from 'vitest'
import { defaultSettings } from '../../../src/config/settings.ts'
import { openUplink } from '../../../src/open-uplink.ts'
import { sleep } from '../../../src/platform/clock.ts'
import { OffsetMapView } from '../../../src/state/offset-map.ts'
import { UplinkView } from '../../../src/state/uplink.ts'
import type { Uplink } from '../../../src/uplink/uplink.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { type MemoryBroker, openMemoryBroker } from '../../support/memory-broker.ts'
import { CentralCluster } from '../../support/sim/central-cluster.ts'
import { SimMachine } from '../../support/sim/machine.ts'
import { SimRandom } from '../../support/sim/random.ts'

const positions = '__brooklet_positions'

let machine: SimMachine
let central: CentralCluster
let under: MemoryBroker
let uplink: Uplink

beforeEach(() => {
  machine = new SimMachine(7)
  central = new CentralCluster(new SimRandom(8), 'tv2')
  central.attach(machine.clock, machine.network)
  under = undefined as unknown as MemoryBroker
})

const start = async (): Promise<void> => {
  const { platform, clock } = machine
  const view = new UplinkView()
  const offsetMap = new OffsetMapView()
  const log = under?.log
  under = await openMemoryBroker({ clock, frontViews: [view, offsetMap], ...(log === undefined ? {} : { log }) })
  const { broker, state } = under.open
  const settings = { ...defaultSettings, 'uplink.bootstrap.servers': central.bootstrap }
  const parts = {
    ...platform,
    broker,
    state,
    view,
    offsetMap,
    settings,
    logger: under.logger,
    clockQuality: () => 'unknown' as const,
  }
  uplink = openUplink({ ...parts, gatewayId: 'g7', incarnation: 'now' })!
  uplink.start()
}

const write = async (): Promise<void> => {
  const { broker } = under.open
  const topic = broker.topics.find('t') ?? broker.topics.create({ name: 't', partitions: 1 })
  await broker.produce(topic, 0, encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from('x') }]), { zstd: true })
}
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await sleep(machine.clock, 10)
}
const during = (work: () => Promise<void>) => () => machine.clock.run(work())

it(
  'positions stay in their partition when the topic gets more of them, and the log says so',
  during(async () => {
    await start()
    await write()
    await until(() => uplink.upstreamThrough('t', 0) === 1)
    await uplink.stop()
    const used = central.topics.get(positions)!.partitions.findIndex(({ end }) => end > 0)
    central.addPartitions(positions, 64)
    await start()
    await write()
    await until(() => uplink.upstreamThrough('t', 0) === 2)
    expect(central.topics.get(positions)!.partitions.flatMap(({ end }, index) => (end > 0 ? [index] : []))).toEqual([
      used,
    ])
    expect(under.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', fields: { topic: positions, partition: used } }),
    )
    const [audited] = (await uplink.audit()).partitions.values()
    expect(audited).toMatchObject({ unexplained: [], uplink: { sent: 2, acknowledged: 2 } })
    await uplink.stop()
  }),
)

it(
  'a cluster that refuses positions stops the uplink, which names the right that is missing',
  during(async () => {
    central.refusal = (_batch, topic) => (topic === positions ? errorCodes.TOPIC_AUTHORIZATION_FAILED : 0)
    await start()
    await write()
    await until(() => uplink.state === 'stopped')
    expect(uplink.lastError).toContain(`allow WRITE on topic ${positions}`)
    central.refusal = () => 0
    await until(() => uplink.upstreamThrough('t', 0) === 1)
    await uplink.stop()
  }),
)

it(
  'whoever is fenced in the middle of a round begins a new session at once: no partition is to blame',
  during(async () => {
    let refusals = 0
    central.refusal = (_batch, topic) => {
      if (topic !== 't' || refusals > 0) return 0
      refusals++
      return errorCodes.INVALID_PRODUCER_EPOCH
    }
    await start()
    await write()
    await until(() => uplink.state === 'waiting')
    expect([refusals, uplink.lanes.find('t', 0)?.trouble]).toEqual([1, undefined])
    await until(() => uplink.upstreamThrough('t', 0) === 1)
    await uplink.stop()
  }),
)

it(
  'positions go up whatever the wall clock says: brokers refuse stamps of their future, but stamp those of this topic themselves',
  during(async () => {
    machine.clock.wallOffsetMs += 10 * 365 * 86_400_000
    central.refusal = (_batch, topic) => {
      const isStampedHere = central.topics.get(topic)?.configs.get('message.timestamp.type') !== 'LogAppendTime'
      return topic === positions && isStampedHere ? errorCodes.INVALID_TIMESTAMP : 0
    }
    await start()
    await write()
    await until(() => uplink.upstreamThrough('t', 0) === 1 || uplink.state === 'stopped')
    expect(uplink.state).toBe('connected')
    await uplink.stop()
  }),
)

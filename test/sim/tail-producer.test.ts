import { beforeEach, expect, it } from 'vitest'
import type { Broker } from '../../src/broker/broker.ts'
import { Cluster, type TopicMetadata } from '../../src/client/cluster.ts'
import { Metrics } from '../../src/core/metrics.ts'
import { sleep } from '../../src/platform/clock.ts'
import type { StateLog } from '../../src/state/state-log.ts'
import { UplinkView } from '../../src/state/uplink.ts'
import type { StateChange } from '../../src/state/view.ts'
import type { Lane } from '../../src/uplink/lane.ts'
import type { Lanes } from '../../src/uplink/lanes.ts'
import { originHeaders } from '../../src/uplink/origin-headers.ts'
import { outgoingBatches } from '../../src/uplink/outgoing-batches.ts'
import { TailProducer } from '../../src/uplink/tail-producer.ts'
import { Tails } from '../../src/uplink/tails.ts'
import { encodeBatch } from '../../src/wire/kafka/batch-encoding.ts'
import { errorCodes } from '../../src/wire/kafka/error-codes.ts'
import { silentLogger } from '../support/silent-logger.ts'
import { CentralCluster } from '../support/sim/central-cluster.ts'
import { SimMachine } from '../support/sim/machine.ts'
import { SimRandom } from '../support/sim/random.ts'

// the one moment that seeds do not meet: a late batch comes in after its partition was read and before the next one is sent

const logId = 'a'.repeat(32)
const topicId = 'b'.repeat(32)
const incarnation = 'c'.repeat(16)
const target = { topic: 'all', partition: 0 }

/** Two topics here that go to one upstream. */
const lanes = ['one', 'two'].map(topic => ({ topic, partition: 0, topicId, next: 0 }) as Lane)

let machine: SimMachine
let central: CentralCluster
let cluster: Cluster
let metadata: TopicMetadata
let tails: Tails
let view: UplinkView

beforeEach(async () => {
  machine = new SimMachine(1)
  central = new CentralCluster(new SimRandom(2), 'tv2')
  central.attach(machine.clock, machine.network)
  central.createTopic('all', 1)
  cluster = new Cluster(machine.network, machine.clock, {
    bootstrap: central.bootstrap,
    clientId: 'test',
    connectTimeoutMs: 1_000,
    requestTimeoutMs: 1_000,
    softwareVersion: '1',
  })
  view = new UplinkView()
  tails = tailsOf()
  metadata = await machine.clock.run(cluster.topic('all'))
})

/** What a start of the gateway knows: what the log has, and nothing else. */
const tailsOf = (): Tails => {
  const state = {
    write: (changes: readonly StateChange[]) => {
      for (const { key, value } of changes) view.apply(key, value)
    },
    durable: async () => undefined,
  } as unknown as StateLog
  const found = { find: (topic: string) => lanes.find(lane => lane.topic === topic) } as unknown as Lanes
  const broker = { logId, metrics: new Metrics() } as unknown as Broker
  return new Tails({ broker, state, view, cluster, lanes: found, logger: silentLogger })
}

const session = async (): Promise<TailProducer> => {
  cluster.forgetAll()
  await tails.open('sends', 'd'.repeat(32))
  await tails.ready(metadata, [0])
  return new TailProducer(cluster, tails, 1_000)
}

/** Records of the lane from offset 0 on, as they go up. */
const batchOf = async (lane: Lane, count: number) => {
  const records = Array.from({ length: count }, (_, index) => ({
    timestampMs: 1,
    key: null,
    value: Buffer.from(`${lane.topic} ${index}`),
  }))
  const { batches } = await outgoingBatches([encodeBatch(records)], 0, {
    end: count,
    thinning: undefined,
    partition: 0,
    partitions: 1,
    targetPartitions: 1,
    addHeaders: originHeaders({ gateway: 'g', logId, incarnation, topic: lane.topic, topicId, partition: 0 }),
    present: new Map(),
    compression: 'none',
    batchBytes: 10_000,
    mostStoredBytes: 10_000,
    limitBytes: 10_000,
    afterIo: async () => undefined,
  })
  return { ...target, batch: batches[0]!.batch }
}

/** A batch that is sent, and of which nobody knows what became. */
const leftUnderWay = async (lane: Lane): Promise<Buffer> => {
  const producer = await session()
  const sent = await batchOf(lane, 3)
  central.fate = api => (api === 'Produce' ? 'cut' : 'served')
  await expect(producer.send([sent])).rejects.toThrow('connection')
  central.fate = () => 'served'
  return sent.batch
}

const run = (work: () => Promise<void>): Promise<void> => machine.clock.run(work())

it('a late batch of the same sequences, but with other records, does not pass for the one that is sent', () =>
  run(async () => {
    const [one, two] = lanes as [Lane, Lane]
    const late = await leftUnderWay(one)
    const producer = await session()
    central.partition('all', 0)!.append(late)
    await expect(producer.send([await batchOf(two, 3)])).rejects.toThrow("took an earlier session's batch")
    const next = await session()
    expect([...tails.present(one, metadata, [0])]).toEqual([0, 1, 2].map(at => [at, { partition: 0, offset: at }]))
    expect(tails.present(two, metadata, [0]).size).toBe(0)
    expect(await next.send([await batchOf(two, 3)])).toEqual([3])
  }))

it('a late batch of another length makes the one that is sent fail, and is found by the next session', () =>
  run(async () => {
    const [one, two] = lanes as [Lane, Lane]
    const late = await leftUnderWay(one)
    const producer = await session()
    central.partition('all', 0)!.append(late)
    await expect(producer.send([await batchOf(two, 2)])).rejects.toThrow('took in what an earlier session had left')
    await session()
    expect(tails.present(one, metadata, [0]).size).toBe(3)
  }))

it('a batch that comes later than the one behind it is refused, also after a crash of the gateway', () =>
  run(async () => {
    const [one, two] = lanes as [Lane, Lane]
    const late = await leftUnderWay(one)
    tails = tailsOf()
    const producer = await session()
    expect(await producer.send([await batchOf(two, 2)])).toEqual([0])
    expect(central.partition('all', 0)!.append(late).errorCode).toBe(errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER)
  }))

it('two batches of a partition are not under way at once', () =>
  run(async () => {
    const producer = await session()
    const [first, second] = await Promise.all([batchOf(lanes[0]!, 3), batchOf(lanes[1]!, 2)])
    central.fate = api => (api === 'Produce' ? 'cut' : 'served')
    const sent = await Promise.allSettled([producer.send([first]), producer.send([second])])
    expect(sent.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(String((sent[1] as PromiseRejectedResult).reason)).toContain('the session has ended')
  }))

it('in a topic that was made anew what is in doubt is found after a crash, too', () =>
  run(async () => {
    const [one] = lanes as [Lane]
    const producer = await session()
    expect(await producer.send([await batchOf(one, 3)])).toEqual([0])
    tails.positioned()
    central.createTopic('another', 1)
    central.topics.delete('all')
    central.createTopic('all', 1)
    await sleep(machine.clock, 1_000)
    cluster.forgetAll()
    metadata = await cluster.topic('all')
    const next = await session()
    const lost = await batchOf(one, 2)
    central.fate = api => (api === 'Produce' ? 'cutAfter' : 'served')
    await expect(next.send([lost])).rejects.toThrow('connection')
    central.fate = () => 'served'
    tails = tailsOf()
    await session()
    expect([...tails.present(one, metadata, [0]).keys()]).toEqual([0, 1])
  }))

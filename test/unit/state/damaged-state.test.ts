import { beforeAll, describe, expect, it } from 'vitest'
import { openBroker } from '../../../src/broker/open-broker.ts'
import { defaultSettings, settingKeys } from '../../../src/config/settings.ts'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import { sleep } from '../../../src/platform/clock.ts'
import { DownlinkView } from '../../../src/state/downlink.ts'
import { internalPartitions } from '../../../src/state/internal-partitions.ts'
import { MqttInflightView } from '../../../src/state/mqtt-inflight.ts'
import { MqttOutboundView } from '../../../src/state/mqtt-outbound.ts'
import { MqttSessionsView } from '../../../src/state/mqtt-sessions.ts'
import { MqttSharesView } from '../../../src/state/mqtt-shares.ts'
import { MqttWillsView } from '../../../src/state/mqtt-wills.ts'
import { OffsetMapView } from '../../../src/state/offset-map.ts'
import { RetainedView } from '../../../src/state/retained.ts'
import { SparkplugView } from '../../../src/state/sparkplug.ts'
import { UplinkView } from '../../../src/state/uplink.ts'
import { frameBatchBytes, frameHeaderBytes, frameMagic, framePartition } from '../../../src/storage/frame.ts'
import { logControlPartition } from '../../../src/storage/log.ts'
import { openCommitLog } from '../../../src/storage/open-commit-log.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { contentOf } from '../../support/golden/golden-log.ts'
import { tinyLog } from '../../support/sim/log-run.ts'
import { SimMachine } from '../../support/sim/machine.ts'
import { reportHistory } from '../../support/sim/report.ts'

// a bit is flipped in the records of state: what the views know of it is the survivor, and is written again

const KiB = 1024
const directory = '/data'

const positionAt = (topicId: string, last: number) => ({
  topicId,
  last,
  ...{ records: last + 1, unsent: {}, target: 'kept', targetId: topicId, central: {} },
  ...{ elsewhere: { renamed: 0, remade: 0 }, starts: [{ incarnation: `start ${last}`, from: 0 }] },
})

const openGateway = async (machine: SimMachine) => {
  const { platform } = machine
  await platform.files.makeDirectory(directory)
  const store = await platform.openCheckpointStore(`${directory}/views`, 1024 * KiB)
  const metrics = new Metrics()
  const memory = new MemoryBudget(64 * 1024 * KiB)
  const sizes = { budgetBytes: 16 * 64 * KiB, slotBytes: 64 * KiB }
  const log = await openCommitLog({ ...platform, checkpoints: store }, tinyLog({ ...sizes, memory, metrics }))
  const loaded = { settings: defaultSettings, origins: new Map(settingKeys.map(key => [key, 'default' as const])) }
  const retained = new RetainedView()
  const inflight = new MqttInflightView()
  const sessions = new MqttSessionsView()
  const outbound = new MqttOutboundView()
  const shares = new MqttSharesView()
  const uplink = new UplinkView()
  const downlink = new DownlinkView()
  const offsetMap = new OffsetMapView()
  const wills = new MqttWillsView()
  const sparkplug = new SparkplugView()
  const open = await openBroker({
    platform,
    loaded,
    log,
    store,
    memory,
    metrics,
    frontViews: [retained, inflight, sessions, outbound, shares, wills, sparkplug, uplink, downlink, offsetMap],
  })
  const close = async (): Promise<void> => {
    await open.state.checkpointAll()
    open.stop()
    await log.close()
  }
  const views = { retained, inflight, sessions, outbound, shares, wills, sparkplug, uplink, downlink, offsetMap }
  return { ...open, log, metrics, ...views, close }
}

type OpenGateway = Awaited<ReturnType<typeof openGateway>>

const produce = async ({ broker }: OpenGateway, topic: string, batch: Buffer): Promise<number> => {
  const { baseOffset, group } = await broker.produce(broker.topics.get(topic), 0, batch, { zstd: true })
  if (group !== undefined) await broker.whenDurable(group)
  return baseOffset
}

const batchOf = (value: string, producerId = -1, baseSequence = 0): Buffer =>
  encodeBatch(
    [{ timestampMs: 1, key: null, value: Buffer.from(value) }],
    producerId < 0 ? {} : { producer: { producerId, producerEpoch: 0, baseSequence } },
  )

/** Some of every kind of state, each change in a batch of its own, over two starts and a few slots. */
const fill = async (machine: SimMachine): Promise<{ producerId: number }> => {
  const first = await openGateway(machine)
  const { topics } = first.broker
  topics.create({ name: 'kept', partitions: 2, configs: new Map([['retention.ms', '86400000']]) })
  topics.create({ name: 'gone', partitions: 1 })
  topics.create({ name: 'filler', partitions: 1 })
  await topics.durable()
  await produce(first, 'gone', batchOf('gone'))
  for (let index = 0; index < 12; index++) await produce(first, 'kept', batchOf(`value ${index}`))
  const producerId = await first.broker.newProducerId()
  for (let sequence = 0; sequence < 3; sequence++) await produce(first, 'kept', batchOf('once', producerId, sequence))
  const identity = { groupId: 'billing', memberId: '', groupInstanceId: null, generation: -1 }
  for (const offset of [3, 5, 7]) {
    const committed = { topic: 'kept', partition: 0, offset, leaderEpoch: 0, metadata: `at ${offset}` }
    await first.groups.commit({ ...identity, offsets: [committed] })
  }
  const limits = { count: 10, bytes: 1000 }
  for (const topic of ['lamp', 'door', 'pump']) {
    const change = first.retained.put(topic, { payload: Buffer.from(`${topic} on`), qos: 1 }, limits)
    await first.broker.whenDurable(first.state.write([change!]))
  }
  await first.broker.whenDurable(first.state.write([first.retained.remove('door'), first.inflight.hold('sensor', 7)]))
  const { sessions } = first
  for (const offset of [3, 9]) {
    const position = sessions.putPosition('display', topics.get('kept').partitions[0]!, offset)
    await first.broker.whenDurable(first.state.write([position]))
  }
  const session = sessions.put('display', { expiryMs: null, subscriptions: [] })
  await first.broker.whenDurable(first.state.write([session]))
  for (const number of [0, 1]) {
    const ids = { own: [[number + 1, 100, number]], other: [], received: [], shared: [] } as const
    const window = first.outbound.put('display', number, ids)
    await first.broker.whenDurable(first.state.write([window]))
  }
  for (const next of [5, 9]) {
    const position = first.shares.put('$share/g/kept', topics.get('kept').partitions[0]!, { next, pending: [[1, 3]] })
    await first.broker.whenDurable(first.state.write([position!]))
  }
  const { uplink } = first
  for (const last of [4, 8]) {
    const position = uplink.putPosition('kept', 0, positionAt(topics.get('kept').id, last))
    await first.broker.whenDurable(
      first.state.write([position, uplink.putStart({ incarnation: `start ${last}`, epoch: 1, mayHaveSent: true })]),
    )
  }
  for (const next of [7, 9]) {
    const counts = { taken: next, expired: 0, refused: 0, lost: 0 }
    const read = first.downlink.putPosition('orders', 0, { topicId: 'a', next, ...counts })
    await first.broker.whenDurable(first.state.write([read]))
  }
  for (const next of [7, 9]) {
    const target = { topicId: topics.get('kept').id, target: 'kept', targetId: 'b' }
    const map = { ...target, first: { 0: 3 }, syncs: [{ next, central: { 0: next + 3 }, run: null }] }
    await first.broker.whenDurable(first.state.write([first.offsetMap.put('kept', 0, map)]))
  }
  for (const topic of ['lost', 'gone']) {
    const will = { topic, payload: Buffer.from('!'), qos: 1, retain: true, properties: Buffer.of(1, 1) } as const
    const change = first.wills.put('display', { ...will, delayMs: 5, silenceMs: 90_000, dueLogAge: null })
    await first.broker.whenDurable(first.state.write([change!]))
  }
  for (const birth of [1, 2]) {
    const status = { online: true, birth, bdSeq: birth }
    const born = first.sparkplug.bear('plant/line', [['rpm', birth, 3]], status, limits)
    await first.broker.whenDurable(first.state.write(born!))
  }
  topics.delete('gone')
  await topics.durable()
  await first.broker.deleteRecordsBefore(topics.get('kept').partitions[0]!, 4)
  for (let index = 0; index < 40; index++) await produce(first, 'filler', batchOf('x'.repeat(4000)))
  await first.close()
  const second = await openGateway(machine)
  await produce(second, 'kept', batchOf('last'))
  await second.close()
  return { producerId }
}

interface Place {
  readonly path: string
  readonly partition: number
  readonly at: number
}

/** Some bytes of every frame of the partitions, header and batch. */
const placesIn = (machine: SimMachine, partitions: ReadonlySet<number>): Place[] => {
  const places: Place[] = []
  for (const name of machine.disk.list(`${directory}/log`)) {
    const path = `${directory}/log/${name}`
    const bytes = machine.disk.content(path)
    for (let at = 4096; at + frameHeaderBytes < bytes.length; at++) {
      if (bytes.readUInt32BE(at + 4) !== frameMagic || !partitions.has(framePartition(bytes, at))) continue
      const length = frameHeaderBytes + frameBatchBytes(bytes, at)
      for (const part of [0.1, 0.6, 0.95]) {
        places.push({ path, partition: framePartition(bytes, at), at: at + Math.floor(part * length) })
      }
    }
  }
  return places
}

/**
 * What a gateway shows, and that it takes a repeat for one. Without gaps; and without ends of partitions: where a header is damaged, nobody can tell
 * whose it was without the checkpoint, and each partition skips some offsets.
 */
const stateOf = async (gateway: OpenGateway, producerId: number) => {
  const { gaps: _, ...content } = await contentOf(gateway)
  const { logEnd } = gateway.log.offsets(gateway.broker.topics.get('kept').partitions[0]!)
  const upstream = [...gateway.uplink.entries()].map(({ key, value }) => `${key} ${value?.toString('hex')}`)
  const downstream = [gateway.downlink.position('orders', 0), gateway.offsetMap.get('kept', 0)]
  const { sessions, outbound, shares, wills, sparkplug } = gateway
  const display = [
    sessions.session('display'),
    ...sessions.positions('display'),
    ...outbound.windows('display'),
    ...shares.positions('$share/g/kept'),
    ...wills.wills(),
  ]
  const line = [sparkplug.status('plant/line'), [...(sparkplug.metrics('plant/line')?.names ?? [])]]
  const repeated = await produce(gateway, 'kept', batchOf('once', producerId, 2))
  expect(gateway.log.offsets(gateway.broker.topics.get('kept').partitions[0]!).logEnd).toBe(logEnd)
  return JSON.parse(
    JSON.stringify({ ...content, display, line, upstream, downstream, repeated }, (name, value) =>
      name === 'highWatermark' ? undefined : value,
    ),
  )
}

const onMachine = async <T>(machine: SimMachine, run: () => Promise<T>): Promise<T> => {
  let result: T
  await reportHistory(machine, () =>
    machine.clock.run(
      (async () => {
        result = await run()
      })(),
    ),
  )
  return result!
}

describe('a flipped bit in the records of state', { timeout: 120_000 }, () => {
  const machine = new SimMachine(1)
  let producerId = 0
  let expected: unknown
  beforeAll(async () => {
    ;({ producerId } = await onMachine(machine, () => fill(machine)))
    machine.crash('power')
    const copy = machine.fork(1)
    expected = await onMachine(copy, async () => stateOf(await openGateway(copy), producerId))
    copy.clock.crash()
  })

  it.each([...Object.entries(internalPartitions), ['log control', logControlPartition] as const])(
    'costs nothing while the checkpoints are there, nor when they are lost later: %s',
    async (_, partition) => {
      const places = placesIn(machine, new Set([partition]))
      expect(places.length).toBeGreaterThan(2)
      for (const place of places) {
        const copy = machine.fork(place.at)
        copy.disk.flipBit(place.path, place.at, place.at % 8)
        copy.crash('power')
        await onMachine(copy, async () => {
          const gateway = await openGateway(copy)
          expect(await stateOf(gateway, producerId)).toEqual(expected)
          await sleep(copy.clock, 60_000)
          await gateway.close()
        })
        copy.crash('power')
        copy.dropCheckpoints()
        await onMachine(copy, async () => {
          const gateway = await openGateway(copy)
          expect(await stateOf(gateway, producerId), JSON.stringify(place)).toEqual(expected)
        })
        copy.clock.crash()
      }
    },
  )
})

describe.each([
  ['with checkpoints: no state is lost', true],
  ['without: it starts with what is left', false],
])('a slot that is lost as a whole, %s', { timeout: 120_000 }, (_, hasCheckpoints) => {
  /** Topics, committed offsets and so on; records may have gone with the slot. */
  const stateAlone = async (gateway: OpenGateway) => {
    const { gaps: _gaps, topics, ...content } = await contentOf(gateway)
    return {
      ...content,
      topics: Object.entries(topics).map(([name, topic]) => [name, { ...(topic as object), partitions: 0 }]),
    }
  }

  it('deleted', async () => {
    const machine = new SimMachine(4)
    await onMachine(machine, () => fill(machine))
    machine.crash('power')
    const intact = machine.fork(1)
    const expected = await onMachine(intact, async () => stateAlone(await openGateway(intact)))
    intact.clock.crash()
    for (const name of machine.disk.list(`${directory}/log`)) {
      const copy = machine.fork(1)
      const path = `${directory}/log/${name}`
      copy.disk.note(`${name} deleted`)
      copy.disk.remove(path)
      if (!hasCheckpoints) copy.dropCheckpoints()
      await onMachine(copy, async () => {
        const gateway = await openGateway(copy)
        if (hasCheckpoints) expect(await stateAlone(gateway), name).toEqual(expected)
        gateway.broker.topics.create({ name: 'another', partitions: 1 })
        expect(await produce(gateway, 'another', batchOf('mine'))).toBe(0)
        await gateway.close()
      })
      copy.crash('power')
      // the log alone gives the state again
      copy.dropCheckpoints()
      await onMachine(copy, async () => {
        const gateway = await openGateway(copy)
        const { topics, ...content } = await stateAlone(gateway)
        const others = topics.filter(([topic]) => topic !== 'another')
        if (hasCheckpoints) expect({ ...content, topics: others }, name).toEqual(expected)
        expect((await contentOf(gateway)).topics['another']).toMatchObject({
          partitions: [{ records: ['0 1 null mine'] }],
        })
        await gateway.close()
      })
      copy.clock.crash()
    }
  })
})

describe('a flipped bit in the log control partition, and no checkpoint any more', { timeout: 120_000 }, () => {
  it('lets nothing come back that was deleted', async () => {
    const machine = new SimMachine(3)
    const { producerId } = await onMachine(machine, () => fill(machine))
    machine.crash('power')
    machine.dropCheckpoints()
    let expected: unknown
    for (const place of [undefined, ...placesIn(machine, new Set([logControlPartition]))]) {
      const copy = machine.fork(1)
      if (place !== undefined) copy.disk.flipBit(place.path, place.at, place.at % 8)
      const found = await onMachine(copy, async () => stateOf(await openGateway(copy), producerId))
      expected ??= found
      expect(found, JSON.stringify(place)).toEqual(expected)
      copy.clock.crash()
    }
  })
})

describe('a flipped bit in a record of state that no checkpoint has seen', { timeout: 120_000 }, () => {
  /** Runs `before`, cuts the power, flips a bit in each place of the partition's newest records in turn, and runs `after` on what is left. */
  const flipNewest = async (
    partition: number,
    before: (gateway: OpenGateway) => Promise<void>,
    after: (gateway: OpenGateway) => Promise<void>,
  ): Promise<void> => {
    const machine = new SimMachine(2)
    let known = 0
    await onMachine(machine, async () => {
      const gateway = await openGateway(machine)
      gateway.broker.topics.create({ name: 'kept', partitions: 1 })
      await gateway.broker.topics.durable()
      known = placesIn(machine, new Set([partition])).length
      await before(gateway)
      // what stands before it was durable: damage, and no torn tail
      for (let index = 0; index < 3; index++) await produce(gateway, 'kept', batchOf('later'))
    })
    machine.crash('power')
    const places = placesIn(machine, new Set([partition])).slice(known)
    expect(places.length).toBeGreaterThan(2)
    for (const place of places) {
      const copy = machine.fork(place.at)
      copy.disk.flipBit(place.path, place.at, place.at % 8)
      await onMachine(copy, async () => {
        const gateway = await openGateway(copy)
        expect(gateway.log.gaps().length).toBeGreaterThan(0)
        await after(gateway)
        await gateway.close()
      })
      copy.crash('power')
      await onMachine(copy, async () => {
        const gateway = await openGateway(copy)
        expect((await contentOf(gateway)).topics['new']).toMatchObject({ partitions: [{ records: ['0 1 null mine'] }] })
      })
      copy.clock.crash()
    }
  }

  const makeNew = async (gateway: OpenGateway): Promise<void> => {
    gateway.broker.topics.create({ name: 'new', partitions: 1 })
    expect(await produce(gateway, 'new', batchOf('mine'))).toBe(0)
  }

  it('gives no partition of a lost topic to another one', () =>
    flipNewest(
      internalPartitions.topics,
      async gateway => {
        gateway.broker.topics.create({ name: 'lost', partitions: 2 })
        await produce(gateway, 'lost', batchOf('of the lost topic'))
      },
      makeNew,
    ))

  it('gives no partition of a topic that was deleted since to another one', () =>
    flipNewest(
      internalPartitions.topics,
      async gateway => {
        gateway.broker.topics.create({ name: 'lost', partitions: 2 })
        await produce(gateway, 'lost', batchOf('of the lost topic'))
        gateway.broker.topics.delete('lost')
        await gateway.broker.topics.durable()
      },
      makeNew,
    ))

  it('gives no producer id twice', async () => {
    let given = 0
    await flipNewest(
      internalPartitions.producers,
      async gateway => {
        given = await gateway.broker.newProducerId()
      },
      async gateway => {
        expect(await gateway.broker.newProducerId()).toBeGreaterThan(given)
        await makeNew(gateway)
      },
    )
  })
})

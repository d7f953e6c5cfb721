import { beforeEach, expect, it } from 'vitest'
import { defaultSettings, type Settings } from '../../../src/config/settings.ts'
import { plainRule } from '../../../src/config/uplink-rules.ts'
import type { BrokerError } from '../../../src/core/errors.ts'
import { openUplink, stayingTopics } from '../../../src/open-uplink.ts'
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

// min.insync.replicas=2 and a link that comes and goes

/** For ever. */
const lingerMs = 1e9
const lagMaxMs = 600_000

let machine: SimMachine
let central: CentralCluster
let under: MemoryBroker
let uplink: Uplink

const start = async (more: Partial<Settings> = {}): Promise<void> => {
  central = new CentralCluster(new SimRandom(8), 'tv2')
  central.attach(machine.clock, machine.network)
  const { platform, clock } = machine
  const settings = {
    ...defaultSettings,
    'uplink.bootstrap.servers': central.bootstrap,
    'uplink.compression.type': 'none' as const,
    'uplink.topics.exclude': ['here'],
    'uplink.linger.ms': lingerMs,
    'replica.lag.time.max.ms': lagMaxMs,
    ...more,
  }
  const view = new UplinkView()
  const offsetMap = new OffsetMapView()
  const upstream = {
    upstreamThrough: (topic: string, partition: number) => uplink?.upstreamThrough(topic, partition),
    staysHere: stayingTopics(settings, 'g7'),
  }
  under = await openMemoryBroker({ clock, frontViews: [view, offsetMap], settings, upstream })
  const { broker, state } = under.open
  const configs = new Map([['min.insync.replicas', '2']])
  broker.topics.create({ name: 'both', partitions: 1, configs })
  broker.topics.create({ name: 'one', partitions: 1 })
  const own = { gatewayId: 'g7', incarnation: 'now', clockQuality: () => 'synchronised' as const }
  uplink = openUplink({ ...platform, broker, state, view, offsetMap, settings, ...own })!
  uplink.start()
  await until(() => uplink.state === 'connected')
}
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await sleep(machine.clock, 1)
}
const write = async (name: string, allReplicas = true): Promise<number> => {
  const { broker } = under.open
  const batch = encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from('a') }])
  return (await broker.produce(broker.topics.get(name), 0, batch, { zstd: true, allReplicas })).nextOffset
}
/** How the wait for what is written now ends. In small steps: the compression of positions takes real time. */
const acknowledged = async (stepMs = 1, { isPatient } = { isPatient: false }): Promise<string> => {
  const { broker } = under.open
  const end = await write('both')
  let answer: string | undefined
  broker.replica.wait({
    partition: broker.topics.get('both').partitions[0]!,
    end,
    isPatient,
    settled: (error?: BrokerError) => {
      answer = error?.kind ?? 'upstream'
    },
  })
  while (answer === undefined) await sleep(machine.clock, stepMs)
  return answer
}

const during = (work: () => Promise<void>) => () => machine.clock.run(work())

beforeEach(() => {
  machine = new SimMachine(7)
})

it(
  'who waits for the central cluster does not wait for the linger, and what nobody waits for does',
  during(async () => {
    await start()
    await write('one', false)
    for (let step = 0; step < 1_000; step++) await sleep(machine.clock, 1)
    expect(uplink.upstreamThrough('one', 0)).toBe(0)
    expect(await acknowledged()).toBe('upstream')
    expect(await acknowledged()).toBe('upstream')
    await uplink.stop()
  }),
)

it(
  'a link that is cut takes the central cluster out of sync, and its return brings it back',
  during(async () => {
    await start()
    expect(await acknowledged()).toBe('upstream')
    machine.network.link.blackHole = true
    expect(await acknowledged(lagMaxMs / 100)).toBe('notEnoughReplicasAfterAppend')
    await expect(write('both')).rejects.toMatchObject({ kind: 'notEnoughReplicas' })
    expect(await write('both', false)).toBe(3)
    machine.network.link.blackHole = false
    await until(() => uplink.state === 'connected')
    // the backlog comes first
    await until(() => uplink.upstreamThrough('both', 0) === 3)
    expect(await acknowledged()).toBe('upstream')
    await uplink.stop()
  }),
)

it(
  'what an operator pauses falls out of sync too',
  during(async () => {
    await start()
    await uplink.pause()
    expect(await acknowledged(lagMaxMs / 100)).toBe('notEnoughReplicasAfterAppend')
    await uplink.stop()
  }),
)

it(
  'what an operator gives up is not acknowledged either, and what stands behind it is',
  during(async () => {
    let isRefusing = true
    await start()
    central.refusal = () => (isRefusing ? errorCodes.INVALID_RECORD : 0)
    const waiting = acknowledged(1_000, { isPatient: true })
    const lane = uplink.lanes.find('both', 0)!
    await until(() => lane.trouble?.batch !== undefined)
    isRefusing = false
    expect(await uplink.skip({ topic: 'both', partition: 0, first: 0, last: 0 })).toBeUndefined()
    expect(await waiting).toBe('notEnoughReplicasAfterAppend')
    expect(await acknowledged()).toBe('upstream')
    expect([0, 1].map(offset => uplink.isGivenUp('both', 0, offset))).toEqual([true, false])
    await uplink.stop()
  }),
)

it(
  'what leaves the log before it is sent is not acknowledged, nor what is gone beside it: nobody knows which were sent',
  during(async () => {
    await start()
    const { broker } = under.open
    const id = broker.topics.get('both').partitions[0]!
    expect(await acknowledged()).toBe('upstream')
    await broker.deleteRecordsBefore(id, 1)
    expect(uplink.isGivenUp('both', 0, 0)).toBe(false)
    machine.network.link.blackHole = true
    const waiting = acknowledged(1_000, { isPatient: true })
    await until(() => uplink.state === 'waiting')
    await broker.deleteRecordsBefore(id, 2)
    machine.network.link.blackHole = false
    expect(await waiting).toBe('notEnoughReplicasAfterAppend')
    expect(await acknowledged()).toBe('upstream')
    expect([0, 1, 2].map(offset => uplink.isGivenUp('both', 0, offset))).toEqual([true, true, false])
    await uplink.stop()
  }),
)

it(
  'a ttl of the rules does not hold for it: what is waited for comes up',
  during(async () => {
    await start({ 'uplink.rules': [{ ...plainRule, topics: ['both'], ttlMs: 60_000 }] })
    machine.network.link.blackHole = true
    const waiting = acknowledged(1_000, { isPatient: true })
    await until(() => uplink.state === 'waiting')
    under.log.logAge += 1_000
    machine.network.link.blackHole = false
    expect(await waiting).toBe('upstream')
    expect(uplink.upstreamThrough('both', 0)).toBe(1)
    await uplink.stop()
  }),
)

it(
  'a topic that is excluded cannot demand it',
  during(async () => {
    await start()
    const configs = new Map([['min.insync.replicas', '2']])
    expect(() => under.open.broker.topics.create({ name: 'here', configs })).toThrow(
      '2 is this gateway and the central cluster, and "here" does not go up (uplink.topics, uplink.topics.exclude); nearest: 1',
    )
    await uplink.stop()
  }),
)

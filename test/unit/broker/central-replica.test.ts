import { beforeEach, describe, expect, it } from 'vitest'
import type { UpstreamWait } from '../../../src/broker/central-replica.ts'
import type { BrokerError } from '../../../src/core/errors.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { type MemoryBroker, openMemoryBroker } from '../../support/memory-broker.ts'
import { settle, VirtualClock } from '../../support/virtual-clock.ts'

// the central cluster as a replica: in sync, out of sync, and who waits for it

const lagMaxMs = 10_000
const twoReplicas = new Map([['min.insync.replicas', '2']])

let clock: VirtualClock
let under: MemoryBroker
/** What is upstream of partition 0 of each topic. */
let through: number

const replica = () => under.open.broker.replica
const topic = () => under.open.broker.topics.get('t')
const append = async (allReplicas = false): Promise<number> => {
  const batch = encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from('a') }])
  const { broker } = under.open
  const { nextOffset } = await broker.produce(topic(), 0, batch, { zstd: true, allReplicas })
  await broker.whenDurable(broker.openGroup)
  return nextOffset
}
const isInSync = (): boolean => {
  try {
    replica().demand(topic(), topic().partitions[0]!)
    return true
  } catch (error) {
    expect(error).toMatchObject({ kind: 'notEnoughReplicas' })
    return false
  }
}
const answers: (string | undefined)[] = []
const wait = (end: number, options: Partial<UpstreamWait> = {}): (() => void) =>
  replica().wait({
    partition: topic().partitions[0]!,
    end,
    isPatient: false,
    settled: (error?: BrokerError) => answers.push(error?.kind),
    ...options,
  })

beforeEach(async () => {
  clock = new VirtualClock()
  through = 0
  answers.length = 0
  const upstream = { upstreamThrough: () => through, staysHere: (name: string) => (name === 'here' ? 'no' : undefined) }
  under = await openMemoryBroker({ clock, upstream, settings: { 'replica.lag.time.max.ms': lagMaxMs } })
  under.open.broker.topics.create({ name: 't', partitions: 1, configs: twoReplicas })
})

describe('the central cluster is in sync', () => {
  it('not before its first session, and from then on while the link stands', async () => {
    expect(isInSync()).toBe(false)
    replica().connected()
    await clock.advance(10 * lagMaxMs)
    expect(isInSync()).toBe(true)
  })

  it('for so long after the link was lost', async () => {
    replica().connected()
    await clock.advance(60_000)
    replica().disconnected()
    await clock.advance(lagMaxMs)
    expect(isInSync()).toBe(true)
    await clock.advance(1)
    expect(isInSync()).toBe(false)
    replica().connected()
    expect(isInSync()).toBe(true)
  })

  it('only while its backlog is not older than that', async () => {
    await append()
    replica().connected()
    expect(isInSync()).toBe(false)
    through = 1
    replica().advanced()
    expect(isInSync()).toBe(true)
    // always behind, never long
    for (let second = 0; second < 30; second++) {
      through = await append()
      await append()
      await clock.advance(1_000)
      replica().advanced()
      expect(isInSync()).toBe(true)
    }
    await clock.advance(lagMaxMs - 1_000)
    expect(isInSync()).toBe(true)
    await clock.advance(2_000)
    expect(isInSync()).toBe(false)
    await expect(append(true)).rejects.toMatchObject({ kind: 'notEnoughReplicas' })
    expect(await append()).toBe(62)
  })

  it('or not asked, for topics that do not demand it', async () => {
    under.open.broker.topics.setConfigs('t', new Map())
    expect(isInSync()).toBe(true)
    expect(await append(true)).toBe(1)
  })
})

describe('who waits for the central cluster is told', () => {
  it('when it has all', async () => {
    replica().connected()
    const end = await append(true)
    wait(end)
    wait(end + 1)
    replica().advanced()
    expect(answers).toEqual([])
    expect(under.metrics.text()).toContain('brooklet_replica_waiting_acks 2')
    through = end
    replica().advanced()
    expect(answers).toEqual([undefined])
    wait(end)
    expect(answers).toEqual([undefined, undefined])
  })

  it('when it falls out of sync, but for the patient', async () => {
    const timersAtRest = clock.pendingTimers
    replica().connected()
    const end = await append(true)
    wait(end)
    wait(end, { isPatient: true })
    replica().disconnected()
    await clock.advance(lagMaxMs)
    expect(answers).toEqual([])
    await clock.advance(lagMaxMs)
    expect(answers).toEqual(['notEnoughReplicasAfterAppend'])
    await clock.advance(100 * lagMaxMs)
    through = end
    replica().connected()
    expect(answers).toEqual(['notEnoughReplicasAfterAppend', undefined])
    await clock.advance(lagMaxMs)
    expect(clock.pendingTimers).toBe(timersAtRest)
  })

  it('when an operator gives the records up', async () => {
    const end = await append()
    wait(end, { isPatient: true })
    replica().gaveUp(topic().partitions[0]!, end)
    expect(answers).toEqual(['notEnoughReplicasAfterAppend'])
  })

  it('when they left the log before they were upstream', async () => {
    replica().connected()
    const end = await append()
    wait(await append())
    through = end
    replica().advanced()
    const { broker } = under.open
    await broker.deleteRecordsBefore(topic().partitions[0]!, 2)
    wait(await append())
    through = 3
    replica().advanced()
    expect(answers).toEqual(['notEnoughReplicasAfterAppend', undefined])
  })

  it('when the topic is deleted, or does not demand it any longer', async () => {
    wait(5)
    under.open.broker.topics.setConfigs('t', new Map())
    expect(answers).toEqual([undefined])
    under.open.broker.topics.setConfigs('t', twoReplicas)
    wait(5)
    under.open.broker.topics.delete('t')
    expect(answers).toEqual([undefined, 'unknownTopic'])
  })

  it('not when it has taken that back', () => {
    wait(1)()
    through = 1
    replica().advanced()
    expect([answers, replica().waiting]).toEqual([[], 0])
  })
})

it('who gathers records for the next round is hurried by what is written, some times for what does not go up', async () => {
  replica().connected()
  let rounds = 0
  const linger = async (): Promise<void> => {
    await replica().linger(60_000)
    rounds++
  }
  void linger()
  await settle()
  expect(rounds).toBe(0)
  await append()
  await settle()
  expect(rounds).toBe(1)
  for (let hurried = 0; hurried < 10; hurried++) await linger()
  void linger()
  await settle()
  expect(rounds).toBe(11)
  await clock.advance(60_000)
  expect(rounds).toBe(12)
  await append()
  await linger()
  expect(rounds).toBe(13)
})

it('a topic that does not go up cannot demand it', () => {
  const { topics } = under.open.broker
  const message = 'topic config min.insync.replicas: 2 is this gateway and the central cluster, and no; nearest: 1'
  expect(() => topics.create({ name: 'here', configs: twoReplicas })).toThrow(message)
  topics.create({ name: 'here' })
  expect(() => topics.setConfigs('here', twoReplicas, { validateOnly: true })).toThrow(message)
})

it('a start says which topics cannot have their acknowledgements any more', async () => {
  const again = await openMemoryBroker({ clock, log: under.log })
  const fields = { topic: 't', reason: 'there is none (uplink.bootstrap.servers)' }
  expect(again.lines).toContainEqual({
    level: 'warn',
    fields,
    event: 'the topic has min.insync.replicas=2 and does not go up: nothing is acknowledged to the full',
  })
})

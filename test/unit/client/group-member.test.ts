import { afterEach, beforeEach, expect, it } from 'vitest'
import { Cluster } from '../../../src/client/cluster.ts'
import { GroupMember } from '../../../src/client/group-member.ts'
import { encodeAssignment } from '../../../src/client/group-protocol.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../../src/platform/node/network.ts'
import type { AnyApi, ResponseInputOf } from '../../../src/wire/kafka/api.ts'
import { findCoordinator } from '../../../src/wire/kafka/contracts/find-coordinator.ts'
import { heartbeat } from '../../../src/wire/kafka/contracts/heartbeat.ts'
import { joinGroup } from '../../../src/wire/kafka/contracts/join-group.ts'
import { leaveGroup } from '../../../src/wire/kafka/contracts/leave-group.ts'
import { offsetCommit } from '../../../src/wire/kafka/contracts/offset-commit.ts'
import { offsetFetch } from '../../../src/wire/kafka/contracts/offset-fetch.ts'
import { syncGroup } from '../../../src/wire/kafka/contracts/sync-group.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { ScriptedBroker } from '../../support/scripted-broker.ts'

const position = { topic: 't', partition: 0, offset: 5 }
const ours = encodeAssignment(new Map([['t', [0]]]))

let brokers: ScriptedBroker[]
let cluster: Cluster
/** Node that the brokers name as the coordinator. */
let coordinator: number
/** Member ids of the joins, in order. */
let joins: string[]

/** The newest version of each API that the brokers have. */
type Newest = 'newest' | 'oldest'

const serveGroup = (broker: ScriptedBroker, newest: Newest, assignment: Buffer): void => {
  const serve = <A extends AnyApi>(api: A, old: number, answer: (version: number) => ResponseInputOf<A>): void =>
    broker.serve(api, (_, version) => answer(version), newest === 'newest' ? api.versions : [api.versions[0], old])
  broker.serveTopic(() => [0], brokers)
  serve(findCoordinator, 0, version => {
    const { nodeId, address } = brokers[coordinator]!
    const node = { nodeId, ...address, errorCode: 0, errorMessage: null }
    return version >= 4 ? { coordinators: [{ key: 'g', ...node }] } : node
  })
  broker.serve(
    joinGroup,
    ({ memberId }, version) => {
      joins.push(memberId)
      const isNew = memberId === '' && version >= 4
      return {
        errorCode: isNew ? errorCodes.MEMBER_ID_REQUIRED : 0,
        generationId: joins.length,
        protocolType: 'consumer',
        protocolName: 'range',
        leader: 'another',
        memberId: memberId || 'm',
        members: [],
      }
    },
    newest === 'newest' ? joinGroup.versions : [0, 0],
  )
  serve(syncGroup, 0, () => ({ errorCode: 0, protocolType: 'consumer', protocolName: 'range', assignment }))
  serve(heartbeat, 0, () => ({ errorCode: 0 }))
  serve(leaveGroup, 0, () => ({ errorCode: 0, members: [] }))
  commitsAnswer(broker, errorCodes.NONE, newest)
}

const commitsAnswer = (broker: ScriptedBroker, errorCode: number, newest: Newest = 'newest'): void => {
  const range = newest === 'newest' ? offsetCommit.versions : ([2, 2] as const)
  const script = ({ topics }: { topics: readonly { name: string; topicId: string }[] }) => ({
    topics: topics.map(({ name, topicId }) => ({ name, topicId, partitions: [{ partitionIndex: 0, errorCode }] })),
  })
  broker.serve(offsetCommit, script, range)
}

const member = (sessionTimeoutMs = 10_000): GroupMember =>
  new GroupMember(cluster, { groupId: 'g', topics: ['t'], sessionTimeoutMs, rebalanceTimeoutMs: 1000 })

beforeEach(async () => {
  brokers = [await ScriptedBroker.start(0), await ScriptedBroker.start(1)]
  coordinator = 0
  joins = []
  for (const broker of brokers) serveGroup(broker, 'newest', ours)
  cluster = new Cluster(nodeNetwork, nodeClock, {
    bootstrap: [brokers[0]!.address],
    clientId: 'test',
    connectTimeoutMs: 1000,
    requestTimeoutMs: 1000,
    softwareVersion: '1',
  })
})

afterEach(async () => {
  cluster.close()
  for (const broker of brokers) await broker.stop()
})

it('joins with the id that the coordinator gave it', async () => {
  const joined = member()
  expect(await joined.poll()).toBe(true)
  expect(joins).toEqual(['', 'm'])
  expect([...joined.assignment]).toEqual([['t', [0]]])
  expect(await joined.poll()).toBe(false)
})

it('speaks the oldest versions', async () => {
  for (const broker of brokers) serveGroup(broker, 'oldest', ours)
  const none = { partitionIndex: 0, committedOffset: -1, metadata: '', errorCode: 0 }
  brokers[0]!.serve(offsetFetch, () => ({ topics: [{ name: 't', partitions: [none] }] }), [1, 1])
  const joined = member()
  await joined.poll()
  expect(joins).toEqual([''])
  expect(await joined.committed()).toEqual([{ ...position, offset: -1 }])
  expect(await joined.commit([position])).toBe(true)
  await joined.leave()
  for (const name of ['JoinGroup v0', 'SyncGroup v0', 'OffsetFetch v1', 'OffsetCommit v2', 'LeaveGroup v0'])
    expect(brokers[0]!.asked).toContain(name)
})

it('goes to another coordinator, with the same member id', async () => {
  const joined = member()
  await joined.poll()
  coordinator = 1
  commitsAnswer(brokers[0]!, errorCodes.NOT_COORDINATOR)
  expect(await joined.commit([position])).toBe(false)
  expect(await joined.poll()).toBe(true)
  expect(joins).toEqual(['', 'm', 'm'])
  expect(brokers[1]!.asked.some(name => name.startsWith('JoinGroup'))).toBe(true)
  expect(await joined.commit([position])).toBe(true)
})

it.each([
  ['REBALANCE_IN_PROGRESS', ['', 'm', 'm']],
  ['ILLEGAL_GENERATION', ['', 'm', 'm']],
  ['UNKNOWN_MEMBER_ID', ['', 'm', '', 'm']],
] as const)('joins again after a heartbeat answered with %s', async (name, expected) => {
  const joined = member(0)
  await joined.poll()
  const answers = [errorCodes[name]]
  brokers[0]!.serve(heartbeat, () => ({ errorCode: answers.shift() ?? 0 }))
  expect(await joined.poll()).toBe(true)
  expect(joins).toEqual(expected)
})

it('tells the caller what joining again cannot mend', async () => {
  const joined = member()
  await joined.poll()
  commitsAnswer(brokers[0]!, errorCodes.GROUP_AUTHORIZATION_FAILED)
  await expect(joined.commit([position])).rejects.toThrow('commit of group g: GROUP_AUTHORIZATION_FAILED')
})

it('goes on after a coordinator that closed the connection', async () => {
  const joined = member(0)
  await joined.poll()
  brokers[0]!.cut()
  await expect(joined.poll()).rejects.toThrow(/connection to/)
  expect(await joined.poll()).toBe(false)
  expect(await joined.commit([position])).toBe(true)
})

it('says that it does not understand the leader of the group', async () => {
  serveGroup(brokers[0]!, 'newest', Buffer.from([0, 0, 0x7f]))
  await expect(member().poll()).rejects.toThrow(/^group g: INCONSISTENT_GROUP_PROTOCOL \(its leader sent/)
})

it('leaves without a word when nobody can be told', async () => {
  const joined = member()
  await joined.poll()
  for (const broker of brokers) await broker.stop()
  await joined.leave()
  await joined.leave()
  expect(brokers[0]!.asked.filter(name => name.startsWith('LeaveGroup'))).toEqual([])
})

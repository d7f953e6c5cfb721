import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ZERO_UUID } from '../../../src/core/uuid.ts'
import {
  deleteGroups,
  describeGroups,
  findCoordinator,
  heartbeat,
  joinGroup,
  leaveGroup,
  listGroups,
  offsetCommit,
  offsetDelete,
  offsetFetch,
  syncGroup,
} from '../../../src/wire/kafka/contracts/index.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'
import type { KafkaTestClient } from '../../support/kafka-test-client.ts'

let server: KafkaTestServer
let client: KafkaTestClient
beforeEach(async () => {
  server = await KafkaTestServer.start()
  client = await server.connect()
  server.open.broker.topics.ensure('t')
})
afterEach(() => server.stop())

const join = (version: number, memberId = '', groupInstanceId: string | null = null) =>
  client.request(joinGroup, version, {
    groupId: 'g',
    sessionTimeoutMs: 10_000,
    memberId,
    ...(groupInstanceId !== null && { groupInstanceId }),
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('0000', 'hex') }],
  })

/** One member that has its assignment. */
async function stableMember(): Promise<{ memberId: string; generationId: number }> {
  const { memberId, generationId } = await join(3)
  await client.request(syncGroup, 5, {
    groupId: 'g',
    generationId,
    memberId,
    assignments: [{ memberId, assignment: Buffer.from('mine') }],
  })
  return { memberId, generationId }
}

const commit = async (version: number, offset: number, member?: { memberId: string; generationId: number }) => {
  const { id } = server.open.broker.topics.get('t')
  const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: 'note' }]
  const answer = await client.request(offsetCommit, version, {
    groupId: 'g',
    generationIdOrMemberEpoch: member?.generationId ?? -1,
    memberId: member?.memberId ?? '',
    topics: [version >= 10 ? { topicId: id, partitions } : { name: 't', partitions }],
  })
  return answer.topics[0]!.partitions[0]!.errorCode
}

const topicsAsked = [{ name: 't', partitionIndexes: [0, 1] }]

describe('find coordinator', () => {
  it.each([0, 1, 2, 3])('v%i names this gateway', async version => {
    const answer = await client.request(findCoordinator, version, { key: 'g' })
    expect(answer).toMatchObject({ errorCode: 0, nodeId: 1, host: '127.0.0.1', port: server.port })
  })

  it('v4 answers each key', async () => {
    const { coordinators } = await client.request(findCoordinator, 4, { coordinatorKeys: ['a', 'b'] })
    expect(coordinators.map(({ key, nodeId, errorCode }) => [key, nodeId, errorCode])).toEqual([
      ['a', 1, 0],
      ['b', 1, 0],
    ])
  })

  it.each([1, 2])('refuses coordinators of type %i', async keyType => {
    expect((await client.request(findCoordinator, 3, { key: 'x', keyType })).errorCode).toBe(errorCodes.INVALID_REQUEST)
    const { coordinators } = await client.request(findCoordinator, 6, { coordinatorKeys: ['x'], keyType })
    expect(coordinators[0]!.errorCode).toBe(errorCodes.INVALID_REQUEST)
  })
})

describe('membership', () => {
  it('v4 and later hand out a member id first', async () => {
    const first = await join(9)
    expect(first).toMatchObject({ errorCode: errorCodes.MEMBER_ID_REQUIRED, generationId: -1, protocolName: null })
    expect(first.memberId).toMatch(/^test-/)
    const second = await join(9, first.memberId)
    expect(second).toMatchObject({ errorCode: 0, generationId: 1, leader: first.memberId, protocolName: 'range' })
    expect(second.members.map(({ memberId }) => memberId)).toEqual([first.memberId])
  })

  it('v3 and earlier, and static members, join at once', async () => {
    expect((await join(3)).errorCode).toBe(0)
    expect((await client.request(deleteGroups, 2, { groupsNames: ['g'] })).results[0]!.errorCode).toBe(
      errorCodes.NON_EMPTY_GROUP,
    )
  })

  it('goes through join, sync, heartbeat and leave', async () => {
    const { memberId, generationId } = await stableMember()
    const alive = await client.request(heartbeat, 4, { groupId: 'g', generationId, memberId })
    expect(alive.errorCode).toBe(0)
    const stale = await client.request(heartbeat, 4, { groupId: 'g', generationId: generationId - 1, memberId })
    expect(stale.errorCode).toBe(errorCodes.ILLEGAL_GENERATION)
    const left = await client.request(leaveGroup, 5, { groupId: 'g', members: [{ memberId }, { memberId: 'nobody' }] })
    expect(left.errorCode).toBe(0)
    expect(left.members.map(({ errorCode }) => errorCode)).toEqual([0, errorCodes.UNKNOWN_MEMBER_ID])
    expect((await client.request(leaveGroup, 2, { groupId: 'g', memberId })).errorCode).toBe(
      errorCodes.UNKNOWN_MEMBER_ID,
    )
  })

  it('refuses a session timeout out of bounds, in every version', async () => {
    for (const version of [0, 6, 9]) {
      const answer = await client.request(joinGroup, version, {
        groupId: 'g',
        sessionTimeoutMs: 1,
        memberId: '',
        protocolType: 'consumer',
        protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
      })
      expect(answer.errorCode).toBe(errorCodes.INVALID_SESSION_TIMEOUT)
    }
  })
})

describe('committed offsets', () => {
  it.each([2, 5, 6, 8, 9, 10])('OffsetCommit v%i from outside an empty group', async version => {
    expect(await commit(version, 7)).toBe(0)
    const { topics } = await client.request(offsetFetch, 5, { groupId: 'g', topics: topicsAsked })
    const shown = topics[0]!.partitions.map(({ committedOffset, metadata, errorCode }) => [
      committedOffset,
      metadata,
      errorCode,
    ])
    expect(shown).toEqual([
      [7, 'note', 0],
      [-1, '', 0],
    ])
  })

  it('of a member needs its generation', async () => {
    const member = await stableMember()
    expect(await commit(8, 3, member)).toBe(0)
    expect(await commit(8, 3, { ...member, generationId: 99 })).toBe(errorCodes.ILLEGAL_GENERATION)
    expect(await commit(8, 3)).toBe(errorCodes.UNKNOWN_MEMBER_ID)
  })

  it('an unknown group with a generation has another code before version 9', async () => {
    const member = { memberId: 'm', generationId: 4 }
    expect(await commit(8, 1, member)).toBe(errorCodes.ILLEGAL_GENERATION)
    expect(await commit(9, 1, member)).toBe(errorCodes.GROUP_ID_NOT_FOUND)
  })

  it('refuses unknown topics and partitions one by one', async () => {
    const partition = (partitionIndex: number) => ({ partitionIndex, committedOffset: 1, committedMetadata: null })
    const topics = [
      { name: 't', partitions: [partition(0), partition(9)] },
      { name: 'none', partitions: [partition(0)] },
    ]
    const answer = await client.request(offsetCommit, 8, { groupId: 'g', memberId: '', topics })
    expect(answer.topics.map(({ partitions }) => partitions.map(({ errorCode }) => errorCode))).toEqual([[0, 3], [3]])
    const byId = [{ topicId: 'ab'.repeat(16), partitions: [partition(0)] }]
    const unknown = await client.request(offsetCommit, 10, { groupId: 'g', memberId: '', topics: byId })
    expect(unknown.topics[0]!.partitions[0]!.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_ID)
  })

  it('answers a commit only after its sync', async () => {
    server.log.held = true
    const committed = commit(8, 1)
    const early = await Promise.race([committed, new Promise(resolve => setTimeout(() => resolve('waits'), 30))])
    expect(early).toBe('waits')
    server.log.release()
    expect(await committed).toBe(0)
  })

  it('OffsetFetch of all that a group has: null topics from version 2 on', async () => {
    await commit(8, 5)
    for (const version of [2, 7]) {
      const { topics } = await client.request(offsetFetch, version, { groupId: 'g', topics: null })
      expect(topics.map(({ name, partitions }) => [name, partitions.length])).toEqual([['t', 1]])
    }
  })

  it('OffsetFetch v8 takes several groups, v10 topic ids', async () => {
    await commit(8, 5)
    const asked = [
      { groupId: 'g', topics: null },
      { groupId: 'other', topics: topicsAsked },
    ]
    const { groups } = await client.request(offsetFetch, 8, { groups: asked })
    expect(groups.map(({ topics }) => topics[0]!.partitions.map(({ committedOffset }) => committedOffset))).toEqual([
      [5],
      [-1, -1],
    ])
    const { id } = server.open.broker.topics.get('t')
    const topics = [
      { topicId: id, partitionIndexes: [0] },
      { topicId: 'ab'.repeat(16), partitionIndexes: [0] },
    ]
    const byId = await client.request(offsetFetch, 10, { groups: [{ groupId: 'g', topics }] })
    expect(byId.groups[0]!.topics.map(({ topicId, partitions }) => [topicId, partitions[0]!.errorCode])).toEqual([
      [id, 0],
      ['ab'.repeat(16), errorCodes.UNKNOWN_TOPIC_ID],
    ])
  })

  it('of a group named twice are refused, once', async () => {
    const groups = Array.from({ length: 1000 }, () => ({ groupId: 'g', topics: null }))
    const answer = await client.request(offsetFetch, 8, { groups: [...groups, { groupId: 'other', topics: null }] })
    expect(answer.groups.map(({ groupId, errorCode }) => [groupId, errorCode])).toEqual([
      ['g', errorCodes.INVALID_REQUEST],
      ['other', 0],
    ])
  })

  it('are deleted one by one, not while a member wants the topic', async () => {
    await commit(8, 5)
    const body = { groupId: 'g', topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] }
    expect((await client.request(offsetDelete, 0, body)).topics[0]!.partitions[0]!.errorCode).toBe(0)
    expect((await client.request(offsetDelete, 0, { ...body, groupId: 'none' })).errorCode).toBe(
      errorCodes.GROUP_ID_NOT_FOUND,
    )
    const { groups } = await client.request(offsetFetch, 8, { groups: [{ groupId: 'g', topics: null }] })
    expect(groups[0]!.topics).toEqual([])
  })

  it('go with their topic, whose id a new one does not have', async () => {
    await commit(8, 5)
    server.open.broker.topics.delete('t')
    server.open.broker.topics.ensure('t')
    const { topics } = await client.request(offsetFetch, 5, { groupId: 'g', topics: null })
    expect(topics).toEqual([])
    expect(server.open.broker.topics.get('t').id).not.toBe(ZERO_UUID)
  })
})

describe('groups', () => {
  it('are listed by state and type', async () => {
    await stableMember()
    await client.request(offsetCommit, 8, {
      groupId: 'empty',
      memberId: '',
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }] }],
    })
    const list = async (statesFilter: string[], typesFilter: string[]) =>
      (await client.request(listGroups, 5, { statesFilter, typesFilter })).groups.map(({ groupId }) => groupId).sort()
    expect(await list([], [])).toEqual(['empty', 'g'])
    expect(await list(['stable'], [])).toEqual(['g'])
    expect(await list([], ['Classic'])).toEqual(['empty', 'g'])
    expect(await list([], ['consumer'])).toEqual([])
  })

  it('are described with members and assignments', async () => {
    const { memberId } = await stableMember()
    const { groups } = await client.request(describeGroups, 6, { groups: ['g', 'g'] })
    expect(groups).toHaveLength(1)
    expect(groups[0]).toMatchObject({
      errorCode: 0,
      groupState: 'Stable',
      protocolType: 'consumer',
      protocolData: 'range',
    })
    expect(groups[0]!.members).toMatchObject([{ memberId, clientId: 'test', clientHost: '/127.0.0.1' }])
    expect(groups[0]!.members[0]!.memberAssignment.toString()).toBe('mine')
  })

  it('that nobody knows are Dead, and an error from version 6 on', async () => {
    const answer = async (version: number) =>
      (await client.request(describeGroups, version, { groups: ['x'] })).groups[0]
    expect(await answer(5)).toMatchObject({ errorCode: 0, groupState: 'Dead' })
    expect(await answer(6)).toMatchObject({ errorCode: errorCodes.GROUP_ID_NOT_FOUND, groupState: 'Dead' })
  })

  it('are deleted one by one', async () => {
    await commit(8, 1)
    const { results } = await client.request(deleteGroups, 2, { groupsNames: ['g', 'none'] })
    expect(results.map(({ errorCode }) => errorCode)).toEqual([0, errorCodes.GROUP_ID_NOT_FOUND])
  })
})

describe('a log that cannot be written', () => {
  it('refuses who would join, at once, and those who are in go on', async () => {
    const member = await stableMember()
    server.log.fail()
    // without it a member would wait for one that never comes, as long as a session
    expect((await join(3)).errorCode).toBe(errorCodes.COORDINATOR_NOT_AVAILABLE)
    const beat = await client.request(heartbeat, 4, { groupId: 'g', ...member })
    expect(beat.errorCode).toBe(0)
    expect(await commit(8, 1, member)).toBe(errorCodes.COORDINATOR_NOT_AVAILABLE)
  })
})

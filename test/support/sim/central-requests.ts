import type { AnyApi, RequestOf, ResponseInputOf } from '../../../src/wire/kafka/api.ts'
import { addPartitionsToTxn } from '../../../src/wire/kafka/contracts/add-partitions-to-txn.ts'
import { createTopics } from '../../../src/wire/kafka/contracts/create-topics.ts'
import { describeConfigs } from '../../../src/wire/kafka/contracts/describe-configs.ts'
import { endTxn } from '../../../src/wire/kafka/contracts/end-txn.ts'
import { fetch } from '../../../src/wire/kafka/contracts/fetch.ts'
import { findCoordinator } from '../../../src/wire/kafka/contracts/find-coordinator.ts'
import { initProducerId } from '../../../src/wire/kafka/contracts/init-producer-id.ts'
import { listOffsets } from '../../../src/wire/kafka/contracts/list-offsets.ts'
import { metadata } from '../../../src/wire/kafka/contracts/metadata.ts'
import { offsetCommit } from '../../../src/wire/kafka/contracts/offset-commit.ts'
import { offsetFetch } from '../../../src/wire/kafka/contracts/offset-fetch.ts'
import { produce } from '../../../src/wire/kafka/contracts/produce.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import {
  AT,
  attributesOf,
  producerEpochOf,
  producerIdOf,
  seal,
  TRANSACTIONAL_BIT,
} from '../../../src/wire/kafka/record-batch.ts'
import { type CentralCluster, centralHost } from './central-cluster.ts'
import type { Appended, CentralPartition } from './central-partition.ts'

/** How a request came. */
export interface CentralRequest {
  readonly cluster: CentralCluster
  /** The broker that got it. */
  readonly nodeId: number
  readonly version: number
  /** What it writes is written, and the answer says that too few replicas have it. */
  readonly isUnreplicated: boolean
}

interface Handler<A extends AnyApi> {
  readonly api: A
  readonly handle: (body: RequestOf<A>, request: CentralRequest) => ResponseInputOf<A>
  /** How long the answer is held back. */
  readonly holdMs?: ((body: RequestOf<A>, request: CentralRequest) => number) | undefined
}

export type Handlers = ReadonlyMap<number, Handler<AnyApi>>

const serve = <A extends AnyApi>(
  api: A,
  handle: Handler<A>['handle'],
  holdMs?: Handler<A>['holdMs'],
): [number, Handler<AnyApi>] => [api.key, { api, handle, holdMs } as unknown as Handler<AnyApi>]

const addressOf = (cluster: CentralCluster, nodeId: number) => ({
  nodeId,
  host: nodeId < 0 ? '' : centralHost,
  port: cluster.brokers[nodeId - 1]?.port ?? -1,
})

/** Topics are named by name or by id. */
const topicOf = (cluster: CentralCluster, name: string, id: string) =>
  name === '' ? [...cluster.topics.values()].find(topic => topic.id === id) : cluster.topics.get(name)

const ledBy = (partition: CentralPartition | undefined, nodeId: number): number => {
  if (partition === undefined) return errorCodes.UNKNOWN_TOPIC_OR_PARTITION
  return partition.leader === nodeId ? errorCodes.NONE : errorCodes.NOT_LEADER_OR_FOLLOWER
}

const coordinates = ({ cluster, nodeId }: CentralRequest): boolean => cluster.coordinator === nodeId

/** What one leader answers to one batch. */
const append = (partition: CentralPartition, batch: Buffer, id: string | null, request: CentralRequest): Appended => {
  const { cluster, version, isUnreplicated } = request
  const identity = { producerId: producerIdOf(batch), producerEpoch: producerEpochOf(batch) }
  const refuse = (errorCode: number): Appended => ({ errorCode, baseOffset: -1 })
  const refusal = cluster.refusal(batch, partition.topic)
  if (refusal !== 0) return refuse(refusal)
  if (id !== null && cluster.release === 'tv2' && version >= 12) {
    const added = cluster.transactions.add(id, identity, [partition])
    if (added !== errorCodes.NONE) return refuse(added)
  } else if (id !== null && cluster.release !== 'old' && !partition.hasOpen(identity.producerId)) {
    if (!cluster.transactions.isOpenOver(id, identity, partition)) return refuse(errorCodes.INVALID_TXN_STATE)
  }
  const appended = partition.append(cluster.bugs.countsAtOnce === partition.topic ? plain(batch) : batch)
  const isDoubtful = isUnreplicated && appended.errorCode === errorCodes.NONE
  return isDoubtful ? refuse(errorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND) : appended
}

/** The batch as if it were of no transaction. */
const plain = (batch: Buffer): Buffer => {
  const copy = Buffer.from(batch)
  copy.writeInt16BE(attributesOf(copy) & ~TRANSACTIONAL_BIT, AT.attributes)
  seal(copy)
  return copy
}

/** Who leads the partition, for those who asked another (KIP-951). */
const newLeaderOf = (partition: CentralPartition | undefined, errorCode: number, { version }: CentralRequest) =>
  errorCode === errorCodes.NOT_LEADER_OR_FOLLOWER && partition !== undefined && version >= 10
    ? { currentLeader: { leaderId: partition.leader, leaderEpoch: partition.leaderEpoch } }
    : {}

/** Until there is something to read, or the client has waited enough. */
const fetchHoldMs: NonNullable<Handler<typeof fetch>['holdMs']> = (body, { cluster, nodeId }) => {
  const hasAnswer = body.topics.some(({ topic: name, topicId, partitions }) =>
    partitions.some(({ partition: index, fetchOffset }) => {
      const partition = topicOf(cluster, name, topicId)?.partitions[index]
      if (partition === undefined || partition.leader !== nodeId) return true
      return fetchOffset !== (body.isolationLevel === 1 ? partition.lastStable : partition.end)
    }),
  )
  return hasAnswer ? 0 : body.maxWaitMs
}

/** The APIs that the uplink uses, as brokers answer them. */
export const centralHandlers: Handlers = new Map([
  serve(metadata, ({ topics }, { cluster, version }) => ({
    brokers: cluster.living.map(({ nodeId }) => ({ ...addressOf(cluster, nodeId), rack: null })),
    clusterId: 'central',
    controllerId: 1,
    topics: (topics ?? [...cluster.topics.values()].map(({ name }) => ({ name, topicId: '' }))).map(
      ({ name, topicId }) => {
        const found = topicOf(cluster, name ?? '', topicId)
        if (found === undefined)
          return { errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION, name: name ?? '', partitions: [] }
        return {
          errorCode: errorCodes.NONE,
          name: found.name,
          ...(version >= 10 ? { topicId: found.id } : {}),
          partitions: found.partitions.map(({ index, leader, leaderEpoch }) => ({
            errorCode: leader < 0 ? errorCodes.LEADER_NOT_AVAILABLE : errorCodes.NONE,
            partitionIndex: index,
            leaderId: leader,
            leaderEpoch,
            replicaNodes: [1, 2, 3],
            isrNodes: [1, 2, 3],
          })),
        }
      },
    ),
  })),

  serve(createTopics, ({ topics }, { cluster }) => ({
    topics: topics.map(({ name, numPartitions, configs }) => {
      if (cluster.topics.has(name)) return { name, errorCode: errorCodes.TOPIC_ALREADY_EXISTS, errorMessage: null }
      const values = new Map(configs.map(({ name: key, value }) => [key, value ?? '']))
      cluster.createTopic(name, numPartitions < 1 ? 3 : numPartitions, values)
      return { name, errorCode: errorCodes.NONE, errorMessage: null }
    }),
  })),

  serve(describeConfigs, ({ resources }, { cluster }) => ({
    results: resources.map(({ resourceType, resourceName }) => ({
      errorCode: cluster.topics.has(resourceName) ? errorCodes.NONE : errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
      errorMessage: null,
      resourceType,
      resourceName,
      configs: [...(cluster.topics.get(resourceName)?.configs ?? [])].map(([name, value]) => ({
        name,
        value,
        readOnly: false,
        configSource: 1,
        isSensitive: false,
        synonyms: [],
      })),
    })),
  })),

  serve(findCoordinator, ({ key, coordinatorKeys }, { cluster, version }) => {
    const missing = cluster.coordinator < 0 ? errorCodes.COORDINATOR_NOT_AVAILABLE : errorCodes.NONE
    const errorCode = cluster.withoutTransactions || missing
    const found = { ...addressOf(cluster, cluster.coordinator), errorCode, errorMessage: null }
    return version >= 4 ? { coordinators: coordinatorKeys.map(each => ({ key: each, ...found })) } : { ...found, key }
  }),

  serve(initProducerId, ({ transactionalId, transactionTimeoutMs }, request) => {
    if (transactionalId === null) return request.cluster.transactions.newProducerId()
    if (!coordinates(request)) return { errorCode: errorCodes.NOT_COORDINATOR, producerEpoch: -1 }
    const { cluster } = request
    return cluster.transactions.initProducerId(transactionalId, transactionTimeoutMs)
  }),

  serve(addPartitionsToTxn, (body, request) => {
    const { cluster } = request
    const identity = {
      producerId: body.v3AndBelowProducerId,
      producerEpoch: body.v3AndBelowProducerEpoch,
    }
    const named = body.v3AndBelowTopics.flatMap(({ name, partitions }) =>
      partitions.map(index => ({ name, index, found: cluster.partition(name, index) })),
    )
    const known = named.flatMap(({ found }) => (found === undefined ? [] : [found]))
    const all = known.length === named.length
    const added = coordinates(request)
      ? all
        ? cluster.transactions.add(body.v3AndBelowTransactionalId, identity, known)
        : errorCodes.OPERATION_NOT_ATTEMPTED
      : errorCodes.NOT_COORDINATOR
    return {
      resultsByTopicV3AndBelow: body.v3AndBelowTopics.map(({ name, partitions }) => ({
        name,
        resultsByPartition: partitions.map(partitionIndex => ({
          partitionIndex,
          partitionErrorCode:
            cluster.partition(name, partitionIndex) === undefined ? errorCodes.UNKNOWN_TOPIC_OR_PARTITION : added,
        })),
      })),
    }
  }),

  serve(endTxn, ({ transactionalId, producerId, producerEpoch, committed }, request) => {
    if (!coordinates(request)) return { errorCode: errorCodes.NOT_COORDINATOR }
    const ended = request.cluster.transactions.end(transactionalId, { producerId, producerEpoch }, committed)
    return request.version >= 5 ? ended : { errorCode: ended.errorCode }
  }),

  serve(produce, ({ transactionalId, topicData }, request) => ({
    nodeEndpoints:
      request.version >= 10
        ? request.cluster.living.map(({ nodeId }) => ({ ...addressOf(request.cluster, nodeId), rack: null }))
        : [],
    responses: topicData.map(({ name, topicId, partitionData }) => {
      const topic = topicOf(request.cluster, name, topicId)
      return {
        ...(request.version >= 13 ? { topicId } : { name }),
        partitionResponses: partitionData.map(({ index, records }) => {
          const partition = topic?.partitions[index]
          const errorCode = ledBy(partition, request.nodeId)
          const appended =
            partition === undefined || records === null || errorCode !== errorCodes.NONE
              ? { errorCode, baseOffset: -1 }
              : append(partition, records, transactionalId, request)
          return { index, ...appended, ...newLeaderOf(partition, appended.errorCode, request) }
        }),
      }
    }),
  })),

  serve(offsetCommit, ({ groupId, topics }, { cluster, version }) => ({
    topics: topics.map(({ name, topicId, partitions }) => ({
      ...(version >= 10 ? { topicId } : { name }),
      partitions: partitions.map(({ partitionIndex, committedOffset, committedMetadata }) => {
        const topic = topicOf(cluster, version >= 10 ? '' : name, topicId)
        if (topic === undefined) return { partitionIndex, errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION }
        cluster.commits.set(`${groupId}/${topic.name}/${partitionIndex}`, [committedOffset, committedMetadata])
        return { partitionIndex, errorCode: errorCodes.NONE }
      }),
    })),
  })),

  serve(offsetFetch, ({ groups }, { cluster, version }) => ({
    groups: groups.map(({ groupId, topics }) => ({
      groupId,
      errorCode: errorCodes.NONE,
      topics: (topics ?? []).map(({ name, topicId, partitionIndexes }) => ({
        ...(version >= 10 ? { topicId } : { name }),
        partitions: partitionIndexes.map(partitionIndex => {
          const topic = topicOf(cluster, version >= 10 ? '' : name, topicId)
          const [committedOffset, metadata] = cluster.commits.get(`${groupId}/${topic?.name}/${partitionIndex}`) ?? [
            -1,
            '',
          ]
          return { partitionIndex, errorCode: errorCodes.NONE, committedOffset, metadata }
        }),
      })),
    })),
  })),

  serve(listOffsets, ({ topics, isolationLevel }, { cluster, nodeId }) => ({
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, timestamp }) => {
        const partition = cluster.partition(name, partitionIndex)
        const errorCode = ledBy(partition, nodeId)
        if (partition === undefined || errorCode !== errorCodes.NONE) return { partitionIndex, errorCode }
        const end = isolationLevel === 1 ? partition.lastStable : partition.end
        return { partitionIndex, errorCode, offset: timestamp === -2 ? partition.start : end }
      }),
    })),
  })),

  serve(
    fetch,
    ({ topics, isolationLevel }, { cluster, nodeId, version }) => ({
      errorCode: errorCodes.NONE,
      responses: topics.map(({ topic: name, topicId, partitions }) => {
        const topic = topicOf(cluster, name, topicId)
        return {
          ...(version >= 13 ? { topicId } : { topic: name }),
          partitions: partitions.map(({ partition: partitionIndex, fetchOffset, partitionMaxBytes }) => {
            const partition = topic?.partitions[partitionIndex]
            const errorCode = ledBy(partition, nodeId)
            const nothing = { partitionIndex, errorCode, highWatermark: -1, abortedTransactions: null, records: null }
            if (partition === undefined || errorCode !== errorCodes.NONE) return nothing
            if (fetchOffset < partition.start || fetchOffset > partition.end)
              return { ...nothing, errorCode: errorCodes.OFFSET_OUT_OF_RANGE }
            const highWatermark = partition.end
            const lastStableOffset = partition.lastStable
            const read = partition.read(fetchOffset, partitionMaxBytes, isolationLevel === 1)
            return { partitionIndex, errorCode, highWatermark, lastStableOffset, ...read }
          }),
        }
      }),
    }),
    fetchHoldMs,
  ),
])

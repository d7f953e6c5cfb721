import { fetch } from '../wire/kafka/contracts/fetch.ts'
import type { BrokerConnection } from './broker-connection.ts'
import type { Cluster } from './cluster.ts'
import { checkCode } from './kafka-error.ts'
import type { FetchedRecord, PartitionReader } from './partition-reader.ts'

/**
 * The next records of several partitions, with one request to each of their leaders; all readers have the options of the first. What
 * went wrong with one partition is thrown only when the others gave nothing: no record that a position has passed is lost. With `onFailure`
 * it is told, and nothing is thrown.
 */
export const readTogether = async (
  cluster: Cluster,
  readers: readonly PartitionReader[],
): Promise<readonly FetchedRecord[]> => {
  const byLeader = new Map<BrokerConnection, PartitionReader[]>()
  const failures: Failure[] = []
  for (const reader of readers.toSorted((one, other) => one.served - other.served)) {
    try {
      const leader = await cluster.leader(reader.source.topic, reader.source.partition)
      const others = byLeader.get(leader)
      if (others === undefined) byLeader.set(leader, [reader])
      else others.push(reader)
    } catch (error) {
      failures.push({ reader, error })
    }
  }
  const records: FetchedRecord[] = []
  const fetches = [...byLeader].map(([leader, group]) =>
    fetchFrom(cluster, leader, group).catch((error: unknown) => ({
      records: [],
      failures: group.map(reader => ({ reader, error })),
    })),
  )
  for (const fetched of await Promise.all(fetches)) {
    records.push(...fetched.records)
    failures.push(...fetched.failures)
  }
  tell(failures, records.length === 0)
  return records
}

interface Failure {
  readonly reader: PartitionReader
  readonly error: unknown
}

const tell = (failures: readonly Failure[], isAll: boolean): void => {
  for (const { reader, error } of failures) {
    const { onFailure } = reader.options
    if (onFailure !== undefined) onFailure(reader.source, error)
    else if (isAll) throw error
  }
}

const fetchFrom = async (
  cluster: Cluster,
  leader: BrokerConnection,
  readers: readonly PartitionReader[],
): Promise<{ readonly records: readonly FetchedRecord[]; readonly failures: readonly Failure[] }> => {
  const { maxWaitMs, maxBytes, readCommitted } = readers[0]!.options
  const topics = await Promise.all(
    [...new Set(readers.map(({ source }) => source.topic))].map(name => cluster.topic(name)),
  )
  const wanted = topics.map(({ name, id }) => ({
    topic: name,
    topicId: readers.find(({ source }) => source.topic === name)?.source.topicId ?? id,
    partitions: readers
      .filter(({ source }) => source.topic === name)
      .map(({ source, position }) => ({
        partition: source.partition,
        fetchOffset: position,
        partitionMaxBytes: maxBytes,
      })),
  }))
  const body = { maxWaitMs, minBytes: 1, maxBytes, isolationLevel: readCommitted ? 1 : 0, forgottenTopicsData: [] }
  const answer = await leader.request(fetch, { ...body, topics: wanted }, maxWaitMs).catch((error: unknown) => {
    // the leaders may be others by now
    for (const { name } of topics) cluster.forget(name)
    throw error
  })
  checkCode(answer.errorCode, 'fetch')
  const records: FetchedRecord[] = []
  const failures: Failure[] = []
  const moved: PartitionReader[] = []
  for (const { topic, topicId, partitions } of answer.responses) {
    const name = topic || wanted.find(one => one.topicId === topicId)?.topic
    for (const partition of partitions) {
      const reader = readers.find(
        ({ source }) => source.topic === name && source.partition === partition.partitionIndex,
      )
      if (reader === undefined) continue
      if (cluster.follow(reader.source, partition.errorCode, partition.currentLeader, answer.nodeEndpoints)) {
        moved.push(reader)
        continue
      }
      try {
        records.push(...(await reader.take(partition)))
      } catch (error) {
        failures.push({ reader, error })
      }
    }
  }
  // with records in hand they have their turn at the next read: what fails there must not take these along
  if (records.length === 0 && moved.length > 0) return { records: await readTogether(cluster, moved), failures }
  return { records, failures }
}

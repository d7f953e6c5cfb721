import { ZERO_UUID } from '../core/uuid.ts'
import { createPartitions } from '../wire/kafka/contracts/create-partitions.ts'
import { createTopics } from '../wire/kafka/contracts/create-topics.ts'
import { deleteTopics } from '../wire/kafka/contracts/delete-topics.ts'
import { describeConfigs } from '../wire/kafka/contracts/describe-configs.ts'
import { incrementalAlterConfigs } from '../wire/kafka/contracts/incremental-alter-configs.ts'
import type { Cluster } from './cluster.ts'
import { checkCode } from './kafka-error.ts'

const topicResource = 2
const setOperation = 0
const deleteOperation = 1
const topicSource = 1
const timeoutMs = 30_000

export interface NewTopic {
  readonly name: string
  /** -1: the cluster's default. */
  readonly partitions: number
  readonly replicationFactor: number
  readonly configs: ReadonlyMap<string, string>
}

export interface TopicConfig {
  readonly name: string
  readonly value: string | null
  /** Set for this topic, not a default. */
  readonly own: boolean
  readonly documentation: string | null
}

export const createTopic = async (
  cluster: Cluster,
  { name, partitions, replicationFactor, configs }: NewTopic,
): Promise<void> => {
  const connection = await cluster.any()
  const answer = await connection.request(createTopics, {
    topics: [
      {
        name,
        numPartitions: partitions,
        replicationFactor,
        assignments: [],
        configs: [...configs].map(([key, value]) => ({ name: key, value })),
      },
    ],
    timeoutMs,
  })
  for (const topic of answer.topics) checkCode(topic.errorCode, `create topic ${name}`, topic.errorMessage)
}

export const deleteTopic = async (cluster: Cluster, name: string): Promise<void> => {
  const connection = await cluster.any()
  const answer = await connection.request(deleteTopics, {
    topics: [{ name, topicId: ZERO_UUID }],
    topicNames: [name],
    timeoutMs,
  })
  for (const topic of answer.responses) checkCode(topic.errorCode, `delete topic ${name}`, topic.errorMessage)
}

/** Raises the number of partitions to `count`. */
export const growTopic = async (cluster: Cluster, name: string, count: number): Promise<void> => {
  const connection = await cluster.any()
  const answer = await connection.request(createPartitions, {
    topics: [{ name, count, assignments: null }],
    timeoutMs,
    validateOnly: false,
  })
  for (const topic of answer.results) checkCode(topic.errorCode, `add partitions to ${name}`, topic.errorMessage)
}

export const topicConfigs = async (cluster: Cluster, name: string): Promise<readonly TopicConfig[]> => {
  const connection = await cluster.any()
  const answer = await connection.request(describeConfigs, {
    resources: [{ resourceType: topicResource, resourceName: name, configurationKeys: null }],
    includeDocumentation: true,
  })
  const found = answer.results[0]
  checkCode(found?.errorCode ?? 0, `configs of topic ${name}`, found?.errorMessage)
  return (found?.configs ?? []).map(({ name: key, value, configSource, documentation }) => ({
    name: key,
    value,
    own: configSource === topicSource,
    documentation,
  }))
}

/** Sets the configs; a null value goes back to the default. */
export const alterTopicConfigs = async (
  cluster: Cluster,
  name: string,
  changes: ReadonlyMap<string, string | null>,
): Promise<void> => {
  const connection = await cluster.any()
  const answer = await connection.request(incrementalAlterConfigs, {
    resources: [
      {
        resourceType: topicResource,
        resourceName: name,
        configs: [...changes].map(([key, value]) => ({
          name: key,
          configOperation: value === null ? deleteOperation : setOperation,
          value,
        })),
      },
    ],
    validateOnly: false,
  })
  for (const resource of answer.responses) checkCode(resource.errorCode, `alter topic ${name}`, resource.errorMessage)
}

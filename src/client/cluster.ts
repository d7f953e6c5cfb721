import type { Clock } from '../platform/clock.ts'
import type { ListenAddress, Network } from '../platform/network.ts'
import { findCoordinator } from '../wire/kafka/contracts/index.ts'
import { metadata } from '../wire/kafka/contracts/metadata.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import { BrokerConnection, type ConnectOptions } from './broker-connection.ts'
import { ConnectionLost, checkCode, KafkaError } from './kafka-error.ts'

export interface ClusterOptions extends ConnectOptions {
  /** Asked in order until one answers. */
  readonly bootstrap: readonly ListenAddress[]
}

export interface TopicMetadata {
  readonly name: string
  /** 32 hex digits; zeros from brokers that have no topic ids. */
  readonly id: string
  readonly internal: boolean
  /** Index 0 first. `leader` is a node id, -1 while there is none. */
  readonly partitions: readonly { readonly leader: number; readonly leaderEpoch: number; readonly replicas: number }[]
}

const coordinatorConnections = 1 << 30

/** A Kafka cluster as a client sees it: connections by node, topic metadata, coordinators. */
export class Cluster {
  readonly clock: Clock
  readonly #network: Network
  readonly #options: ClusterOptions
  readonly #nodes = new Map<number, ListenAddress>()
  readonly #connections = new Map<number, Promise<BrokerConnection>>()
  readonly #topics = new Map<string, TopicMetadata>()
  #bootstrap: Promise<BrokerConnection> | undefined

  constructor(network: Network, clock: Clock, options: ClusterOptions) {
    this.#network = network
    this.clock = clock
    this.#options = options
  }

  /** A connection to any broker: to the first bootstrap address that answers. Rejects with `ConnectionLost` naming all of them. */
  async any(): Promise<BrokerConnection> {
    const present = await this.#bootstrap?.catch(() => undefined)
    if (present?.usable) return present
    this.#bootstrap = this.#connectBootstrap()
    return this.#bootstrap
  }

  /** Asks for the topics (null: all of them). Missing ones are left out unless `create`, then the broker makes them if it may. */
  async describe(
    names: readonly string[] | null,
    options: { create?: boolean } = {},
  ): Promise<readonly TopicMetadata[]> {
    const connection = await this.any()
    const answer = await connection.request(metadata, {
      topics: names?.map(name => ({ name })) ?? null,
      allowAutoTopicCreation: options.create ?? false,
    })
    for (const { nodeId, host, port } of answer.brokers) this.#nodes.set(nodeId, { host, port })
    const found: TopicMetadata[] = []
    for (const topic of answer.topics) {
      if (topic.errorCode === errorCodes.UNKNOWN_TOPIC_OR_PARTITION && !options.create) continue
      checkCode(topic.errorCode, `topic ${topic.name}`)
      const partitions = topic.partitions
        .toSorted((a, b) => a.partitionIndex - b.partitionIndex)
        .map(({ leaderId, leaderEpoch, replicaNodes }) => ({
          leader: leaderId,
          leaderEpoch,
          replicas: replicaNodes.length,
        }))
      const described = { name: topic.name ?? '', id: topic.topicId, internal: topic.isInternal, partitions }
      this.#topics.set(described.name, described)
      found.push(described)
    }
    return found
  }

  /** Metadata of one topic, from memory where it is known. Throws `KafkaError` when there is no such topic. */
  async topic(name: string, options: { create?: boolean; refresh?: boolean } = {}): Promise<TopicMetadata> {
    const known = options.refresh ? undefined : this.#topics.get(name)
    if (known !== undefined) return known
    const [topic] = await this.describe([name], options)
    if (topic === undefined) throw new KafkaError(errorCodes.UNKNOWN_TOPIC_OR_PARTITION, `topic ${name}`)
    return topic
  }

  /** A connection to the leader of the partition. Throws a retriable `KafkaError` while there is none. */
  async leader(topic: string, partition: number): Promise<BrokerConnection> {
    const node = (await this.topic(topic)).partitions[partition]?.leader ?? -1
    if (node >= 0) return this.#connected(node, node)
    this.#topics.delete(topic)
    throw new KafkaError(errorCodes.LEADER_NOT_AVAILABLE, `partition ${partition} of ${topic}`)
  }

  /** What was known of the topic is stale: the next use asks again. */
  forget(topic: string): void {
    this.#topics.delete(topic)
  }

  /** The group's coordinator, on a connection of its own: its long answers must not hold up fetches. */
  async coordinator(groupId: string): Promise<BrokerConnection> {
    const connection = await this.any()
    const answer = await connection.request(findCoordinator, version =>
      version >= 4 ? { coordinatorKeys: [groupId] } : { key: groupId },
    )
    const found = answer.coordinators[0] ?? answer
    checkCode(found.errorCode, `coordinator of group ${groupId}`, found.errorMessage)
    this.#nodes.set(found.nodeId, { host: found.host, port: found.port })
    return this.#connected(found.nodeId + coordinatorConnections, found.nodeId)
  }

  close(): void {
    for (const connection of [...this.#connections.values(), this.#bootstrap]) {
      connection?.then(
        opened => opened.close(),
        () => undefined,
      )
    }
  }

  async #connectBootstrap(): Promise<BrokerConnection> {
    const failures: string[] = []
    for (const address of this.#options.bootstrap) {
      try {
        return await BrokerConnection.open(this.#network, this.clock, address, this.#options)
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error
        failures.push(error.message)
      }
    }
    throw new ConnectionLost(`${failures.join('; ')}; is the gateway running, and is --bootstrap its Kafka listener?`)
  }

  async #connected(slot: number, node: number): Promise<BrokerConnection> {
    const present = await this.#connections.get(slot)?.catch(() => undefined)
    if (present?.usable) return present
    const address = this.#nodes.get(node)
    if (address === undefined) throw new ConnectionLost(`the cluster has not said where node ${node} is`)
    const opening = BrokerConnection.open(this.#network, this.clock, address, this.#options)
    this.#connections.set(slot, opening)
    return opening
  }
}

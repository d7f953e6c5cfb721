import type { Clock } from '../platform/clock.ts'
import type { ListenAddress, Network } from '../platform/network.ts'
import { findCoordinator } from '../wire/kafka/contracts/find-coordinator.ts'
import { metadata } from '../wire/kafka/contracts/metadata.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import { BrokerConnection, type ConnectOptions } from './broker-connection.ts'
import { ConnectionLost, checkCode, isUnknownTopic, KafkaError } from './kafka-error.ts'
import type { TopicPartition } from './partition-offsets.ts'
import { retrying } from './retry.ts'
import { SharedConnection } from './shared-connection.ts'

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

/** A leader as the answers of brokers name it; ids and epochs of -1 say nothing. */
export interface LeaderAndEpoch {
  readonly leaderId: number
  readonly leaderEpoch: number
}

export interface NodeEndpoint {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

/** A cluster that has no coordinator yet, or no leader of a topic made just now, has it within this time. */
const electionMs = 10_000

/** Brokers of KRaft answer "unknown" while they make the topic that was asked for. */
const creationMs = 2_000

/** Key types of FindCoordinator. */
const coordinatorKinds = { group: 0, transaction: 1 } as const
type CoordinatorKind = keyof typeof coordinatorKinds

const coordinatorKey = (kind: CoordinatorKind, key: string): string => `${kind} ${key}`

const isElecting = (error: unknown): boolean => error instanceof KafkaError && error.retriable && !isUnknownTopic(error)

/** A Kafka cluster as a client sees it: connections by node, topic metadata, coordinators. */
export class Cluster {
  readonly clock: Clock
  readonly #network: Network
  readonly #options: ClusterOptions
  readonly #nodes = new Map<number, ListenAddress>()
  readonly #connections = new Map<string, SharedConnection>()
  readonly #topics = new Map<string, TopicMetadata>()
  /** Node of each coordinator, by the kind of its key and the key. */
  readonly #coordinators = new Map<string, number>()
  #sentBytes = 0
  #closed = false

  constructor(network: Network, clock: Clock, options: ClusterOptions) {
    this.#network = network
    this.clock = clock
    const countSent = (bytes: number): void => {
      this.#sentBytes += bytes
    }
    this.#options = { ...options, countSent }
  }

  /** Bytes of all requests so far. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  /** A connection to any broker: the first that answers of the bootstrap addresses and the brokers known. Rejects with `ConnectionLost` naming all. */
  any(): Promise<BrokerConnection> {
    return this.#shared('any').get(() => this.#openFirst([...this.#options.bootstrap, ...this.#nodes.values()]))
  }

  /** A connection to every broker of the cluster. */
  async everyBroker(): Promise<readonly BrokerConnection[]> {
    await this.describe([])
    return Promise.all([...this.#nodes.keys()].map(node => this.#connected(`node ${node}`, node)))
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
    if (answer.brokers.length > 0) this.#nodes.clear()
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

  /**
   * Metadata of one topic, from memory where it is known. Throws `KafkaError` when there is no such topic. A topic that is being made is
   * waited for.
   */
  async topic(name: string, options: { create?: boolean; refresh?: boolean } = {}): Promise<TopicMetadata> {
    const known = options.refresh ? undefined : this.#topics.get(name)
    if (known !== undefined) return known
    const creationEndsMs = this.clock.monotonicMs() + (options.create ? creationMs : 0)
    const mayCome = (error: unknown): boolean =>
      isElecting(error) || (isUnknownTopic(error) && this.clock.monotonicMs() < creationEndsMs)
    const [topic] = await retrying(this.clock, electionMs, mayCome, () => this.describe([name], options))
    if (topic === undefined)
      throw new KafkaError(errorCodes.UNKNOWN_TOPIC_OR_PARTITION, `topic ${name}`, 'there is no such topic')
    return topic
  }

  /** A connection to the leader of the partition. Throws a retriable `KafkaError` while there is none. */
  async leader(topic: string, partition: number): Promise<BrokerConnection> {
    const { partitions } = await this.topic(topic)
    const node = partitions[partition]?.leader ?? -1
    if (node >= 0) return this.#connected(`node ${node}`, node)
    this.forget(topic)
    const about = `partition ${partition} of ${topic}`
    if (partition < partitions.length) throw new KafkaError(errorCodes.LEADER_NOT_AVAILABLE, about)
    throw new KafkaError(errorCodes.UNKNOWN_TOPIC_OR_PARTITION, about, `the topic has ${partitions.length} partitions`)
  }

  /**
   * Takes the leader that a broker names where it refuses because it leads the partition no more (KIP-951). False: it names none, or none that is newer
   * than what is known.
   */
  follow(
    { topic, partition }: TopicPartition,
    errorCode: number,
    { leaderId, leaderEpoch }: LeaderAndEpoch,
    endpoints: readonly NodeEndpoint[],
  ): boolean {
    const known = this.#topics.get(topic)
    const before = known?.partitions[partition]
    if (errorCode !== errorCodes.NOT_LEADER_OR_FOLLOWER || leaderId < 0 || known === undefined || before === undefined)
      return false
    if (leaderEpoch <= before.leaderEpoch) return false
    for (const { nodeId, host, port } of endpoints) this.#nodes.set(nodeId, { host, port })
    if (!this.#nodes.has(leaderId)) return false
    const partitions = known.partitions.with(partition, { ...before, leader: leaderId, leaderEpoch })
    this.#topics.set(topic, { ...known, partitions })
    return true
  }

  /** What was known of the topic is stale: the next use asks again. */
  forget(topic: string): void {
    this.#topics.delete(topic)
  }

  /**
   * The group's coordinator, on a connection of its own: its long answers must not hold up fetches. With `urgent` on the connection that
   * fetches use: behind a parked JoinGroup nothing else would be answered.
   */
  coordinator(groupId: string, { urgent = false } = {}): Promise<BrokerConnection> {
    return this.#coordinator('group', groupId, urgent ? 'node' : 'coordinator')
  }

  /** The group may have another coordinator by now: the next use asks. */
  forgetCoordinator(groupId: string): void {
    this.#coordinators.delete(coordinatorKey('group', groupId))
  }

  /** The coordinator of a transactional id; what it answers is never held back. */
  transactionCoordinator(transactionalId: string): Promise<BrokerConnection> {
    return this.#coordinator('transaction', transactionalId, 'node')
  }

  /** What was learned of topics and coordinators is stale: the next uses ask again. */
  forgetAll(): void {
    this.#topics.clear()
    this.#coordinators.clear()
  }

  /** Ends all connections; nothing can be asked any more. */
  close(): void {
    this.#closed = true
    for (const connection of this.#connections.values()) connection.close()
  }

  async #coordinator(kind: CoordinatorKind, key: string, use: string): Promise<BrokerConnection> {
    const found = this.#coordinators.get(coordinatorKey(kind, key)) ?? (await this.#findCoordinator(kind, key))
    try {
      return await this.#connected(`${use} ${found}`, found)
    } catch (error) {
      this.#coordinators.delete(coordinatorKey(kind, key))
      throw error
    }
  }

  #findCoordinator(kind: CoordinatorKind, key: string): Promise<number> {
    return retrying(this.clock, electionMs, isElecting, async () => {
      const connection = await this.any()
      const keyType = coordinatorKinds[kind]
      const answer = await connection.request(findCoordinator, version => {
        if (version >= 4) return { coordinatorKeys: [key], keyType }
        return version === 0 ? { key } : { key, keyType }
      })
      const found = answer.coordinators[0] ?? answer
      checkCode(found.errorCode, `coordinator of ${kind} ${key}`, found.errorMessage)
      this.#nodes.set(found.nodeId, { host: found.host, port: found.port })
      this.#coordinators.set(coordinatorKey(kind, key), found.nodeId)
      return found.nodeId
    })
  }

  async #openFirst(addresses: readonly ListenAddress[]): Promise<BrokerConnection> {
    const failures = new Set<string>()
    for (const address of addresses) {
      try {
        return await this.#openConnection(address)
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error
        failures.add(error.message)
      }
    }
    throw new ConnectionLost([...failures].join('; '))
  }

  #connected(use: string, node: number): Promise<BrokerConnection> {
    const address = this.#nodes.get(node)
    if (address !== undefined) return this.#shared(use).get(() => this.#openConnection(address))
    return Promise.reject(new ConnectionLost(`the cluster has not said where node ${node} is`))
  }

  #shared(use: string): SharedConnection {
    let connection = this.#connections.get(use)
    if (connection === undefined) this.#connections.set(use, (connection = new SharedConnection()))
    return connection
  }

  #openConnection(address: ListenAddress): Promise<BrokerConnection> {
    if (this.#closed) return Promise.reject(new ConnectionLost('the client is closed'))
    return BrokerConnection.open(this.#network, this.clock, address, this.#options)
  }
}

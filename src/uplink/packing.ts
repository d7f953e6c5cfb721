import type { Broker } from '../broker/broker.ts'
import type { TopicMetadata } from '../client/cluster.ts'
import type { Settings } from '../config/settings.ts'
import type { Lane } from './lane.ts'
import { type AddHeaders, gatewayHeader, type Origin, originHeaders } from './origin-headers.ts'
import { type Outgoing, outgoingBatches } from './outgoing-batches.ts'
import type { NewTarget } from './target-topics.ts'

/** What the settings say of how records are written for the central cluster. */
export class Packing {
  readonly #settings: Settings
  readonly #origin: Omit<Origin, 'topic' | 'partition'>
  readonly #broker: Broker
  readonly #headers: 'none' | 'gateway' | 'full'
  /** Partitions that the targets had when they were last sent to. */
  readonly #targetPartitions = new Map<string, number>()
  readonly #addHeaders = new WeakMap<Lane, AddHeaders>()

  constructor(settings: Settings, origin: Omit<Origin, 'topic' | 'partition'>, broker: Broker) {
    this.#settings = settings
    this.#origin = origin
    this.#broker = broker
    this.#headers = headersOf(settings)
  }

  /** A target as it is made when it is missing. */
  newTarget(lane: Lane): NewTarget {
    const topic = this.#broker.topics.find(lane.topic)
    return {
      partitions: this.#settings['uplink.partitions'] || this.#partitionsOf(lane),
      replicas: this.#settings['uplink.replication.factor'],
      isCompacted: topic?.configs.get('cleanup.policy') === 'compact',
    }
  }

  readonly pack = (lane: Lane, target: TopicMetadata, stored: readonly Buffer[]): Promise<Outgoing> => {
    this.#targetPartitions.set(target.name, target.partitions.length)
    return outgoingBatches(stored, lane.next, {
      partition: lane.partition,
      partitions: this.#partitionsOf(lane),
      targetPartitions: target.partitions.length,
      addHeaders: this.#addHeadersOf(lane),
      compression: this.#settings['uplink.compression.type'],
      batchBytes: this.#settings['uplink.batch.size'],
    })
  }

  /** May a record of the lane stand in this partition of its target? */
  mayReach(lane: Lane, targetPartition: number): boolean {
    const isSame = this.#targetPartitions.get(lane.target) === this.#partitionsOf(lane)
    return !isSame || lane.partition === targetPartition
  }

  #partitionsOf({ topic }: Lane): number {
    return this.#broker.topics.find(topic)?.partitions.length ?? 1
  }

  #addHeadersOf(lane: Lane): AddHeaders | undefined {
    if (this.#headers === 'none') return undefined
    let add = this.#addHeaders.get(lane)
    if (add === undefined) {
      const origin = { ...this.#origin, topic: lane.topic, partition: lane.partition }
      add = this.#headers === 'full' ? originHeaders(origin) : gatewayHeader(origin)
      this.#addHeaders.set(lane, add)
    }
    return add
  }
}

const headersOf = (settings: Settings): 'none' | 'gateway' | 'full' => {
  const { 'uplink.headers': wanted, 'uplink.rename': rename } = settings
  if (wanted !== 'auto') return wanted
  return rename.parts.some(part => 'name' in part && part.name === 'gateway') ? 'none' : 'gateway'
}

import type { Broker } from '../broker/broker.ts'
import type { TopicMetadata } from '../client/cluster.ts'
import type { Settings } from '../config/settings.ts'
import type { Clock } from '../platform/clock.ts'
import type { Lane } from './lane.ts'
import type { LinkRate } from './link-rate.ts'
import { type AddHeaders, gatewayHeader, type Origin, originHeaders } from './origin-headers.ts'
import { type CentralPlace, type Outgoing, outgoingBatches } from './outgoing-batches.ts'
import type { NewTarget } from './target-topics.ts'
import type { Thinning } from './thinning.ts'
import type { Hole } from './track.ts'

/** A hole, and how much of it goes over the link at once. */
export interface LoadedHole extends Hole {
  readonly limitBytes: number
  readonly thinning: Thinning | undefined
}

/** A batch that is cut for a slow link holds at least this many bytes of records. */
const leastBatchBytes = 4 << 10
const leastReadBytes = 64 << 10
/** Read at once, of one lane. */
const mostReadBytes = 1 << 20
/** Windows of bytes that a batch may take as it is stored: the link carries it in some seconds. */
const windowsOfStored = 4

type OwnOrigin = Omit<Origin, 'topic' | 'topicId' | 'partition'>

type HeaderKind = 'none' | 'gateway' | 'full'

/** What a session knows of a target. */
export interface PackingRules {
  /** Each record names its origin, whatever the settings say. */
  readonly named: boolean
  /** Records of the lane that stand there already, by their offsets here. */
  readonly present: ReadonlyMap<number, CentralPlace>
}

/** What the settings say of how records are written for the central cluster. */
export class Packing {
  readonly #settings: Settings
  readonly #origin: OwnOrigin
  readonly #broker: Broker
  readonly #headers: HeaderKind
  /** Partitions that the targets had when they were last sent to. */
  readonly #targetPartitions = new Map<string, number>()
  readonly #addHeaders = new WeakMap<Lane, { readonly kind: HeaderKind; readonly add: AddHeaders }>()
  /** Stored bytes that made one byte on the link. */
  readonly #expansion = new WeakMap<Lane, number>()
  /** Bytes of records in a batch that brokers took nothing larger than, by target. */
  readonly #mostBytes = new Map<string, number>()
  readonly #rate: LinkRate
  readonly #afterIo: () => Promise<void>

  constructor(settings: Settings, origin: OwnOrigin, broker: Broker, rate: LinkRate, clock: Clock) {
    this.#rate = rate
    this.#afterIo = () => new Promise(resolve => clock.afterIo(resolve))
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

  /** How much to read at once of the lane for so many bytes on the link. */
  readBytes(lane: Lane, bytes: number): number {
    return Math.min(mostReadBytes, Math.max(leastReadBytes, Math.ceil(bytes * this.#expansionOf(lane))))
  }

  /** The records of a hole, as they go to the target, some `limitBytes` of them. */
  async pack(
    lane: Lane,
    target: TopicMetadata,
    stored: AsyncIterable<Buffer>,
    { first, end, limitBytes, thinning }: LoadedHole,
    { named, present }: PackingRules,
  ): Promise<Outgoing> {
    this.#targetPartitions.set(target.name, target.partitions.length)
    const mostBytes = this.#mostBytes.get(target.name) ?? Number.POSITIVE_INFINITY
    // a batch is not cut on its way: one as large as the window would have the link wait for its answer
    const sentBytes = Math.min(limitBytes, this.#rate.waveBytes)
    const carriedBytes = Math.max(leastBatchBytes, sentBytes * this.#expansionOf(lane))
    const outgoing = await outgoingBatches(stored, first, {
      end,
      thinning,
      partition: lane.partition,
      partitions: this.#partitionsOf(lane),
      targetPartitions: target.partitions.length,
      addHeaders: this.#addHeadersOf(lane, named ? 'full' : this.#headers),
      present,
      compression: this.#settings['uplink.compression.type'],
      batchBytes: Math.min(this.#settings['uplink.batch.size'], carriedBytes, mostBytes),
      mostStoredBytes: Math.min(windowsOfStored * this.#rate.windowBytes, mostBytes),
      limitBytes,
      afterIo: this.#afterIo,
    })
    if (outgoing.bytes > 0) this.#expansion.set(lane, Math.max(1, outgoing.storedBytes / outgoing.bytes))
    return outgoing
  }

  /** A batch of so many bytes is too large for the target: later ones hold at most half. */
  shrink(target: string, batchBytes: number): void {
    const before = this.#mostBytes.get(target) ?? this.#settings['uplink.batch.size']
    this.#mostBytes.set(target, Math.floor(Math.min(before, batchBytes) / 2))
  }

  #expansionOf(lane: Lane): number {
    return this.#expansion.get(lane) ?? 1
  }

  /** Partitions of the target that records of the lane go to. */
  reached(lane: Lane, { partitions }: TopicMetadata): readonly number[] {
    return partitions.length === this.#partitionsOf(lane) ? [lane.partition] : [...partitions.keys()]
  }

  /** May a record of the lane stand in this partition of its target? */
  mayReach(lane: Lane, targetPartition: number): boolean {
    const isSame = this.#targetPartitions.get(lane.target) === this.#partitionsOf(lane)
    return !isSame || lane.partition === targetPartition
  }

  #partitionsOf({ topic }: Lane): number {
    return this.#broker.topics.find(topic)?.partitions.length ?? 1
  }

  #addHeadersOf(lane: Lane, kind: HeaderKind): AddHeaders | undefined {
    if (kind === 'none') return undefined
    const known = this.#addHeaders.get(lane)
    if (known?.kind === kind) return known.add
    const { topic, topicId, partition } = lane
    const origin = { ...this.#origin, topic, topicId, partition }
    const add = kind === 'full' ? originHeaders(origin) : gatewayHeader(origin)
    this.#addHeaders.set(lane, { kind, add })
    return add
  }
}

const headersOf = (settings: Settings): HeaderKind => {
  const { 'uplink.headers': wanted, 'uplink.rename': rename } = settings
  if (wanted !== 'auto') return wanted
  return rename.parts.some(part => 'name' in part && part.name === 'gateway') ? 'none' : 'gateway'
}

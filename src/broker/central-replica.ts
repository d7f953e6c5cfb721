import type { PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { PartitionOffsets } from '../storage/log.ts'
import type { Topic, Topics } from './topics.ts'

export interface CentralReplicaParts {
  readonly topics: Topics
  readonly clock: Clock
  readonly metrics: Metrics
  /** Does the topic have `min.insync.replicas=2`? */
  readonly isNeeded: (topic: Topic) => boolean
  readonly offsets: (partition: PartitionId) => PartitionOffsets
  /** The offset below which the central cluster has all of the partition; undefined when it does not go up. */
  readonly upstreamThrough: (topic: string, partition: number) => number | undefined
  /** The position there is past the record at this offset: may it have been given up, or have left the log before it was sent? */
  readonly isGivenUp: (topic: string, partition: number, offset: number) => boolean
  /** `replica.lag.time.max.ms` */
  readonly lagMaxMs: number
}

/** Who acknowledges records once the central cluster has them. */
export interface UpstreamWait {
  readonly partition: PartitionId
  /** All below this offset has to be upstream. */
  readonly end: number
  /** Waits through outages: only what can never come upstream any more ends the wait without success. */
  readonly isPatient: boolean
  /** Called once, with the reason when the central cluster does not have them. */
  readonly settled: (error?: BrokerError) => void
}

/** A partition that the central cluster follows. */
interface Followed {
  readonly id: PartitionId
  readonly topic: string
  readonly index: number
  readonly waits: Set<UpstreamWait>
  /** The offset below which all was upstream at the last look. */
  through: number
  /** When the central cluster had all that was here at that time. */
  caughtUpMs: number
  /** The high watermark at a time after that. */
  mark: { readonly offset: number; readonly atMs: number } | undefined
  /** Offset upstream and end here, added up, when a round was last hurried for it, and how often since. */
  hurriedAt: number
  hurries: number
}

const checksPerLag = 4
/** Rounds that are hurried for records that then do not come up: a topic that is made there takes some. */
const mostHurries = 10

/**
 * The central cluster as the second replica of topics with `min.insync.replicas=2`: this gateway leads, it follows. It is in sync as a replica of
 * Kafka is (`replica.lag.time.max.ms`): at some time of the last so many milliseconds the link stood, and all was upstream that was here then.
 * Partitions of other topics cost nothing here.
 */
export class CentralReplica {
  readonly #parts: CentralReplicaParts
  readonly #followed = new Map<PartitionId, Followed>()
  #isConnected = false
  #check: Timer | undefined
  /** Who lingers before the next round. */
  #hurry: (() => void) | undefined

  constructor(parts: CentralReplicaParts) {
    this.#parts = parts
    for (const topic of parts.topics.all()) this.#follow(topic)
    parts.topics.onChange((topic, change) => {
      if (change === 'deleted')
        this.#forget(topic, new BrokerError('unknownTopic', `topic "${topic.name}" was deleted`))
      else this.#follow(topic)
    })
    parts.metrics.gauge('replicaWaiting', () => this.waiting)
  }

  /** Acknowledgements that wait. */
  get waiting(): number {
    let count = 0
    for (const { waits } of this.#followed.values()) count += waits.size
    return count
  }

  /** Throws `notEnoughReplicas` unless the central cluster is in sync with the partition, or the topic does not ask for it. */
  demand(topic: Topic, partition: PartitionId): void {
    const followed = this.#followed.get(partition)
    if (followed === undefined || this.#isInSync(followed)) return
    throw new BrokerError(
      'notEnoughReplicas',
      `topic "${topic.name}" has min.insync.replicas=2 and the central cluster is not in sync: nothing was appended (brooklet uplink status says why)`,
    )
  }

  /** Is the acknowledgement of records of the topic a matter of the central cluster too? */
  follows(topic: Topic): boolean {
    return this.#followed.has(topic.partitions[0]!)
  }

  /** Calls back once the central cluster has the records, or once it has fallen out of sync. Returns what takes the wait back. */
  wait(wait: UpstreamWait): () => void {
    const followed = this.#followed.get(wait.partition)
    if (followed === undefined || this.#through(followed) >= wait.end) {
      wait.settled()
      return () => {}
    }
    followed.waits.add(wait)
    this.#checkLater()
    return () => followed.waits.delete(wait)
  }

  /** Why the batch that ends there never comes upstream; undefined: it may, or has. A client that repeats what was given up is to hear the same again. */
  givenUp({ partition, end }: Pick<UpstreamWait, 'partition' | 'end'>): BrokerError | undefined {
    const followed = this.#followed.get(partition)
    if (followed === undefined || !this.#parts.isGivenUp(followed.topic, followed.index, end - 1)) return undefined
    return neverUpstream()
  }

  /** For the uplink: a time to gather records, which ends at once when there are some to follow. */
  async linger(ms: number): Promise<void> {
    if (this.#isBehind()) return
    let timer: Timer | undefined
    await new Promise<void>(resolve => {
      timer = this.#parts.clock.after(ms, resolve)
      this.#hurry = resolve
    })
    timer?.cancel()
    this.#hurry = undefined
  }

  /** A session with the central cluster has begun, and what is upstream is known. */
  connected(): void {
    this.#isConnected = true
    for (const followed of this.#followed.values()) followed.hurries = 0
    this.advanced()
  }

  /** It has ended. */
  disconnected(): void {
    this.advanced()
    this.#isConnected = false
  }

  /** More may be upstream. */
  advanced(): void {
    for (const followed of this.#followed.values()) {
      this.#observe(followed)
      const before = followed.through
      followed.through = this.#through(followed)
      if (followed.waits.size === 0) continue
      // the uplink goes on behind what the disk budget took before it came to it
      const { logStart } = this.#parts.offsets(followed.id)
      settle(followed, ({ end }) => end > before && end <= Math.min(followed.through, logStart), neverUpstream())
      settle(followed, ({ end }) => end <= followed.through)
      // it comes to it with the next record only
      settle(followed, ({ end }) => end <= logStart, neverUpstream())
    }
  }

  /** Records of these partitions are on the device. */
  written(partitions: readonly PartitionId[]): void {
    if (this.#hurry !== undefined && partitions.some(partition => this.#followed.has(partition))) this.#hurry()
  }

  /** What is below and not upstream never goes up. */
  gaveUp(partition: PartitionId, end: number): void {
    const followed = this.#followed.get(partition)
    if (followed === undefined) return
    settle(followed, wait => wait.end <= end, neverUpstream())
  }

  #follow(topic: Topic): void {
    if (!this.#parts.isNeeded(topic)) {
      this.#forget(topic)
      return
    }
    for (const [index, partition] of topic.partitions.entries()) {
      if (this.#followed.has(partition)) continue
      const unknown = { caughtUpMs: Number.NEGATIVE_INFINITY, mark: undefined, hurriedAt: 0, hurries: 0 }
      this.#followed.set(partition, {
        id: partition,
        topic: topic.name,
        index,
        waits: new Set(),
        through: 0,
        ...unknown,
      })
    }
  }

  /** Without an error: the gateway alone is enough from now on. */
  #forget(topic: Topic, error?: BrokerError): void {
    for (const partition of topic.partitions) {
      const followed = this.#followed.get(partition)
      this.#followed.delete(partition)
      if (followed !== undefined) settle(followed, () => true, error)
    }
  }

  #through({ topic, index }: Followed): number {
    return this.#parts.upstreamThrough(topic, index) ?? 0
  }

  #isInSync(followed: Followed): boolean {
    this.#observe(followed)
    return this.#parts.clock.monotonicMs() - followed.caughtUpMs <= this.#parts.lagMaxMs
  }

  /** Kafka's rule: a replica that has reached what was the end at some time was caught up at that time. */
  #observe(followed: Followed): void {
    if (!this.#isConnected) return
    const { offsets, clock } = this.#parts
    const [through, end, nowMs] = [this.#through(followed), offsets(followed.id).highWatermark, clock.monotonicMs()]
    const { mark } = followed
    if (mark !== undefined && through < mark.offset) return
    followed.caughtUpMs = through >= end ? nowMs : (mark?.atMs ?? followed.caughtUpMs)
    followed.mark = { offset: end, atMs: nowMs }
  }

  #isBehind(): boolean {
    let isBehind = false
    for (const followed of this.#followed.values()) {
      const [through, end] = [this.#through(followed), this.#parts.offsets(followed.id).highWatermark]
      if (through >= end) continue
      if (through + end !== followed.hurriedAt) followed.hurries = 0
      followed.hurriedAt = through + end
      if (followed.hurries++ < mostHurries) isBehind = true
    }
    return isBehind
  }

  #checkLater(): void {
    const { clock, lagMaxMs } = this.#parts
    this.#check ??= clock.after(lagMaxMs / checksPerLag, () => {
      this.#check = undefined
      this.#endHopeless()
      if (this.waiting > 0) this.#checkLater()
    })
  }

  #endHopeless(): void {
    const error = new BrokerError(
      'notEnoughReplicasAfterAppend',
      'the record stands here, and the central cluster has fallen out of sync before it had it',
    )
    for (const followed of this.#followed.values()) {
      if (followed.waits.size === 0 || this.#isInSync(followed)) continue
      settle(followed, ({ isPatient }) => !isPatient, error)
    }
  }
}

const neverUpstream = (): BrokerError =>
  new BrokerError(
    'notEnoughReplicasAfterAppend',
    'the record was given up or left the log on its way to the central cluster',
  )

const settle = ({ waits }: Followed, isOver: (wait: UpstreamWait) => boolean, error?: BrokerError): void => {
  for (const wait of [...waits]) {
    if (!isOver(wait)) continue
    waits.delete(wait)
    wait.settled(error)
  }
}

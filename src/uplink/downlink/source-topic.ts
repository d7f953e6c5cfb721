import type { Cluster, TopicMetadata } from '../../client/cluster.ts'
import { isUnknownTopic } from '../../client/kafka-error.ts'
import { earliestOffset, latestOffset, offsetsFor } from '../../client/partition-offsets.ts'
import type { ReaderOptions } from '../../client/partition-reader.ts'
import type { DownlinkRule } from '../../config/downlink.ts'
import type { Priority } from '../../config/uplink-rules.ts'
import { ZERO_UUID } from '../../core/uuid.ts'
import type { Logger } from '../../platform/logger.ts'
import type { DownlinkPosition, DownlinkView } from '../../state/downlink.ts'
import { type StateLog, writeInOrder } from '../../state/state-log.ts'
import type { Backoff } from '../backoff.ts'
import { Inlet } from './inlet.ts'
import type { RuleFilter } from './rule-filter.ts'
import { takenBy } from './taken-offsets.ts'

export interface SourceParts {
  readonly lookups: Cluster
  readonly fetches: Cluster
  readonly state: StateLog
  readonly view: DownlinkView
  readonly logId: string
  readonly logger: Logger
  readonly options: ReaderOptions
  readonly newBackoff: () => Backoff
}

/** Partitions that were added, and topics made anew, are noticed within this time. */
const refreshMs = 5 * 60_000
const settleMs = 500

/** A topic of the central cluster with its rules, in their order. */
export class SourceTopic {
  readonly name: string
  readonly filters: readonly RuleFilter[]
  inlets: readonly Inlet[] = []
  /** Why it could not be looked at. */
  trouble: string | undefined
  /** Monotonic time at which it is looked at again. */
  refreshAtMs = Number.NEGATIVE_INFINITY
  isOpening = false
  readonly #parts: SourceParts
  readonly #backoff: Backoff
  #leaders: readonly number[] = []

  constructor(parts: SourceParts, name: string, filters: readonly RuleFilter[]) {
    this.#parts = parts
    this.name = name
    this.filters = filters
    this.#backoff = parts.newBackoff()
  }

  /** Rules of one topic have the same. */
  get #rule(): DownlinkRule {
    return this.filters[0]!.rule
  }

  get priority(): Priority {
    return this.#rule.priority
  }

  isDue(nowMs: number): boolean {
    return !this.isOpening && this.refreshAtMs <= nowMs
  }

  /** Node id; -1 while there is none. */
  leaderOf(partition: number): number {
    return this.#leaders[partition] ?? -1
  }

  /** Looks at the topic: partitions that are new get a position, durable before anything is read. Throws what the client and `StateLog` throw. */
  async open(nowMs: number): Promise<void> {
    const { lookups, fetches, view } = this.#parts
    const topic = await this.#lookUp(lookups)
    // what comes of the topic before it was made anew is written first
    if (this.inlets.some(({ isBusy, position }) => isBusy && position.topicId !== topic.id)) {
      this.refreshAtMs = nowMs + settleMs
      return
    }
    const { logId } = this.#parts
    const seenBy = view.topic(this.name)?.logId ?? logId
    if (seenBy === logId) await this.#place(topic)
    else await this.#inherit(topic, seenBy)
    this.inlets = topic.partitions.map((_, partition) => this.#inlet(topic.id, partition))
    fetches.forget(this.name)
    this.#leaders = topic.partitions.map(({ leader }) => leader)
    this.refreshAtMs = nowMs + refreshMs
    this.trouble = undefined
    this.#backoff.reset()
  }

  failed(reason: string, nowMs: number): void {
    this.trouble = reason
    this.refreshAtMs = nowMs + this.#backoff.pauseMs()
  }

  /** Remembers that the topic was missing: all that it will have comes after the gateway was there. */
  async #lookUp(lookups: Cluster): Promise<TopicMetadata> {
    try {
      return await lookups.topic(this.name, { refresh: true })
    } catch (error) {
      const { view, state, logId } = this.#parts
      if (isUnknownTopic(error) && view.topic(this.name) === undefined)
        state.write([view.putTopic(this.name, { topicId: ZERO_UUID, partitions: 0, logId })])
      throw error
    }
  }

  /**
   * What the gateway sees for the first time begins where the rule says. Partitions that came later, and those of a topic that was made anew, or
   * was missing when the gateway looked, begin at their starts: all that is in them came after that.
   */
  async #place(topic: TopicMetadata): Promise<void> {
    const { lookups, view } = this.#parts
    const seen = view.topic(this.name)
    const unplaced = [...topic.partitions.keys()].filter(partition => this.#stored(topic, partition) === undefined)
    if (unplaced.length === 0 && seen?.logId !== undefined) return
    const isFirst = seen === undefined && this.#rule.from === 'latest'
    const sources = unplaced.map(partition => ({ topic: this.name, partition }))
    const offsets = await offsetsFor(lookups, sources, isFirst ? latestOffset : earliestOffset)
    await this.#write(
      topic,
      unplaced.map((partition, index) => [partition, { ...unread, topicId: topic.id, next: offsets[index] ?? 0 }]),
    )
  }

  /**
   * The log was restored or forked from another, whose positions these are: what that one has taken since is not taken again. Where nobody says what it has
   * taken, the rule does what it does with a topic that it sees for the first time.
   */
  async #inherit(topic: TopicMetadata, parentId: string): Promise<void> {
    const { lookups, logger } = this.#parts
    const taken = await takenBy(lookups, parentId, topic)
    const sources = topic.partitions.map((_, partition) => ({ topic: this.name, partition }))
    const otherwise = await offsetsFor(lookups, sources, this.#rule.from === 'latest' ? latestOffset : earliestOffset)
    const positions = taken.map((known, partition): [number, DownlinkPosition] => {
      const stored = this.#stored(topic, partition)
      const own = stored?.next ?? 0
      const isTold = known !== undefined || (stored !== undefined && this.#rule.from === 'earliest')
      const next = Math.max(own, isTold ? (known ?? own) : (otherwise[partition] ?? 0))
      const lost = (stored?.lost ?? 0) + (isTold || stored === undefined ? 0 : next - own)
      const fields = { topic: this.name, partition, parent: parentId, from: own, to: next }
      if (next > own && isTold) logger.info(fields, 'what the log before this one has taken does not come down again')
      else if (next > own) logger.error(fields, 'nobody says what the log before this one has taken: it is passed over')
      return [partition, { ...unread, ...stored, topicId: topic.id, next, lost }]
    })
    await this.#write(topic, positions)
  }

  #stored(topic: TopicMetadata, partition: number): DownlinkPosition | undefined {
    const position = this.#parts.view.position(this.name, partition)
    return position?.topicId === topic.id ? position : undefined
  }

  async #write({ id, partitions }: TopicMetadata, positions: readonly [number, DownlinkPosition][]): Promise<void> {
    const { view, state, logId, logger } = this.#parts
    const seen = view.topic(this.name)
    if (seen !== undefined && seen.topicId !== ZERO_UUID && seen.topicId !== id)
      logger.warn({ topic: this.name }, 'the central topic was made anew: it is read from its start')
    // last: without it a start begins all of this again
    writeInOrder(state, [
      ...positions.map(([partition, position]) => view.putPosition(this.name, partition, position)),
      view.putTopic(this.name, { topicId: id, partitions: partitions.length, logId }),
    ])
    await state.durable(view)
  }

  #inlet(topicId: string, partition: number): Inlet {
    const { fetches, view, options, newBackoff } = this.#parts
    const present = this.inlets[partition]
    if (present?.position.topicId === topicId) return present
    const position = view.position(this.name, partition)!
    return new Inlet(fetches, { topic: this.name, partition }, position, options, newBackoff())
  }
}

const unread: Omit<DownlinkPosition, 'topicId' | 'next'> = { taken: 0, expired: 0, refused: 0, lost: 0 }

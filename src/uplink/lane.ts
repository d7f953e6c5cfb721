import type { RetentionClass } from '../config/metered-windows.ts'
import { plainRule, type UplinkRule } from '../config/uplink-rules.ts'
import type { PartitionId } from '../core/brand.ts'
import type { Topic } from '../state/topics.ts'
import type { OffsetSpan, Unsent, UpstreamPosition } from '../state/uplink.ts'
import { DurableTimes } from './durable-times.ts'
import { emptyLedger, type Ledger, passed } from './ledger.ts'
import { KeyCounts } from './thinning.ts'
import { covered, emptyTrack, type Hole, type Track, trackOf } from './track.ts'

const firstPauseMs = 30_000
const longestPauseMs = 15 * 60_000

/** Why a partition does not go up at present. */
export interface LaneTrouble {
  readonly reason: string
  /** The batch that is refused; undefined while it was not sent alone. */
  readonly batch: OffsetSpan | undefined
  /** Monotonic time of the next attempt. */
  readonly retryAtMs: number
  readonly pauseMs: number
}

/** One partition on its way up. */
export class Lane {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly id: PartitionId
  /** Name of the topic upstream. */
  readonly target: string
  /** Of the topic, at present. */
  rule: UplinkRule = plainRule
  /** Of the topic, at present. */
  retentionClass: RetentionClass = 'normal'
  /** What is upstream, or never will be. */
  track: Track = emptyTrack
  /** What became of these offsets. */
  ledger: Ledger = emptyLedger
  trouble: LaneTrouble | undefined
  /** A round loads it or carries it: records that have left the log meanwhile may come upstream yet. */
  isUnderWay = false
  /** For thinning: it goes on where the last load has ended, and anew where that did not go. */
  readonly keyCounts = new KeyCounts()
  readonly durableTimes = new DurableTimes()
  /** Which end is tried alone when something was refused and nobody knows what. */
  suspectsOldest = false

  constructor(topic: Topic, partition: number, target: string) {
    this.topic = topic.name
    this.topicId = topic.id
    this.partition = partition
    this.id = topic.partitions[partition]!
    this.target = target
  }

  /** Offset of the first record that is not upstream. */
  get next(): number {
    return this.track.next
  }

  /** Goes on behind what is upstream; a position of an earlier topic of this name says nothing. */
  continueAfter(position: UpstreamPosition | undefined): void {
    if (position?.topicId !== this.topicId) return
    this.track = trackOf(position)
    this.ledger = position
  }

  /** None of these offsets goes up, for these reasons. */
  pass(hole: Hole, unsent: Unsent): void {
    this.track = covered(this.track, hole)
    this.ledger = passed(this.ledger, unsent)
  }

  /** An operator's decision is on its way to the device. */
  get isHeld(): boolean {
    return this.trouble?.retryAtMs === Number.POSITIVE_INFINITY
  }

  /** No attempt while an operator's decision is on its way to the device. */
  hold(): void {
    if (this.trouble !== undefined) this.trouble = { ...this.trouble, retryAtMs: Number.POSITIVE_INFINITY }
  }

  /** Nothing is against it any more. */
  release(): void {
    this.trouble = undefined
  }

  /** The round that carried it this far was committed. */
  sent(position: UpstreamPosition): void {
    this.track = trackOf(position)
    this.ledger = position
    this.isUnderWay = false
    this.release()
  }

  /** The other side will not take what comes next: it is asked again after growing pauses. */
  refused(reason: string, nowMs: number, batch?: OffsetSpan): void {
    if (batch === undefined) this.suspectsOldest = !this.suspectsOldest
    const pauseMs = Math.min(longestPauseMs, this.trouble === undefined ? firstPauseMs : 2 * this.trouble.pauseMs)
    this.trouble = { reason, batch, pauseMs, retryAtMs: nowMs + pauseMs }
  }
}

import type { RetentionClass } from '../config/metered-windows.ts'
import type { UplinkRule } from '../config/uplink-rules.ts'
import type { PartitionId } from '../core/brand.ts'
import type { Topic } from '../state/topics.ts'
import type { SkippedSpan, Unsent, UpstreamPosition } from '../state/uplink.ts'
import { emptyLedger, type Ledger, passed } from './ledger.ts'

const firstPauseMs = 30_000
const longestPauseMs = 15 * 60_000

/** Offsets of a stored batch that are not upstream. */
export interface LaneSpan {
  readonly first: number
  readonly last: number
}

/** Why a partition does not go up at present. */
export interface LaneTrouble {
  readonly reason: string
  /** The batch that is refused; undefined while it was not sent alone. */
  readonly batch: LaneSpan | undefined
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
  readonly rule: UplinkRule
  /** Of the topic, at present. */
  retentionClass: RetentionClass = 'normal'
  /** Offset of the first record that is not upstream. */
  next = 0
  /** What became of the offsets below. */
  ledger: Ledger = emptyLedger
  trouble: LaneTrouble | undefined

  constructor(topic: Topic, partition: number, target: string, rule: UplinkRule) {
    this.topic = topic.name
    this.topicId = topic.id
    this.partition = partition
    this.id = topic.partitions[partition]!
    this.target = target
    this.rule = rule
  }

  /** Goes on behind what is upstream; a position of an earlier topic of this name says nothing. */
  continueAfter(position: UpstreamPosition | undefined): void {
    if (position?.topicId !== this.topicId) return
    this.next = position.last + 1
    this.ledger = position
  }

  /** Goes on at `next`; no offset before it went up, for these reasons. */
  pass(next: number, unsent: Unsent): void {
    this.next = next
    this.ledger = passed(this.ledger, unsent)
  }

  /** The span that was given up and comes next, where that is known for good. */
  nextSkipped(spans: readonly SkippedSpan[], logStart: number): LaneSpan | undefined {
    if (this.trouble?.retryAtMs === Number.POSITIVE_INFINITY) return undefined
    const next = Math.max(this.next, logStart)
    return spans.find(({ first, last }) => next >= first && next <= last)
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
    this.next = position.last + 1
    this.ledger = position
    this.release()
  }

  /** The other side will not take what comes next: it is asked again after growing pauses. */
  refused(reason: string, nowMs: number, batch?: LaneSpan): void {
    const pauseMs = Math.min(longestPauseMs, this.trouble === undefined ? firstPauseMs : 2 * this.trouble.pauseMs)
    this.trouble = { reason, batch, pauseMs, retryAtMs: nowMs + pauseMs }
  }
}

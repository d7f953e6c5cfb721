import type { PartitionId } from '../core/brand.ts'
import type { Topic } from '../state/topics.ts'
import type { SkippedSpan, UpstreamPosition } from '../state/uplink.ts'

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
  /** Offset of the first record that is not upstream. */
  next = 0
  /** Records sent in all. */
  records = 0
  trouble: LaneTrouble | undefined

  constructor(topic: Topic, partition: number, target: string) {
    this.topic = topic.name
    this.topicId = topic.id
    this.partition = partition
    this.id = topic.partitions[partition]!
    this.target = target
  }

  /** Goes on behind what is upstream; a position of an earlier topic of this name says nothing. */
  continueAfter(position: UpstreamPosition | undefined): void {
    if (position?.topicId !== this.topicId) return
    this.next = position.last + 1
    this.records = position.records
  }

  /** Behind what was given up, where that comes next: what the log no longer has is not asked for. */
  passSkipped(spans: readonly SkippedSpan[], logStart: number): void {
    if (this.trouble?.retryAtMs === Number.POSITIVE_INFINITY) return
    for (const { first, last } of spans) {
      const next = Math.max(this.next, logStart)
      if (next >= first && next <= last) this.next = last + 1
    }
  }

  /** No attempt while an operator's decision is on its way to the device. */
  hold(): void {
    if (this.trouble !== undefined) this.trouble = { ...this.trouble, retryAtMs: Number.POSITIVE_INFINITY }
  }

  /** Goes on behind what an operator gave up. */
  skipped(last: number): void {
    this.next = last + 1
    this.trouble = undefined
  }

  /** The round that carried these records was committed. */
  sent(next: number, records: number): void {
    this.next = next
    this.records += records
    this.trouble = undefined
  }

  /** The other side will not take what comes next: it is asked again after growing pauses. */
  refused(reason: string, nowMs: number, batch?: LaneSpan): void {
    const pauseMs = Math.min(longestPauseMs, this.trouble === undefined ? firstPauseMs : 2 * this.trouble.pauseMs)
    this.trouble = { reason, batch, pauseMs, retryAtMs: nowMs + pauseMs }
  }
}

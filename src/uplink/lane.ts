import type { PartitionId } from '../core/brand.ts'
import type { Topic } from '../state/topics.ts'
import type { UpstreamPosition } from '../state/uplink.ts'

const firstPauseMs = 30_000
const longestPauseMs = 15 * 60_000

/** Why a partition does not go up at present. */
export interface LaneTrouble {
  readonly reason: string
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

  /** The round that carried these records was committed. */
  sent(next: number, records: number): void {
    this.next = next
    this.records += records
    this.trouble = undefined
  }

  /** The other side will not take what comes next: it is asked again after growing pauses. */
  refused(reason: string, nowMs: number): void {
    const pauseMs = Math.min(longestPauseMs, this.trouble === undefined ? firstPauseMs : 2 * this.trouble.pauseMs)
    this.trouble = { reason, pauseMs, retryAtMs: nowMs + pauseMs }
  }
}

import type { Topic } from '../state/topics.ts'

/** What the central cluster gives for an offset below the log start. */
export type RemoteRead =
  /** Whole batches with offsets of this log, the first of which answers for the offset that was asked for. */
  | { readonly kind: 'batches'; readonly batches: readonly Buffer[] }
  /** It is on its way, or the link is down: parked reads of the partition are woken when there is something. */
  | { readonly kind: 'awaited' }
  /** No record at this offset can be had, or it may not be all of what was there. */
  | { readonly kind: 'gone' }

/** Records that have left this log and that the central cluster still has: the part of a partition between its total and its local start (KIP-405). */
export interface RemoteLog {
  /** Never waits. About `maxBytes`, but at least one batch. Only for offsets below the local log start. */
  read(topic: Topic, partition: number, offset: number, maxBytes: number): RemoteRead
  /**
   * The first offset that can be read, there or here. Undefined: the central cluster did not say within `timeoutMs`. It may rise at any
   * time, and an offset at or above it may be one of no record.
   */
  totalStart(topic: Topic, partition: number, timeoutMs: number): Promise<number | undefined>
  /** DeleteRecords: nothing below `offset` is read from now on, also after restarts; durable when it resolves. */
  deleteBefore(topic: Topic, partition: number, offset: number): Promise<void>
  /** As `totalStart` was found last; undefined: it was not asked for, or is the local one. */
  knownStart(topic: Topic, partition: number): number | undefined
}

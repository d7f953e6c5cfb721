import { assert } from '../core/assert.ts'
import { type GroupNumber, groupNumber, type PartitionId } from '../core/brand.ts'
import type { Metrics } from '../core/metrics.ts'
import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import type { Logger } from '../platform/logger.ts'
import type { BatchAppend, Compaction, Log, RecordAppend } from '../storage/log.ts'
import { encodeBatch } from '../wire/kafka/batch-encoding.ts'
import { replayView } from './replay.ts'
import type { StateLog } from './state-log.ts'
import type { StateChange, StateRecord, View } from './view.ts'
import { decodeViewCheckpoint, encodeViewCheckpoint } from './view-checkpoint.ts'

/** Whatever `commit.max.bytes` is, a group holds so much. */
const rewriteBatchBytes = 32 << 10
const leastCheckpointBytes = 1 << 20
const noHeaders = Buffer.from([0])
/** What a record of state takes beside key and value, about. */
const recordBytes = 16

/** A tombstone goes in the pass after the one that removed what it deletes: by then a checkpoint has applied it. */
const viewCompaction: Compaction = {
  minDirtyRatio: 0.5,
  minDirtyBytes: 1 << 20,
  minLagMs: 0,
  maxLagMs: Number.POSITIVE_INFINITY,
  deleteRetentionMs: 0,
  alsoDeletes: false,
}

interface OpenView {
  readonly view: View
  /** Group of its last change. */
  group: GroupNumber
  /** Changes written since the last checkpoint; what a start replays. */
  bytesSinceCheckpoint: number
  /** What the checkpoint in the store has applied: the log may forget what the view has overwritten below it. */
  durableOffset: number
  /** Size of the last checkpoint: the next one is due after as many bytes of changes, so that checkpoints never cost more than changes. */
  checkpointBytes: number
  checkpointing: boolean
}

export interface ViewLogParts {
  readonly log: Log
  readonly store: CheckpointStore
  readonly logger: Logger
  readonly metrics: Metrics
}

/**
 * Views over the internal partitions of the log: replays them at start (from their checkpoint where it can be believed), appends their
 * changes, and lets the log compact what their checkpoints have applied. The timestamp of an internal record is the log age in
 * milliseconds, never a wall clock.
 */
export class ViewLog implements StateLog {
  readonly #parts: ViewLogParts
  readonly #views = new Map<PartitionId, OpenView>()

  /** Opens and replays `views`; afterwards all of them show what is in the log. */
  static async open(parts: ViewLogParts, views: readonly View[]): Promise<ViewLog> {
    const state = new ViewLog(parts)
    for (const view of views) await state.#open(view)
    await state.mend()
    return state
  }

  private constructor(parts: ViewLogParts) {
    this.#parts = parts
  }

  get writable(): boolean {
    return this.#parts.log.writable
  }

  get logAge(): number {
    return this.#parts.log.logAge
  }

  write(changes: readonly StateChange[], records: readonly RecordAppend[] = []): GroupNumber {
    const { log } = this.#parts
    const timestampMs = log.logAge * 1000
    const all = [...records]
    for (const { view, key, value } of changes)
      all.push({ partition: view.partition, timestampMs, key, value, headers: noHeaders })
    const group = log.appendRecords(all)
    for (const { view, key, value } of changes) {
      view.apply(key, value)
      const open = this.#opened(view.partition)
      open.group = group
      open.bytesSinceCheckpoint += key.length + (value?.length ?? 0) + recordBytes
      if (open.bytesSinceCheckpoint >= Math.max(leastCheckpointBytes, open.checkpointBytes)) void this.#checkpoint(open)
    }
    return group
  }

  durable(view: View): Promise<void> {
    return this.#parts.log.whenDurable(this.#opened(view.partition).group)
  }

  whenDurable(group: GroupNumber): Promise<void> {
    return this.#parts.log.whenDurable(group)
  }

  /** Checkpoints of all views; at a clean stop, so that the next start replays nothing. */
  async checkpointAll(): Promise<void> {
    for (const open of this.#views.values()) await this.#checkpoint(open)
  }

  /** Where the views have their records. */
  get partitions(): Iterable<PartitionId> {
    return this.#views.keys()
  }

  /**
   * Where records of state are damaged, what is known of it is written again: without checkpoints the log alone must give the same. What cannot
   * be written now is tried again by the next call, or the next start.
   */
  async mend(): Promise<void> {
    const { log, logger } = this.#parts
    try {
      // what was read just now and is damaged counts when it is recorded
      await log.whenDurable(log.openGroup)
      await log.mendControl()
      for (const { view } of this.#views.values()) await this.#mend(view)
    } catch (error) {
      logger.warn({ error: String(error) }, 'damaged state was not written again; that is tried again')
    }
  }

  #opened(partition: PartitionId): OpenView {
    const open = this.#views.get(partition)
    assert(open !== undefined, 'a view is opened before it is written')
    return open
  }

  async #open(view: View): Promise<void> {
    const { log, store, logger, metrics } = this.#parts
    log.openPartition(view.partition)
    const { logStart, logEnd } = log.offsets(view.partition)
    const bytes = store.get(checkpointKey(view))
    const checkpoint = bytes === undefined ? undefined : decodeViewCheckpoint(bytes, log.logId)
    // below the log start, removals may be gone that the checkpoint has not seen; above the end, the log lost what it was made of
    const usable = checkpoint !== undefined && checkpoint.nextOffset >= logStart && checkpoint.nextOffset <= logEnd
    if (usable) for (const { key, value } of checkpoint.records) view.apply(key, value)
    // the log may grow past its offset again, with other records
    else if (bytes !== undefined) await store.write(new Map([[checkpointKey(view), undefined]]))
    if (!usable && logEnd > logStart) {
      metrics.add('viewRebuilds', 1, view.name)
      logger.info({ view: view.name, records: logEnd - logStart }, 'view is rebuilt from the log')
    }
    const replayedBytes = await replayView(log, view, usable ? checkpoint.nextOffset : logStart, logEnd)
    const open: OpenView = {
      view,
      group: groupNumber(0),
      bytesSinceCheckpoint: replayedBytes,
      durableOffset: usable ? checkpoint.nextOffset : 0,
      checkpointBytes: bytes?.length ?? 0,
      checkpointing: false,
    }
    this.#views.set(view.partition, open)
    log.setCompaction(view.partition, { ...viewCompaction, limitOffset: () => open.durableOffset })
  }

  async #mend(view: View): Promise<void> {
    const { log, logger } = this.#parts
    const { logStart } = log.offsets(view.partition)
    if (!log.gaps().some(({ partition, last }) => partition === view.partition && last >= logStart)) return
    logger.error({ view: view.name }, 'records of a view are damaged; what is known of it is written again')
    await this.writeAgain(view.partition)
  }

  #encode(view: View, records: readonly StateRecord[]): BatchAppend {
    const timestampMs = this.#parts.log.logAge * 1000
    return {
      partition: view.partition,
      batch: encodeBatch(records.map(({ key, value }) => ({ timestampMs, key, value }))),
    }
  }

  /** A snapshot of now, written once what it shows is on the device. A failure costs a longer replay, nothing else. */
  async #checkpoint(open: OpenView): Promise<void> {
    if (open.checkpointing) return
    const { log, store, logger } = this.#parts
    open.checkpointing = true
    open.bytesSinceCheckpoint = 0
    try {
      const nextOffset = log.offsets(open.view.partition).logEnd
      const bytes = encodeViewCheckpoint(open.view, log.logId, nextOffset)
      open.checkpointBytes = bytes.length
      // not only the view's own changes: producers are also made of the headers of what others appended
      await log.whenDurable(log.openGroup)
      await store.write(new Map([[checkpointKey(open.view), bytes]]))
      open.durableOffset = nextOffset
    } catch (error) {
      logger.warn(
        { view: open.view.name, error: String(error) },
        'checkpoint of a view failed; the next start replays more',
      )
    } finally {
      open.checkpointing = false
    }
  }

  /**
   * Appends the whole view again and moves the log start behind its old records. A change made meanwhile comes after the state that it
   * changes, or is in it: replay from the new start gives the same view, and so does replay of what a crash leaves of this.
   */
  async writeAgain(partition: PartitionId): Promise<void> {
    const { log } = this.#parts
    const open = this.#opened(partition)
    const start = log.offsets(partition).logEnd
    for (const records of inBatches(onceEach(open.view.entries()), rewriteBatchBytes)) {
      const batch = this.#encode(open.view, records)
      const { group } = log.append([batch])
      open.group = group
      open.bytesSinceCheckpoint += batch.batch.length
      await log.whenDurable(group)
    }
    await log.whenDurable(log.advanceLogStart(partition, start))
  }
}

const checkpointKey = (view: View): string => `view/${view.name}`

function* inBatches(records: Iterable<StateRecord>, batchBytes: number): Generator<StateRecord[]> {
  let batch: StateRecord[] = []
  let bytes = 0
  for (const record of records) {
    batch.push(record)
    bytes += record.key.length + (record.value?.length ?? 0)
    if (bytes < batchBytes) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}

/** A view that changes while it is walked may show a key again, without end: by then its changes stand in the log themselves. */
function* onceEach(records: Iterable<StateRecord>): Generator<StateRecord> {
  const seen = new Set<string>()
  for (const record of records) {
    const key = record.key.toString('latin1')
    if (seen.has(key)) continue
    seen.add(key)
    yield record
  }
}

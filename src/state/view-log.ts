import { assert } from '../core/assert.ts'
import { type GroupNumber, groupNumber, type PartitionId } from '../core/brand.ts'
import type { Metrics } from '../core/metrics.ts'
import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import type { Logger } from '../platform/logger.ts'
import type { BatchAppend, Log } from '../storage/log.ts'
import { encodeBatch } from '../wire/kafka/batch-encoding.ts'
import { allRecords, openRecords } from '../wire/kafka/records.ts'
import type { StateLog } from './state-log.ts'
import type { StateChange, StateRecord, View } from './view.ts'
import { decodeViewCheckpoint, encodeViewCheckpoint } from './view-checkpoint.ts'

const replayBytes = 1 << 20
const rewriteBatchBytes = 64 << 10
const checkpointEveryBytes = 1 << 20

interface OpenView {
  readonly view: View
  /** Group of its last change. */
  group: GroupNumber
  bytesSinceCheckpoint: number
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
 * changes, and writes them again when their old records pin a segment. The timestamp of an internal record is the log age in
 * milliseconds, never a wall clock.
 */
export class ViewLog implements StateLog {
  readonly #parts: ViewLogParts
  readonly #views = new Map<PartitionId, OpenView>()

  /** Opens and replays `views`; afterwards all of them show what is in the log. */
  static async open(parts: ViewLogParts, views: readonly View[]): Promise<ViewLog> {
    const state = new ViewLog(parts)
    for (const view of views) await state.#open(view)
    parts.log.onInternalPinned(partition => state.#rewrite(partition))
    return state
  }

  private constructor(parts: ViewLogParts) {
    this.#parts = parts
  }

  get logAge(): number {
    return this.#parts.log.logAge
  }

  write(changes: readonly StateChange[], batches: readonly BatchAppend[] = []): GroupNumber {
    const { log } = this.#parts
    const byView = new Map<OpenView, StateRecord[]>()
    for (const change of changes) {
      const open = this.#opened(change.view.partition)
      const records = byView.get(open)
      if (records === undefined) byView.set(open, [change])
      else records.push(change)
    }
    const stateBatches = [...byView].map(([open, records]) => this.#encode(open.view, records))
    const { group } = log.append([...batches, ...stateBatches])
    for (const { view, key, value } of changes) view.apply(key, value)
    for (const [index, open] of [...byView.keys()].entries()) {
      open.group = group
      open.bytesSinceCheckpoint += stateBatches[index]!.batch.length
      if (open.bytesSinceCheckpoint >= checkpointEveryBytes) void this.#checkpoint(open)
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
    else if (logEnd > logStart) {
      metrics.add('viewRebuilds', 1, view.name)
      logger.info({ view: view.name, records: logEnd - logStart }, 'view is rebuilt from the log')
    }
    await this.#replay(view, usable ? checkpoint.nextOffset : logStart, logEnd)
    this.#views.set(view.partition, { view, group: groupNumber(0), bytesSinceCheckpoint: 0, checkpointing: false })
  }

  async #replay(view: View, from: number, end: number): Promise<void> {
    let offset = from
    while (offset < end) {
      const { batches, nextOffset } = await this.#parts.log.read(view.partition, offset, replayBytes, end)
      assert(nextOffset > offset, `replay of view ${view.name} goes on`)
      for (const batch of batches) {
        for (const record of allRecords(openRecords(batch))) {
          if (record.offset < offset) continue
          assert(record.key !== null, 'a record of a view has a key')
          view.apply(record.key, record.value)
        }
      }
      offset = nextOffset
    }
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
      const bytes = encodeViewCheckpoint(open.view, log.logId, log.offsets(open.view.partition).logEnd)
      await log.whenDurable(open.group)
      await store.write(new Map([[checkpointKey(open.view), bytes]]))
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
   * Appends the whole view again and moves the log start behind its old records. Changes made meanwhile come after the state that they
   * change, or are in it: replay from the new start gives the same view.
   */
  async #rewrite(partition: PartitionId): Promise<void> {
    const { log } = this.#parts
    const open = this.#opened(partition)
    const start = log.offsets(partition).logEnd
    for (const records of inBatches(open.view.entries(), rewriteBatchBytes)) {
      const { group } = log.append([this.#encode(open.view, records)])
      open.group = group
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

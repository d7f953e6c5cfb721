import { partitionId } from '../core/brand.ts'
import { BatchBuilder } from '../wire/kafka/batch-builder.ts'
import { openRecords } from '../wire/kafka/records.ts'
import { inBatches, mostPartitions } from './control-batches.ts'
import { type ColdPlace, type ControlRecord, decodeControlRecord, encodeControlRecord } from './control-record.ts'
import { Cuts } from './cuts.ts'
import { Gaps } from './gaps.ts'
import type { Ancestor } from './meta.ts'
import { type ParentLog, parentRecords } from './parent-log.ts'
import type { LostOffsets } from './recovery.ts'

const noHeaders = Buffer.from([0])

/**
 * State of the log control partition: log starts, removed partitions and gaps. A function of its records in offset order; applying one
 * twice changes nothing.
 */
export class LogControl {
  readonly gaps: Gaps
  /** Log starts by partition, only those that records moved. */
  readonly logStarts = new Map<number, number>()
  /** Ends of partitions that lost their newest batches to damage: offsets below are never given again. */
  readonly logEnds = new Map<number, number>()
  readonly removed = new Set<number>()
  /** Cold segments that were published, by number; some may be dead and their slots reused. */
  readonly cold = new Map<number, ColdPlace>()
  /** The log that this one was restored from, and where its partitions ended in the backup. */
  parent: Ancestor | undefined
  readonly parentEnds = new Map<number, number>()
  /** Newest epoch that began, and its incarnation. */
  start: { readonly logEpoch: number; readonly incarnation: string } = { logEpoch: -1, incarnation: '' }

  constructor(maxGaps: number) {
    this.gaps = new Gaps(maxGaps)
  }

  /** Takes a verified batch of the partition. */
  applyBatch(batch: Buffer): void {
    for (const record of controlRecords(batch)) this.apply(record)
  }

  apply(record: ControlRecord): void {
    switch (record.kind) {
      case 'start':
        this.start = { logEpoch: record.logEpoch, incarnation: record.incarnation }
        return
      case 'logStart':
        this.#raiseLogStart(record.partition, record.offset)
        return
      case 'cuts':
        this.#applyCuts(record.cuts)
        return
      case 'logEnd':
        this.logEnds.set(record.partition, Math.max(record.offset, this.logEnds.get(record.partition) ?? 0))
        return
      case 'removed':
        this.removed.add(record.partition)
        this.logStarts.delete(record.partition)
        this.logEnds.delete(record.partition)
        this.parentEnds.delete(record.partition)
        this.gaps.removePartition(record.partition)
        return
      case 'gap':
        this.gaps.add(record.gap)
        return
      case 'summed':
        this.gaps.summed = { count: record.count, records: record.records }
        return
      case 'cold':
        this.cold.set(record.cold.sequence, record.cold)
        return
      case 'parentEnd':
        this.parentEnds.set(record.partition, record.offset)
        return
      case 'restored':
        this.parent = record.parent
        return
      case 'snapshot':
        this.gaps.clear()
        this.removed.clear()
        this.cold.clear()
    }
  }

  /** What no snapshot makes void, as records: where partitions begin and end, here and in the log that this one was restored from. */
  bounds(): ControlRecord[] {
    const records = this.#allLogStarts()
    for (const [partition, offset] of this.logEnds) records.push({ kind: 'logEnd', partition, offset })
    if (this.parent !== undefined) records.push(...parentRecords(this.parent, this.parentEnds))
    return records
  }

  /**
   * All other state as records of one batch: with `bounds` before it, everything older is dead. `keepRemoved` says which removed partitions still
   * have bytes somewhere, `keepCold` which cold segments are still there.
   */
  snapshot(keepRemoved: (partition: number) => boolean, keepCold: (sequence: number) => boolean): ControlRecord[] {
    const records: ControlRecord[] = [{ kind: 'snapshot' }, { kind: 'start', ...this.start }]
    for (const partition of this.removed) if (keepRemoved(partition)) records.push({ kind: 'removed', partition })
    for (const cold of this.cold.values()) if (keepCold(cold.sequence)) records.push({ kind: 'cold', cold })
    if (this.gaps.summed.count > 0) records.push({ kind: 'summed', ...this.gaps.summed })
    for (const gap of this.gaps.list) records.push({ kind: 'gap', gap })
    return records
  }

  #applyCuts(cuts: Cuts): void {
    for (let row = 0; row < cuts.size; row++) {
      this.#raiseLogStart(cuts.partitions[row]!, cuts.starts[row]!)
      const gap = cuts.gap(row)
      if (gap !== undefined) this.gaps.add(gap)
    }
  }

  #raiseLogStart(partition: number, offset: number): void {
    if (offset > (this.logStarts.get(partition) ?? -1)) this.logStarts.set(partition, offset)
  }

  /** Their gaps are records of their own. */
  #allLogStarts(): ControlRecord[] {
    const records: ControlRecord[] = []
    let cuts = new Cuts('budget', 0)
    for (const [partition, offset] of this.logStarts) {
      if (cuts.size % mostPartitions === 0) records.push({ kind: 'cuts', cuts: (cuts = new Cuts('budget', 0)) })
      cuts.add(partition, offset, 0)
    }
    return records
  }
}

/** The records of a verified batch that this version knows. */
export function* controlRecords(batch: Buffer): Generator<ControlRecord> {
  const cursor = openRecords(batch)
  while (cursor.next()) {
    const value = cursor.value()
    const record = value === null || value.length === 0 ? undefined : decodeControlRecord(value)
    if (record !== undefined) yield record
  }
}

/** The records as one batch. */
export const controlBatch = (records: readonly ControlRecord[], timestampMs: number): Buffer => {
  const builder = new BatchBuilder()
  for (const record of records) {
    const value = encodeControlRecord(record)
    builder.append(timestampMs, null, value, 0, value.length, noHeaders)
  }
  return builder.finish(0, 0)
}

/** What damage took, as recovery found it: offsets that are gone, and ends that no batch shows any more. */
export interface Losses {
  readonly lost: readonly LostOffsets[]
  readonly logEnds: ReadonlyMap<number, number>
  /** The log was restored, and this is its first start. */
  readonly parent: ParentLog | undefined
}

/** What a start says first: its epoch, and what recovery found damaged. In batches, the epoch first. */
export const startRecords = (
  logEpoch: number,
  incarnation: string,
  { lost, logEnds, parent }: Losses,
  logAge: number,
): ControlRecord[][] => {
  const records: ControlRecord[] = [
    { kind: 'start', logEpoch, incarnation },
    ...[...logEnds].map(([partition, offset]): ControlRecord => ({ kind: 'logEnd', partition, offset })),
    ...lost.map(({ partition, first, last }): ControlRecord => {
      const gap = { partition: partitionId(partition), first, last, reason: 'damage', logAge } as const
      return { kind: 'gap', gap }
    }),
    ...(parent === undefined ? [] : parentRecords(parent.ancestor, parent.ends)),
  ]
  return [...inBatches(records)]
}

import { expect } from 'vitest'
import type { PartitionId } from '../../../src/core/brand.ts'
import type { Log } from '../../../src/storage/log.ts'
import { openRecords } from '../../../src/wire/kafka/records.ts'

interface ModelRecord {
  readonly value: string
  /** Group that it was appended to; groups survive whole, and none without those before it. */
  readonly group: number
}

/** In a compacted partition a value begins with its key and this. */
export const keyMark = '|'

interface ModelPartition {
  /** Offset of `records[0]`. */
  base: number
  records: ModelRecord[]
  /** The log start may not be seen below this any more. */
  floor: number
}

/** What a log must show after a restart; the smallest thing that can be compared with it. */
export interface CheckOptions {
  /** Records may be missing where a gap record says so. */
  readonly gapsAllowed?: boolean
}

/** Everything appended, in plain arrays, and what of it was promised. */
export class LogModel {
  readonly #partitions = new Map<PartitionId, ModelPartition>()
  /** Bytes of values that the newest check found missing, with a gap record in their place. */
  lostBytes = 0
  #durableGroup = 0
  #acked = 0

  /** A copy that goes its own way from here. */
  clone(): LogModel {
    const copy = new LogModel()
    for (const [id, partition] of this.#partitions) {
      copy.#partitions.set(id, { ...partition, records: [...partition.records] })
    }
    copy.#durableGroup = this.#durableGroup
    copy.#acked = this.#acked
    return copy
  }

  get ackedGroups(): number {
    return this.#acked
  }

  partitions(): PartitionId[] {
    return [...this.#partitions.keys()]
  }

  open(partition: PartitionId): void {
    if (!this.#partitions.has(partition)) this.#partitions.set(partition, { base: 0, records: [], floor: 0 })
  }

  end(partition: PartitionId): number {
    const { base, records } = this.#of(partition)
    return base + records.length
  }

  appended(partition: PartitionId, baseOffset: number, values: readonly string[], group: number): void {
    expect(baseOffset, `partition ${partition}: appended offsets are dense`).toBe(this.end(partition))
    const { records } = this.#of(partition)
    for (const value of values) records.push({ value, group })
  }

  /** The log has said that the group is durable. */
  acked(group: number): void {
    this.#durableGroup = Math.max(this.#durableGroup, group)
    this.#acked++
  }

  /** A log start that is durable, or that a reader of durable state has seen. */
  logStarts(partition: PartitionId, offset: number): void {
    const of = this.#of(partition)
    of.floor = Math.max(of.floor, offset)
  }

  /** Compares a running log: everything below the high watermark, nothing about what was not promised. */
  async checkReads(log: Log, options: CheckOptions = {}): Promise<void> {
    this.lostBytes = 0
    for (const [partition] of this.#partitions) await this.#checkPartition(log, partition, options)
  }

  /**
   * Compares a log just opened after a stop or a crash. What it shows was seen from now on; what was neither promised nor has survived
   * is forgotten.
   */
  async checkRestarted(log: Log, options: CheckOptions = {}): Promise<void> {
    let newestSurvivor = 0
    let oldestLost = Number.POSITIVE_INFINITY
    for (const [partition, model] of this.#partitions) {
      log.openPartition(partition)
      const { logEnd, highWatermark } = log.offsets(partition)
      expect(highWatermark, `partition ${partition}: all that was recovered is durable`).toBe(logEnd)
      const promised = model.records.findLastIndex(({ group }) => group <= this.#durableGroup) + 1
      expect(logEnd, `partition ${partition}: acked records are there`).toBeGreaterThanOrEqual(model.base + promised)
      if (options.gapsAllowed === true) passLostEnd(log, partition, model, this.#durableGroup)
      expect(logEnd, `partition ${partition}: nothing was invented`).toBeLessThanOrEqual(
        model.base + model.records.length,
      )
      const survivors = logEnd - model.base
      expect(
        survivors,
        `partition ${partition}: the log end never goes back behind the log start`,
      ).toBeGreaterThanOrEqual(0)
      if (survivors > 0) newestSurvivor = Math.max(newestSurvivor, model.records[survivors - 1]!.group)
      if (survivors < model.records.length) oldestLost = Math.min(oldestLost, model.records[survivors]!.group)
      model.records.length = survivors
    }
    expect(newestSurvivor, 'groups survive whole and in order').toBeLessThan(oldestLost)
    this.#durableGroup = Math.max(this.#durableGroup, newestSurvivor)
    // later, log starts move at once and are durable some time after; now what is seen is durable
    for (const [partition] of this.#partitions) this.logStarts(partition, log.offsets(partition).logStart)
    await this.checkReads(log, options)
  }

  async #checkPartition(log: Log, partition: PartitionId, { gapsAllowed = false }: CheckOptions): Promise<void> {
    const model = this.#of(partition)
    const { logStart, highWatermark } = log.offsets(partition)
    expect(logStart, `partition ${partition}: the log start never goes back`).toBeGreaterThanOrEqual(model.floor)
    expect(logStart, `partition ${partition}: the log start is in the log`).toBeLessThanOrEqual(this.end(partition))
    const missing: { first: number; last: number }[] = []
    let offset = logStart
    while (offset < highWatermark) {
      // the log start may pass the reader
      offset = Math.max(offset, log.offsets(partition).logStart)
      if (offset >= highWatermark) break
      const { batches, nextOffset } = await log.read(partition, offset, 16 * 1024, highWatermark)
      expect(nextOffset, `partition ${partition}: a read at ${offset} gets on`).toBeGreaterThan(offset)
      let next = offset
      for (const batch of batches) {
        const cursor = openRecords(batch)
        while (cursor.next()) {
          if (cursor.offset < offset) continue
          if (cursor.offset > next) missing.push({ first: next, last: cursor.offset - 1 })
          const expected = model.records[cursor.offset - model.base]?.value
          const where = `partition ${partition} offset ${cursor.offset}`
          expect(cursor.value()?.toString('latin1'), `${where}: the bytes appended`).toBe(expected)
          next = cursor.offset + 1
        }
      }
      if (next < nextOffset) missing.push({ first: next, last: nextOffset - 1 })
      offset = nextOffset
    }
    // a gap that a read finds is recorded like any change: soon
    if (missing.length > 0) await log.whenDurable(log.openGroup).catch(() => undefined)
    const start = log.offsets(partition).logStart
    for (const { first, last } of missing) {
      const range = notSuperseded(model, Math.max(first, start), last, highWatermark)
      if (range !== undefined) this.#expectGap(log, partition, range.first, range.last, gapsAllowed)
    }
    // what lies below the durable log start is nobody's any more
    const dead = Math.min(start, model.floor) - model.base
    if (dead > 256) {
      model.records.splice(0, dead)
      model.base += dead
    }
  }

  #expectGap(log: Log, partition: PartitionId, first: number, last: number, allowed: boolean): void {
    const { base, records } = this.#of(partition)
    for (const { value } of records.slice(first - base, last + 1 - base)) this.lostBytes += value.length
    const isCovered = (offset: number): boolean =>
      log.gaps().some(gap => gap.partition === partition && gap.first <= offset && gap.last >= offset)
    let offset = first
    while (allowed && offset <= last && isCovered(offset)) offset++
    expect(offset, `partition ${partition}: offsets ${first} to ${last} are there, or in a gap record`).toBe(last + 1)
  }

  #of(partition: PartitionId): ModelPartition {
    const model = this.#partitions.get(partition)
    expect(model, `partition ${partition} is open`).toBeDefined()
    return model!
  }
}

/** The part of a hole that compaction cannot have made: for every other record in it there is a newer one with its key. */
const notSuperseded = (
  { base, records }: ModelPartition,
  first: number,
  last: number,
  end: number,
): { first: number; last: number } | undefined => {
  const newest = new Map<string, number>()
  for (let offset = base; offset < end; offset++) {
    const [key, rest] = (records[offset - base]?.value ?? '').split(keyMark, 2)
    if (rest !== undefined) newest.set(key!, offset)
  }
  const isNewest = (offset: number): boolean => {
    const [key, rest] = (records[offset - base]?.value ?? '').split(keyMark, 2)
    return rest === undefined || newest.get(key!) === offset
  }
  const left = Array.from({ length: Math.max(0, last + 1 - first) }, (_, index) => first + index).filter(isNewest)
  return left.length === 0 ? undefined : { first: left[0]!, last: left.at(-1)! }
}

/** Damage whose partition nobody can tell: offsets up to the end of a gap record are given to nobody. */
const passLostEnd = (log: Log, partition: PartitionId, model: ModelPartition, group: number): void => {
  const { logEnd } = log.offsets(partition)
  const end = model.base + model.records.length
  const isGap = log
    .gaps()
    .some(gap => gap.partition === partition && gap.reason === 'damage' && gap.first <= end && gap.last === logEnd - 1)
  if (!isGap) return
  for (let offset = end; offset < logEnd; offset++) model.records.push({ value: '', group })
}

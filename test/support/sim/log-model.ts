import { assert } from '../../../src/core/assert.ts'
import type { PartitionId } from '../../../src/core/brand.ts'
import type { Log } from '../../../src/storage/log.ts'
import { openRecords } from '../../../src/wire/kafka/records.ts'
import type { CrashKind } from './disk.ts'
import { must } from './must.ts'

interface ModelRecord {
  /** null: a tombstone; undefined: compaction took it, and it never comes back. */
  readonly value: string | null | undefined
  readonly key?: string
  /** Group that it was appended to; groups survive whole, and none without those before it. */
  readonly group: number
}

interface ModelPartition {
  /** Offset of `records[0]`. */
  base: number
  records: ModelRecord[]
  /** The log start may not be seen below this any more. */
  floor: number
  /** Ranges below log starts that somebody asked for; what else goes needs a gap record. */
  asked: { readonly first: number; readonly end: number }[]
  /** Group of the record that removes the partition. */
  removedIn?: number
}

/** What was appended, for the model. */
export interface ModelValue {
  readonly value: string | null
  readonly key: string
}

/** A relaxed record is on the device so long after it was acknowledged, at the latest. */
const relaxedSyncMs = 1000

/** Gap records that a simulated log keeps one by one. */
export const gapsMax = 100

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
  #highestId = 0
  #durableGroup = 0
  #acked = 0
  /** Acknowledged without being durable, oldest first, and when. */
  #relaxed: { readonly group: number; readonly atMs: number }[] = []
  /** The first crash since the log was last open, and whether the power went then or later. */
  #stopped: { readonly atMs: number; readonly powerCut: boolean } | undefined

  /** A copy that goes its own way from here. */
  clone(): LogModel {
    const copy = new LogModel()
    for (const [id, partition] of this.#partitions) {
      copy.#partitions.set(id, { ...partition, records: [...partition.records], asked: [...partition.asked] })
    }
    copy.#highestId = this.#highestId
    copy.#durableGroup = this.#durableGroup
    copy.#acked = this.#acked
    copy.#relaxed = [...this.#relaxed]
    copy.#stopped = this.#stopped
    return copy
  }

  get ackedGroups(): number {
    return this.#acked
  }

  partitions(): PartitionId[] {
    return [...this.#partitions].filter(([, { removedIn }]) => removedIn === undefined).map(([id]) => id)
  }

  /** Above all that there ever was: ids are not used twice. */
  get nextId(): number {
    return this.#highestId + 1
  }

  open(partition: PartitionId): void {
    this.#highestId = Math.max(this.#highestId, partition)
    if (this.#partitions.has(partition)) return
    this.#partitions.set(partition, { base: 0, records: [], floor: 0, asked: [] })
  }

  end(partition: PartitionId): number {
    const { base, records } = this.#of(partition)
    return base + records.length
  }

  appended(partition: PartitionId, baseOffset: number, values: readonly (string | ModelValue)[], group: number): void {
    must(baseOffset === this.end(partition), () => `partition ${partition}: appended offsets are dense`)
    const { records } = this.#of(partition)
    for (const value of values) records.push(typeof value === 'string' ? { value, group } : { ...value, group })
  }

  /** The log has said that the group is durable. */
  acked(group: number): void {
    this.#durableGroup = Math.max(this.#durableGroup, group)
    this.#acked++
  }

  /** The log has said that the group may be acknowledged, and all of it is relaxed. */
  ackedRelaxed(group: number, atMs: number): void {
    this.#acked++
    if (group > this.#durableGroup) this.#relaxed.push({ group, atMs })
  }

  /** The log shows the group to readers. */
  shown(group: number): void {
    this.#durableGroup = Math.max(this.#durableGroup, group)
  }

  /** The log ends without being closed. */
  crashed(kind: CrashKind, atMs: number): void {
    const powerCut = kind === 'power' || this.#stopped?.powerCut === true
    this.#stopped = { atMs: this.#stopped?.atMs ?? atMs, powerCut }
  }

  /** The partition is gone for readers, and for good once the group is durable. */
  removed(partition: PartitionId, group: number): void {
    this.#of(partition).removedIn = group
  }

  /** DeleteRecords: no gap record tells of what goes now. */
  asked(partition: PartitionId, first: number, end: number): void {
    this.#of(partition).asked.push({ first, end })
  }

  /** A log start that is durable, or that a reader of durable state has seen. */
  logStarts(partition: PartitionId, offset: number): void {
    const of = this.#partitions.get(partition)
    if (of !== undefined) of.floor = Math.max(of.floor, offset)
  }

  /** Compares a running log: everything below the high watermark, nothing about what was not promised. */
  async checkReads(log: Log, options: CheckOptions = {}): Promise<void> {
    this.lostBytes = 0
    for (const partition of this.partitions()) await this.#checkPartition(log, partition, options)
  }

  /**
   * Compares a log just opened after a stop or a crash. What it shows was seen from now on; what was neither promised nor has survived
   * is forgotten.
   */
  async checkRestarted(log: Log, options: CheckOptions = {}): Promise<void> {
    this.#judgeRelaxed()
    let newestSurvivor = 0
    let oldestLost = Number.POSITIVE_INFINITY
    const present = new Set(log.partitions())
    for (const [partition, model] of [...this.#partitions]) {
      const { removedIn } = model
      if (removedIn !== undefined) {
        const isThere = present.has(partition)
        must(!isThere || removedIn > this.#durableGroup, () => `partition ${partition}: removed for good`)
        if (isThere) oldestLost = Math.min(oldestLost, removedIn)
        else this.#partitions.delete(partition)
        delete model.removedIn
        if (!isThere) continue
      }
      log.openPartition(partition)
      const { logEnd, highWatermark } = log.offsets(partition)
      must(highWatermark === logEnd, () => `partition ${partition}: all that was recovered is durable`)
      const promised = model.records.findLastIndex(({ group }) => group <= this.#durableGroup) + 1
      const due = model.base + promised
      must(logEnd >= due, () => `partition ${partition}: acked records are there: to ${due}, not only to ${logEnd}`)
      if (options.gapsAllowed === true) passLostEnd(log, partition, model, this.#durableGroup)
      must(logEnd <= model.base + model.records.length, () => `partition ${partition}: nothing was invented: ${logEnd}`)
      const survivors = logEnd - model.base
      must(survivors >= 0, () => `partition ${partition}: the log end never goes back behind the log start`)
      if (survivors > 0) newestSurvivor = Math.max(newestSurvivor, model.records[survivors - 1]!.group)
      if (survivors < model.records.length) oldestLost = Math.min(oldestLost, model.records[survivors]!.group)
      model.records.length = survivors
    }
    must(
      newestSurvivor < oldestLost,
      () => `groups survive whole and in order: ${newestSurvivor}, but not ${oldestLost}`,
    )
    this.#durableGroup = Math.max(this.#durableGroup, newestSurvivor)
    // later, log starts move at once and are durable some time after; now what is seen is durable
    for (const partition of this.partitions()) this.logStarts(partition, log.offsets(partition).logStart)
    await this.checkReads(log, options)
  }

  /** The kernel keeps what it was given until the power goes; then what was given to it lately may be lost. */
  #judgeRelaxed(): void {
    const { atMs, powerCut } = this.#stopped ?? { atMs: 0, powerCut: false }
    for (const { group, atMs: ackedMs } of this.#relaxed) {
      if (!powerCut || ackedMs <= atMs - relaxedSyncMs) this.acked(group)
    }
    this.#relaxed = []
    this.#stopped = undefined
  }

  async #checkPartition(log: Log, partition: PartitionId, { gapsAllowed = false }: CheckOptions): Promise<void> {
    const model = this.#of(partition)
    const { logStart, highWatermark } = log.offsets(partition)
    const firstHidden = model.records.findIndex(({ group }) => group > this.#durableGroup)
    const shownTo = model.base + (firstHidden < 0 ? model.records.length : firstHidden)
    must(highWatermark <= shownTo, () => `partition ${partition}: nothing is shown before its sync: ${highWatermark}`)
    must(logStart >= model.floor, () => `partition ${partition}: the log start never goes back: ${logStart}`)
    await this.#expectExplained(log, partition, model)
    must(logStart <= this.end(partition), () => `partition ${partition}: the log start is in the log: ${logStart}`)
    const missing: { first: number; last: number }[] = []
    let offset = logStart
    while (offset < highWatermark) {
      // the log start may pass the reader
      offset = Math.max(offset, log.offsets(partition).logStart)
      if (offset >= highWatermark) break
      const { batches, nextOffset } = await log.read(partition, offset, 16 * 1024, highWatermark)
      must(nextOffset > offset, () => `partition ${partition}: a read gets on`)
      let next = offset
      for (const batch of batches) {
        const cursor = openRecords(batch)
        while (cursor.next()) {
          if (cursor.offset < offset) continue
          if (cursor.offset > next) missing.push({ first: next, last: cursor.offset - 1 })
          const expected = model.records[cursor.offset - model.base]?.value
          const value = cursor.value()
          const isSame = value === null || typeof expected !== 'string' ? value === expected : holds(value, expected)
          must(isSame, () => `partition ${partition} offset ${cursor.offset}: the bytes appended`)
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
      if (last < start) continue
      for (const range of notCompacted(model, Math.max(first, start), last, highWatermark)) {
        this.#expectGap(log, partition, range.first, range.last, gapsAllowed)
      }
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
    for (const { value } of records.slice(first - base, last + 1 - base)) this.lostBytes += value?.length ?? 0
    const isCovered = (offset: number): boolean =>
      log.gaps().some(gap => gap.partition === partition && gap.first <= offset && gap.last >= offset)
    let offset = first
    while (allowed && offset <= last && isCovered(offset)) offset++
    must(offset === last + 1, () => `partition ${partition}: offsets ${first} to ${last} are there, or in a gap record`)
  }

  /** Whatever lies below the log start was deleted on request, or a gap record says why it went. */
  async #expectExplained(log: Log, partition: PartitionId, { asked }: ModelPartition): Promise<void> {
    const { logStart } = log.offsets(partition)
    if (explainedTo(log, partition, asked) >= logStart) return
    // the record is durable some time after the log start has moved; never, when the log can no longer be written
    const isDurable = await log.whenDurable(log.openGroup).then(
      () => true,
      () => false,
    )
    const end = explainedTo(log, partition, asked)
    must(!isDurable || end >= logStart, () => `partition ${partition}: no gap record of ${end}, below ${logStart}`)
  }

  #of(partition: PartitionId): ModelPartition {
    const model = this.#partitions.get(partition)
    assert(model !== undefined, `partition ${partition} is open`)
    return model
  }
}

/** Without a string for each record of each check. */
const holds = (value: Buffer, text: string): boolean => {
  if (value.length !== text.length) return false
  for (let at = 0; at < value.length; at++) if (value[at] !== text.charCodeAt(at)) return false
  return true
}

/** The first offset that neither somebody's request nor a gap record takes away. */
const explainedTo = (log: Log, partition: PartitionId, asked: ModelPartition['asked']): number => {
  const gaps = log.gaps()
  // past `gaps.max` the oldest are summed
  if (gaps.length >= gapsMax) return Number.POSITIVE_INFINITY
  const known = gaps.filter(gap => gap.partition === partition).map(({ first, last }) => ({ first, end: last + 1 }))
  let end = 0
  for (const range of [...known, ...asked].sort((one, other) => one.first - other.first)) {
    if (range.first <= end) end = Math.max(end, range.end)
  }
  return end
}

/**
 * What compaction cannot have taken of a hole: a record goes only for a newer one of its key, a tombstone only after all that it deletes. What it has
 * taken never comes back.
 */
const notCompacted = (
  { base, records }: ModelPartition,
  first: number,
  last: number,
  highWatermark: number,
): { first: number; last: number }[] => {
  if (records[last - base]?.key === undefined) return [{ first, last }]
  const newest = new Map<string, number>()
  const visible = new Set<string>()
  records.slice(0, highWatermark - base).forEach(({ key, value }, index) => {
    if (key !== undefined) newest.set(key, index)
    if (key !== undefined && index < first - base && value !== undefined) visible.add(key)
  })
  const left: { first: number; last: number }[] = []
  for (let offset = first; offset <= last; offset++) {
    const record = records[offset - base]!
    const { key = '', value } = record
    if (value === undefined) continue
    if (newest.get(key)! > offset - base || (value === null && !visible.has(key))) {
      records[offset - base] = { ...record, value: undefined }
    } else left.push({ first: offset, last: offset })
  }
  return left
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

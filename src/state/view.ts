import type { PartitionId } from '../core/brand.ts'

/**
 * State derived from one internal partition: a function of its records, replayed in offset order. The same `apply` serves live
 * writes and replay. Everything fits in memory and can be written out again as records (`entries`).
 */
export interface View {
  /** Name of its checkpoint; on disk, never change it. */
  readonly name: string
  readonly partition: PartitionId
  /** Takes one record; a null value removes the key. Must accept records that it has seen (the later state wins). */
  apply(key: Buffer, value: Buffer | null): void
  /** The whole state as records, such that applying them to an empty view gives this one. */
  entries(): Iterable<StateRecord>
  /** Forgets everything: a checkpoint that was read turned out wrong, the log is replayed from its start. */
  clear(): void
}

export interface StateRecord {
  readonly key: Buffer
  /** Null removes the key. */
  readonly value: Buffer | null
}

/** A change of one view; several are written atomically. */
export interface StateChange extends StateRecord {
  readonly view: View
}

/** What is wrong with a range of bytes, and what that means for the records in it. */
export const damageCauses = {
  meta: 'one of the two copies of meta does not verify; the other one serves',
  slotHeader: 'the header of the slot does not verify; its segment is not served',
  groupHeader: 'the header of a group does not verify',
  frameHeader: 'the header of a frame does not verify',
  batch: 'the checksum of a batch does not hold',
  padding: 'bytes between two groups are not zero; no record stands there',
  offsets: 'offsets of a partition go back',
  missing: 'the file ends before the segment does',
  footer: 'the footer does not verify; it is a cache, no record is lost',
  footerContent: 'the footer does not say what the segment holds; it is a cache, no record is lost',
  unreadable: 'the device cannot read these blocks',
} as const

export type DamageCause = keyof typeof damageCauses

/** A range of damaged bytes, as small as can be proven. */
export interface Damage {
  /** 0: the file `meta`. */
  readonly slot: number
  readonly position: number
  readonly bytes: number
  readonly cause: DamageCause
  /** Number of the group, where known. */
  readonly group?: number
  /** From a frame header that verifies; absent where none does. */
  readonly partition?: number
  readonly first?: number
  readonly last?: number
}

/** Offsets of a partition that stood between two others and were not found. */
export interface MissingOffsets {
  readonly partition: number
  readonly first: number
  readonly last: number
}

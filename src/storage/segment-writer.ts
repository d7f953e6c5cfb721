import { assert } from '../core/assert.ts'
import { groupHeaderBytes } from './group.ts'
import { alignUp, blockBytes, firstGroupPosition, footerCost, groupAlignBytes } from './layout.ts'
import { arenaGroupStart, type OpenGroup } from './open-group.ts'
import { Segment } from './segment.ts'
import { encodeSlotHeader, type SlotHeader } from './slot.ts'
import type { Slot } from './slot-file.ts'

/** A group goes on in the tail block when at least this much of it is free and the group is no longer than a block. */
const minTailBytes = blockBytes / 4

/** Where a group goes, and which stretch of its arena is written. */
export interface Placement {
  readonly segment: Segment
  /** Of the group header in the slot. */
  readonly position: number
  readonly arenaStart: number
  readonly writeBytes: number
  readonly writePosition: number
}

/** Gives groups their place: the active segment, its tail block, and the change to the next slot. */
export class SegmentWriter {
  active: Segment | undefined
  /** Sequence of the newest segment when none is active. */
  #lastSequence = 0
  readonly #slotBytes: number
  readonly #align: 'auto' | 'always'
  /** Takes a free slot, or undefined. */
  readonly #takeSlot: () => Slot | undefined
  readonly #onSeal: (segment: Segment) => void
  /** Position after the last group that was written to the active segment, on the device or not yet. */
  #end = 0
  /** By how much groups that are not on the device yet will lengthen the footer. */
  #pendingFooterBytes = 0
  /** Content of the active segment's last block, valid up to `#end`. */
  readonly #tailBlock = Buffer.alloc(blockBytes)
  #tailBytes = 0
  #sealNext = false

  constructor(
    options: { slotBytes: number; align: 'auto' | 'always' },
    takeSlot: () => Slot | undefined,
    onSeal: (segment: Segment) => void,
  ) {
    this.#slotBytes = options.slotBytes
    this.#align = options.align
    this.#takeSlot = takeSlot
    this.#onSeal = onSeal
  }

  /** Goes on in the newest segment that recovery found, or behind it. */
  resume(newest: Segment | undefined): void {
    if (newest?.slot.isBad) newest.sealed = true
    if (newest?.sealed === false) {
      this.active = newest
      this.#end = newest.end
    } else this.#lastSequence = newest?.sequence ?? 0
  }

  /** The next group begins another segment, unless this one has none yet. */
  sealActive(): void {
    this.#sealNext = this.active !== undefined && !this.active.sealed
  }

  /** Bytes that groups may still take in the active segment; the footer's room is not counted. */
  get activeRoomBytes(): number {
    const { active } = this
    if (active === undefined || active.sealed) return 0
    const footer = active.footerBytes + this.#pendingFooterBytes
    return Math.max(0, this.#slotBytes - alignUp(active.end, blockBytes) - alignUp(footer, blockBytes))
  }

  /** The closed group goes into another segment: whatever is in the active one must be on the device before it is placed. */
  beginsSegment(group: OpenGroup): boolean {
    const { active } = this
    return (
      active === undefined || active.sealed || this.#sealNext || !this.#fits(active, this.#nextPosition(group), group)
    )
  }

  /**
   * Finds the place of a closed group and puts what precedes it in its blocks (tail of the group before, or the header of a new slot) in
   * front of it in the arena. Undefined: no prepared space yet. `newHeader` says what a new segment's header holds.
   */
  place(
    group: OpenGroup,
    arena: Buffer,
    newHeader: (sequence: number) => Omit<SlotHeader, 'kind' | 'sequence' | 'slotBytes'>,
  ): Placement | undefined {
    const { active } = this
    if (active !== undefined && !this.beginsSegment(group)) {
      return this.#placeAt(active, this.#nextPosition(group), group, arena)
    }
    if (active !== undefined && !active.sealed) {
      active.sealed = true
      this.#sealNext = false
      this.#onSeal(active)
    }
    const slot = this.#takeSlot()
    if (slot === undefined) return undefined
    const sequence = (active?.sequence ?? this.#lastSequence) + 1
    const header: SlotHeader = { ...newHeader(sequence), kind: 'hot', sequence, slotBytes: this.#slotBytes }
    const segment = new Segment(slot, header, firstGroupPosition)
    this.active = segment
    this.#end = firstGroupPosition
    this.#tailBytes = 0
    assert(this.#fits(segment, firstGroupPosition, group), 'a group fits in an empty slot')
    encodeSlotHeader(header).copy(arena, 0)
    const writeBytes = alignUp(firstGroupPosition + group.bytes, blockBytes)
    return { segment, position: firstGroupPosition, arenaStart: 0, writeBytes, writePosition: 0 }
  }

  /** The space of the placement is prepared: writing it cannot run out of space. */
  isPrepared(placement: Placement): boolean {
    return placement.writePosition + placement.writeBytes <= placement.segment.slot.preparedBytes
  }

  /** The group was written: keeps its last block for the next one. */
  written({ position }: Placement, group: OpenGroup, arena: Buffer): void {
    this.#end = position + group.bytes
    this.#pendingFooterBytes += footerGrowth(group)
    this.#tailBytes = this.#end % blockBytes
    const groupEnd = arenaGroupStart + group.bytes
    if (this.#tailBytes > 0) arena.copy(this.#tailBlock, 0, groupEnd - this.#tailBytes, groupEnd)
  }

  /** The group, and every one before it, is on the device: from now on it is part of its segment. */
  durable({ segment, position }: Placement, group: OpenGroup, crc: number): void {
    segment.end = position + group.bytes
    segment.lastGroup = group.number
    segment.lastCrc = crc
    this.#pendingFooterBytes -= footerGrowth(group)
  }

  #nextPosition({ bytes }: OpenGroup): number {
    const aligned = alignUp(this.#end, groupAlignBytes)
    const free = alignUp(this.#end, blockBytes) - aligned
    const shares = this.#align === 'auto' && this.#tailBytes > 0 && free >= minTailBytes && bytes <= blockBytes
    return shares ? aligned : alignUp(this.#end, blockBytes)
  }

  #fits(segment: Segment, position: number, group: OpenGroup): boolean {
    const footerBytes = Math.max(segment.footerBytes, footerCost.fixed) + this.#pendingFooterBytes + footerGrowth(group)
    const footer = alignUp(footerBytes, blockBytes)
    // recovery may have to write the newest group a second time behind it
    const copy = this.#align === 'always' && position !== firstGroupPosition ? alignUp(group.bytes, blockBytes) : 0
    return alignUp(position + group.bytes, blockBytes) + copy + footer <= this.#slotBytes
  }

  #placeAt(segment: Segment, position: number, group: OpenGroup, arena: Buffer): Placement {
    const before = position % blockBytes
    assert(group.bytes >= groupHeaderBytes, 'a group has a header')
    if (before > 0) {
      const start = arenaGroupStart - before
      arena.fill(0, start, arenaGroupStart)
      this.#tailBlock.copy(arena, start, 0, this.#tailBytes)
    }
    const writePosition = position - before
    const writeBytes = alignUp(before + group.bytes, blockBytes)
    return { segment, position, arenaStart: arenaGroupStart - before, writeBytes, writePosition }
  }
}

/** At most. */
const footerGrowth = ({ partitions, frameCount }: OpenGroup): number => {
  const { salt, span, epoch, block } = footerCost
  return salt + partitions.length * (span + epoch) + frameCount * block
}

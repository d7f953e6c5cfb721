import { crc32c } from '../core/crc32c.ts'
import { blockBytes, formatVersion, getUint64, putUint64 } from './layout.ts'

/** 'BKLS' */
const slotMagic = 0x424b4c53
export const slotHeaderBytes = 64

/** What a slot holds: nothing, groups as they were committed, or (later) batches copied by the cleaner. */
export type SlotKind = 'free' | 'hot' | 'cold'
const kinds: readonly SlotKind[] = ['free', 'hot', 'cold']

/** The first block of a slot file: the truth about its content. */
export interface SlotHeader {
  readonly kind: SlotKind
  /** 32 hex digits. */
  readonly logId: string
  /** Rises by one with every segment of the log. */
  readonly sequence: number
  /** Salt of the start that began the segment; groups of later starts in it bring their own. */
  readonly salt: bigint
  readonly slotBytes: number
  /** Number of the first group, and the CRC of the group before it: the chain goes on here. */
  readonly firstGroup: number
  readonly previousCrc: number
  readonly logEpoch: number
}

/** The whole first block of a slot. */
export const encodeSlotHeader = (header: SlotHeader): Buffer => {
  const block = Buffer.alloc(blockBytes)
  block.writeUInt32BE(slotMagic, 0)
  block.writeUInt16BE(formatVersion, 4)
  block.writeUInt8(kinds.indexOf(header.kind), 6)
  block.write(header.logId, 8, 'hex')
  putUint64(block, header.sequence, 24)
  block.writeBigUInt64BE(header.salt, 32)
  block.writeUInt32BE(header.slotBytes, 40)
  block.writeUInt32BE(header.previousCrc, 44)
  putUint64(block, header.firstGroup, 48)
  block.writeUInt32BE(header.logEpoch, 56)
  block.writeUInt32BE(crc32c(block.subarray(0, 60)), 60)
  return block
}

/** The header, or undefined when the block holds none that verifies. */
export const decodeSlotHeader = (block: Buffer): SlotHeader | undefined => {
  if (block.length < slotHeaderBytes || block.readUInt32BE(0) !== slotMagic) return undefined
  if (crc32c(block.subarray(0, 60)) !== block.readUInt32BE(60)) return undefined
  const kind = kinds[block.readUInt8(6)]
  if (kind === undefined || block.readUInt16BE(4) !== formatVersion) return undefined
  return {
    kind,
    logId: block.toString('hex', 8, 24),
    sequence: getUint64(block, 24),
    salt: block.readBigUInt64BE(32),
    slotBytes: block.readUInt32BE(40),
    previousCrc: block.readUInt32BE(44),
    firstGroup: getUint64(block, 48),
    logEpoch: block.readUInt32BE(56),
  }
}

/** `0001.slot` for 1. */
export const slotFileName = (slot: number): string => `${String(slot).padStart(4, '0')}.slot`

/** The inverse of `slotFileName`; undefined for any other name. */
export const slotOfFileName = (name: string): number | undefined => {
  const match = /^(\d{4,})\.slot$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

/** A file of this name says that the slot is bad. Once nothing in the slot is needed, its own file gets the name: so its blocks are given to nobody else. */
export const badSlotName = (number: number): string => slotFileName(number).replace(/slot$/, 'bad')

/** The inverse of `badSlotName`; undefined for any other name. */
export const slotOfBadName = (name: string): number | undefined => {
  const match = /^(\d{4,})\.bad$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

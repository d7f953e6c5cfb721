import { crc32c } from '../core/crc32c.ts'

/** Version of everything on disk under the data directory; a newer one is refused at start. */
export const formatVersion = 1

/** The device is written in whole blocks of this size, at positions that are multiples of it. */
export const blockBytes = 4096
/** A group starts at a multiple of this within its block, so that a scan knows where to look. */
export const groupAlignBytes = 64
/** One index entry per partition for each stretch of a slot of this size. */
export const indexBlockBytes = 64 * 1024
/** Groups follow the slot header's block. */
export const firstGroupPosition = blockBytes

export const alignUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit
export const alignDown = (value: number, unit: number): number => Math.floor(value / unit) * unit

const twoPow32 = 2 ** 32

/** Stores a safe non-negative integer as 64 bits. */
export const putUint64 = (buffer: Buffer, value: number, at: number): void => {
  buffer.writeUInt32BE(Math.floor(value / twoPow32), at)
  buffer.writeUInt32BE(value % twoPow32, at + 4)
}

/** Reads what `putUint64` stored; only called on bytes whose checksum was verified, or whose result is compared. */
export const getUint64 = (buffer: Buffer, at: number): number =>
  buffer.readUInt32BE(at) * twoPow32 + buffer.readUInt32BE(at + 4)

/** Stores a safe integer, negative ones included (record timestamps). */
export const putInt64 = (buffer: Buffer, value: number, at: number): void => {
  buffer.writeInt32BE(Math.floor(value / twoPow32), at)
  buffer.writeUInt32BE(value - Math.floor(value / twoPow32) * twoPow32, at + 4)
}

export const getInt64 = (buffer: Buffer, at: number): number =>
  buffer.readInt32BE(at) * twoPow32 + buffer.readUInt32BE(at + 4)

/** The CRC state that frames of a start begin with: bytes of another start never verify, whatever else fits. */
export const saltSeed = (salt: bigint): number => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(salt)
  return crc32c(bytes)
}

/** Bytes that a footer needs for itself and for each thing it lists; docs/FORMAT.md draws it. */
export const footerCost = { fixed: 72, salt: 12, span: 48, epoch: 12, block: 28 } as const

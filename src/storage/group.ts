import { crc32c } from '../core/crc32c.ts'
import { getUint64, putUint64 } from './layout.ts'

export const groupHeaderBytes = 64
/** 'BKGR' */
export const groupMagic = 0x424b4752

/** Bits of `flags`. */
export const groupFlags = {
  /** First group of a start: brings a new salt and a new log epoch. */
  start: 1,
  /** Empty group of a clean stop: the group before it was durable. */
  witness: 2,
} as const

/** The header of a group, the atomic unit of the log. docs/FORMAT.md draws it. */
export interface GroupHeader {
  readonly flags: number
  /** 64 random bits of the start that wrote the group. */
  readonly salt: bigint
  readonly number: number
  /** The newest group whose sync had returned when this one was written. */
  readonly durableThrough: number
  /** Header and frames, padding not included. */
  readonly length: number
  readonly frameCount: number
  /** The `crc` of the group before: the link of the chain. */
  readonly previousCrc: number
  readonly logEpoch: number
  /** Seconds. */
  readonly logAge: number
  /** Seconds since the machine booted, and which boot it was (CRC-32C of the boot id): log age goes on from here. */
  readonly sinceBoot: number
  readonly bootHash: number
  /** CRC-32C of the header up to here. */
  readonly crc: number
}

/** Writes the header at `at` and returns its CRC. */
export const writeGroupHeader = (buffer: Buffer, at: number, header: Omit<GroupHeader, 'crc'>): number => {
  buffer.writeUInt32BE(groupMagic, at)
  buffer.writeUInt16BE(header.flags, at + 4)
  buffer.writeUInt16BE(0, at + 6)
  buffer.writeBigUInt64BE(header.salt, at + 8)
  putUint64(buffer, header.number, at + 16)
  putUint64(buffer, header.durableThrough, at + 24)
  buffer.writeUInt32BE(header.length, at + 32)
  buffer.writeUInt32BE(header.frameCount, at + 36)
  buffer.writeUInt32BE(header.previousCrc, at + 40)
  buffer.writeUInt32BE(header.logEpoch, at + 44)
  buffer.writeUInt32BE(header.logAge, at + 48)
  buffer.writeUInt32BE(header.sinceBoot, at + 52)
  buffer.writeUInt32BE(header.bootHash, at + 56)
  const crc = crc32c(buffer.subarray(at, at + 60))
  buffer.writeUInt32BE(crc, at + 60)
  return crc
}

/** The header at `at`, or undefined when the bytes are none: magic, checksum or lengths do not hold. */
export const readGroupHeader = (buffer: Buffer, at: number): GroupHeader | undefined => {
  if (at + groupHeaderBytes > buffer.length || buffer.readUInt32BE(at) !== groupMagic) return undefined
  const crc = buffer.readUInt32BE(at + 60)
  if (crc32c(buffer.subarray(at, at + 60)) !== crc) return undefined
  const length = buffer.readUInt32BE(at + 32)
  if (length < groupHeaderBytes) return undefined
  return {
    flags: buffer.readUInt16BE(at + 4),
    salt: buffer.readBigUInt64BE(at + 8),
    number: getUint64(buffer, at + 16),
    durableThrough: getUint64(buffer, at + 24),
    length,
    frameCount: buffer.readUInt32BE(at + 36),
    previousCrc: buffer.readUInt32BE(at + 40),
    logEpoch: buffer.readUInt32BE(at + 44),
    logAge: buffer.readUInt32BE(at + 48),
    sinceBoot: buffer.readUInt32BE(at + 52),
    bootHash: buffer.readUInt32BE(at + 56),
    crc,
  }
}

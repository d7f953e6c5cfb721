import { crc32c } from '../core/crc32c.ts'
import { blockBytes, formatVersion, getUint64, putUint64 } from './layout.ts'

/** 'BKMT' */
const metaMagic = 0x424b4d54
const fixedBytes = 48
const startBytes = 12
const ancestorBytes = 24
/** Starts kept: recovery knows the salts of these also where a start group is damaged. */
export const maxStarts = 64
export const maxAncestors = 64

/** One start of the log. Written here before its first group, so that an epoch is never used twice. */
export interface LogStart {
  readonly logEpoch: number
  readonly salt: bigint
}

/** A log that this one was restored from. */
export interface Ancestor {
  readonly logId: string
  readonly lastGroup: number
}

/** The file `meta` of a data directory. */
export interface Meta {
  readonly logId: string
  /** Fixed when the directory is made; a changed budget changes the number of slots. */
  readonly slotBytes: number
  /** Newest last. */
  readonly starts: readonly LogStart[]
  readonly ancestors: readonly Ancestor[]
}

/** Two equal copies of one block each: one damaged block does not take the identity of the log with it. */
export const encodeMeta = (meta: Meta): Buffer => {
  const block = Buffer.alloc(blockBytes)
  const starts = meta.starts.slice(-maxStarts)
  const ancestors = meta.ancestors.slice(-maxAncestors)
  block.writeUInt32BE(metaMagic, 0)
  block.writeUInt16BE(formatVersion, 4)
  block.write(meta.logId, 8, 'hex')
  block.writeUInt32BE(meta.slotBytes, 24)
  block.writeUInt16BE(starts.length, 28)
  block.writeUInt16BE(ancestors.length, 30)
  let at = fixedBytes
  for (const start of starts) {
    block.writeUInt32BE(start.logEpoch, at)
    block.writeBigUInt64BE(start.salt, at + 4)
    at += startBytes
  }
  for (const ancestor of ancestors) {
    block.write(ancestor.logId, at, 'hex')
    putUint64(block, ancestor.lastGroup, at + 16)
    at += ancestorBytes
  }
  block.writeUInt32BE(crc32c(block.subarray(0, blockBytes - 4)), blockBytes - 4)
  return Buffer.concat([block, block])
}

/** What the file says: the content of the first copy that verifies; else a newer format, or bytes that are no `meta` of ours. */
export const decodeMeta = (file: Buffer): Meta | 'newer' | 'foreign' => {
  let isNewer = false
  for (let at = 0; at + blockBytes <= file.length; at += blockBytes) {
    const block = file.subarray(at, at + blockBytes)
    if (block.readUInt32BE(0) !== metaMagic) continue
    // the version stands before anything that a later format may change, its checksum included: one flipped bit must not look like it
    if (block.readUInt16BE(4) > formatVersion) isNewer = true
    else if (crc32c(block.subarray(0, blockBytes - 4)) === block.readUInt32BE(blockBytes - 4)) return decodeCopy(block)
  }
  return isNewer ? 'newer' : 'foreign'
}

const decodeCopy = (block: Buffer): Meta => {
  const starts: LogStart[] = []
  const ancestors: Ancestor[] = []
  let at = fixedBytes
  for (let left = block.readUInt16BE(28); left > 0; left--, at += startBytes) {
    starts.push({ logEpoch: block.readUInt32BE(at), salt: block.readBigUInt64BE(at + 4) })
  }
  for (let left = block.readUInt16BE(30); left > 0; left--, at += ancestorBytes) {
    ancestors.push({ logId: block.toString('hex', at, at + 16), lastGroup: getUint64(block, at + 16) })
  }
  return { logId: block.toString('hex', 8, 24), slotBytes: block.readUInt32BE(24), starts, ancestors }
}

import { partitionId } from '../core/brand.ts'
import { Cuts } from './cuts.ts'
import { gapReasons } from './gaps.ts'
import { getUint64, putUint64 } from './layout.ts'
import type { Gap } from './log.ts'
import type { Ancestor } from './meta.ts'

/** A record of the log control partition; docs/FORMAT.md draws each. */
export type ControlRecord =
  /** A start of the log. */
  | { readonly kind: 'start'; readonly logEpoch: number; readonly incarnation: string }
  /** The partition begins here: everything below is dead. Never goes back. */
  | { readonly kind: 'logStart'; readonly partition: number; readonly offset: number }
  /** The same of many partitions, with the gaps that it leaves. */
  | { readonly kind: 'cuts'; readonly cuts: Cuts }
  /** The partition was deleted; its id is never used again. */
  | { readonly kind: 'removed'; readonly partition: number }
  | { readonly kind: 'gap'; readonly gap: Gap }
  /** Gaps that are no longer kept one by one. */
  | { readonly kind: 'summed'; readonly count: number; readonly records: number }
  /** Offsets below it were given though no batch shows it any more: damage took the partition's newest ones. */
  | { readonly kind: 'logEnd'; readonly partition: number; readonly offset: number }
  /**
   * The slot holds a cold segment of the log, with this number, salt and end. Of offsets that several segments hold, the newest cold segment
   * counts, then an older one, then the hot one.
   */
  | { readonly kind: 'cold'; readonly cold: ColdPlace }
  /** Offset at which the log that this one was restored from ended, in the backup. */
  | { readonly kind: 'parentEnd'; readonly partition: number; readonly offset: number }
  /** This log was restored from a backup of that one; comes after the ends of its partitions. */
  | { readonly kind: 'restored'; readonly parent: Ancestor }
  /** The state follows in this batch; gaps, removals and cold segments known before are dropped. */
  | { readonly kind: 'snapshot' }

/** Where a cold segment is, as the record says that publishes it. */
export interface ColdPlace {
  readonly sequence: number
  /** Number of the slot. */
  readonly slot: number
  readonly salt: bigint
  /** Position after the last frame. */
  readonly end: number
}

export const controlRecordTypes = {
  start: 1,
  logStart: 2,
  removed: 3,
  gap: 4,
  summed: 5,
  snapshot: 6,
  logEnd: 7,
  cold: 8,
  restored: 9,
  parentEnd: 10,
  cuts: 11,
} as const
/** Of a record of fixed length. */
const longestBytes = 32

/** The value of the record; keys are null. */
export const encodeControlRecord = (record: ControlRecord): Buffer => {
  const bytes = record.kind === 'cuts' ? record.cuts.encode(1) : encodeFields(record)
  bytes.writeUInt8(controlRecordTypes[record.kind], 0)
  return bytes
}

/** A value of fixed length. */
const encodeFields = (record: Exclude<ControlRecord, { kind: 'cuts' }>): Buffer => {
  const bytes = Buffer.alloc(longestBytes)
  switch (record.kind) {
    case 'start':
      bytes.writeUInt32BE(record.logEpoch, 1)
      bytes.write(record.incarnation, 5, 'hex')
      return bytes.subarray(0, 13)
    case 'logStart':
    case 'logEnd':
    case 'parentEnd':
      bytes.writeUInt32BE(record.partition, 1)
      putUint64(bytes, record.offset, 5)
      return bytes.subarray(0, 13)
    case 'removed':
      bytes.writeUInt32BE(record.partition, 1)
      return bytes.subarray(0, 5)
    case 'gap':
      bytes.writeUInt32BE(record.gap.partition, 1)
      putUint64(bytes, record.gap.first, 5)
      putUint64(bytes, record.gap.last, 13)
      bytes.writeUInt8(gapReasons.indexOf(record.gap.reason), 21)
      bytes.writeUInt32BE(record.gap.logAge, 22)
      return bytes.subarray(0, 26)
    case 'summed':
      bytes.writeUInt32BE(record.count, 1)
      putUint64(bytes, record.records, 5)
      return bytes.subarray(0, 13)
    case 'cold':
      putUint64(bytes, record.cold.sequence, 1)
      bytes.writeUInt32BE(record.cold.slot, 9)
      bytes.writeBigUInt64BE(record.cold.salt, 13)
      bytes.writeUInt32BE(record.cold.end, 21)
      return bytes.subarray(0, 25)
    case 'restored':
      bytes.write(record.parent.logId, 1, 'hex')
      putUint64(bytes, record.parent.lastGroup, 17)
      return bytes.subarray(0, 25)
    case 'snapshot':
      return bytes.subarray(0, 1)
  }
}

/** The record in a verified value; undefined for a type that a later version of this format may have added. */
export const decodeControlRecord = (bytes: Buffer): ControlRecord | undefined => {
  switch (bytes.readUInt8(0)) {
    case controlRecordTypes.start:
      return { kind: 'start', logEpoch: bytes.readUInt32BE(1), incarnation: bytes.toString('hex', 5, 13) }
    case controlRecordTypes.logStart:
      return { kind: 'logStart', partition: bytes.readUInt32BE(1), offset: getUint64(bytes, 5) }
    case controlRecordTypes.logEnd:
      return { kind: 'logEnd', partition: bytes.readUInt32BE(1), offset: getUint64(bytes, 5) }
    case controlRecordTypes.removed:
      return { kind: 'removed', partition: bytes.readUInt32BE(1) }
    case controlRecordTypes.gap: {
      const reason = gapReasons[bytes.readUInt8(21)] ?? 'damage'
      const [first, last] = [getUint64(bytes, 5), getUint64(bytes, 13)]
      const partition = partitionId(bytes.readUInt32BE(1))
      return { kind: 'gap', gap: { partition, first, last, reason, logAge: bytes.readUInt32BE(22) } }
    }
    case controlRecordTypes.summed:
      return { kind: 'summed', count: bytes.readUInt32BE(1), records: getUint64(bytes, 5) }
    case controlRecordTypes.cold: {
      const [sequence, slot] = [getUint64(bytes, 1), bytes.readUInt32BE(9)]
      return { kind: 'cold', cold: { sequence, slot, salt: bytes.readBigUInt64BE(13), end: bytes.readUInt32BE(21) } }
    }
    case controlRecordTypes.restored:
      return { kind: 'restored', parent: { logId: bytes.toString('hex', 1, 17), lastGroup: getUint64(bytes, 17) } }
    case controlRecordTypes.parentEnd:
      return { kind: 'parentEnd', partition: bytes.readUInt32BE(1), offset: getUint64(bytes, 5) }
    case controlRecordTypes.snapshot:
      return { kind: 'snapshot' }
    case controlRecordTypes.cuts:
      return { kind: 'cuts', cuts: Cuts.decode(bytes, 1) }
    default:
      return undefined
  }
}

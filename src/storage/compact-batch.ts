import { codecName, compress, decompress } from '../wire/kafka/compression/codecs.ts'
import {
  AT,
  CODEC_MASK,
  codecOf,
  HEADER_BYTES,
  hasLogAppendTime,
  LENGTH_OVERHEAD_BYTES,
  maxTimestampOf,
  recordCountOf,
  seal,
  writeInt64,
} from '../wire/kafka/record-batch.ts'
import { RecordCursor } from '../wire/kafka/records.ts'

/** Why a record goes; each is counted. `keyless`: a compacted topic has no place for it, as in Kafka. */
export type Removal = 'superseded' | 'tombstone' | 'keyless'

/** What becomes of one record. */
export type RecordJudge = (key: Buffer | null, isTombstone: boolean, offset: number) => Removal | undefined

/** What judging a batch found. */
export interface JudgedBatch {
  /** Records that stay. */
  readonly kept: number
  /** Tombstones among them. */
  readonly tombstones: number
  readonly removed: ReadonlyMap<Removal, number>
  /** The records that stay, as they stood in the batch, not compressed. */
  readonly records: readonly Buffer[]
  /** Largest timestamp of those, -1 when there is none. */
  readonly maxTimestampMs: number
}

/** A batch that unpacks to more is left as it is: it would stop everything else for too long. */
export const maxUnpackedBytes = 16 * 1024 * 1024

/** The records of a batch; undefined when they cannot be taken apart. */
export const unpackedRecords = async (batch: Buffer): Promise<RecordCursor | undefined> => {
  try {
    const records = await decompress(codecOf(batch), batch.subarray(HEADER_BYTES), maxUnpackedBytes)
    return new RecordCursor(batch, records)
  } catch {
    return undefined
  }
}

/** Judges every record of a batch; undefined when they cannot be taken apart: then all stay. */
export const judgeBatch = async (batch: Buffer, judge: RecordJudge): Promise<JudgedBatch | undefined> => {
  const cursor = await unpackedRecords(batch)
  if (cursor === undefined) return undefined
  const removed = new Map<Removal, number>()
  const records: Buffer[] = []
  let tombstones = 0
  let maxTimestampMs = -1
  try {
    while (cursor.next()) {
      const isTombstone = cursor.value() === null
      const removal = judge(cursor.key(), isTombstone, cursor.offset)
      if (removal !== undefined) {
        removed.set(removal, (removed.get(removal) ?? 0) + 1)
        continue
      }
      records.push(cursor.bytes())
      if (isTombstone) tombstones++
      maxTimestampMs = Math.max(maxTimestampMs, cursor.timestampMs)
    }
  } catch {
    return undefined
  }
  return { kept: records.length, tombstones, removed, records, maxTimestampMs }
}

/**
 * The batch with those records alone. Base offset, last offset, base timestamp, attributes and the producer's fields stay, and with them the offset and
 * time of every record and what the sequence numbers say.
 */
export const rewriteBatch = async (batch: Buffer, { records, kept, maxTimestampMs }: JudgedBatch): Promise<Buffer> => {
  if (kept === recordCountOf(batch)) return batch
  const codec = codecName(codecOf(batch)) ?? 'none'
  const plain = Buffer.concat(records)
  // readers take an empty batch for one without records, whatever its codec
  const body = kept === 0 ? plain : await compress(codec, plain)
  const rewritten = Buffer.concat([batch.subarray(0, HEADER_BYTES), body])
  rewritten.writeInt32BE(rewritten.length - LENGTH_OVERHEAD_BYTES, AT.length)
  writeInt64(rewritten, AT.maxTimestamp, hasLogAppendTime(batch) ? maxTimestampOf(batch) : maxTimestampMs)
  rewritten.writeInt32BE(kept, AT.recordCount)
  if (kept === 0) rewritten.writeInt16BE(rewritten.readInt16BE(AT.attributes) & ~CODEC_MASK, AT.attributes)
  seal(rewritten)
  return rewritten
}

import { ByteReader } from '../../core/byte-reader.ts'
import { MalformedFrame } from '../../core/malformed-frame.ts'
import { decompress } from './compression/codecs.ts'
import {
  baseOffsetOf,
  baseTimestampOf,
  byteLengthOf,
  codecOf,
  frameFault,
  HEADER_BYTES,
  hasLogAppendTime,
  maxTimestampOf,
  recordCountOf,
} from './record-batch.ts'

export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

/** One record. Key, value and header values refer to the batch (or to its decompressed body), they are no copies. */
export interface LogRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

/** The fewest bytes of a record: length, attributes, two deltas, key and value length, header count. */
const LEAST_RECORD_BYTES = 7
const LEAST_HEADER_BYTES = 2

/**
 * Walks the records of one batch without objects for those that are passed over: `next`, then ask for what is wanted.
 * All reads throw MalformedFrame where the bytes are not records.
 */
export class RecordCursor {
  /** Of the record that `next` moved to. */
  offset = -1
  timestampMs = -1
  /** Set by `locate`: where the value lies in `records`; `valueEnd` is -1 when there is none. */
  valueStart = 0
  valueEnd = -1
  private readonly reader: ByteReader
  private readonly recordsEnd: number
  private readonly baseOffset: number
  private readonly baseTimestamp: number
  private readonly logAppendTime: number | undefined
  private left: number
  private start = 0
  private nextStart = 0
  private bodyStart = 0
  /** What the values lie in. */
  readonly records: Buffer

  /** `records` is the part of `batch` after its header, decompressed. */
  constructor(batch: Buffer, records: Buffer) {
    this.reader = new ByteReader(records, 'records')
    this.records = records
    this.recordsEnd = records.length
    this.baseOffset = baseOffsetOf(batch)
    this.baseTimestamp = baseTimestampOf(batch)
    this.logAppendTime = hasLogAppendTime(batch) ? maxTimestampOf(batch) : undefined
    this.left = recordCountOf(batch)
    if (this.left * LEAST_RECORD_BYTES > records.length) this.reader.fail(`${this.left} records cannot fit`)
  }

  /** Moves to the next record; false when there is none. Bytes after the last record are refused. */
  next(): boolean {
    const { reader } = this
    reader.position = this.nextStart
    reader.end = this.recordsEnd
    if (this.left <= 0) return reader.remaining > 0 ? reader.fail(`${reader.remaining} bytes left over`) : false
    this.left--
    this.start = this.nextStart
    const byteCount = reader.varint()
    if (byteCount < 0 || byteCount > reader.remaining) reader.fail(`record of ${byteCount} bytes`)
    this.startRecord(byteCount)
    return true
  }

  key(): Buffer | null {
    this.reader.position = this.bodyStart
    return this.field()
  }

  value(): Buffer | null {
    this.reader.position = this.bodyStart
    this.fieldBytes()
    return this.field()
  }

  /** The key as text, a character for each byte, undefined for null; and where the value lies. Nothing else is made of the record. */
  locate(): string | undefined {
    const { reader, records } = this
    reader.position = this.bodyStart
    const keyBytes = this.fieldBytes()
    const keyEnd = reader.position
    const valueBytes = this.fieldBytes()
    this.valueEnd = valueBytes < 0 ? -1 : reader.position
    this.valueStart = reader.position - Math.max(0, valueBytes)
    return keyBytes < 0 ? undefined : records.toString('latin1', keyEnd - keyBytes, keyEnd)
  }

  headers(): RecordHeader[] {
    this.value()
    return this.readHeaders()
  }

  /** The header list of the present record as it stands in the batch, its count included. */
  headerBytes(): Buffer {
    this.value()
    return this.reader.slice(this.reader.remaining)
  }

  /** The present record as it stands in the batch, its length included. */
  bytes(): Buffer {
    return this.records.subarray(this.start, this.nextStart)
  }

  /** All of the present record. */
  record(): LogRecord {
    const key = this.key()
    const value = this.field()
    const headers = this.readHeaders()
    if (this.reader.remaining > 0) this.reader.fail(`${this.reader.remaining} bytes left over in a record`)
    return { offset: this.offset, timestampMs: this.timestampMs, key, value, headers }
  }

  private startRecord(byteCount: number): void {
    const { reader } = this
    this.nextStart = reader.position + byteCount
    reader.end = this.nextStart
    reader.int8()
    const timestampDelta = reader.varlong()
    this.offset = this.baseOffset + reader.varint()
    this.timestampMs = this.logAppendTime ?? this.baseTimestamp + timestampDelta
    this.bodyStart = reader.position
  }

  /** Moves over a field; its length, -1 for null. */
  private fieldBytes(): number {
    const byteCount = this.reader.varint()
    if (byteCount < -1) this.reader.fail(`field of ${byteCount} bytes`)
    if (byteCount > 0) this.reader.take(byteCount)
    return byteCount
  }

  private field(): Buffer | null {
    const byteCount = this.reader.varint()
    if (byteCount < -1) this.reader.fail(`field of ${byteCount} bytes`)
    return byteCount < 0 ? null : this.reader.slice(byteCount)
  }

  private readHeaders(): RecordHeader[] {
    const { reader } = this
    const count = reader.varint()
    if (count < 0) reader.fail(`${count} headers`)
    reader.claimElements(count, LEAST_HEADER_BYTES)
    const headers: RecordHeader[] = []
    for (let index = 0; index < count; index++) {
      const keyBytes = reader.varint()
      if (keyBytes < 0) reader.fail(`header key of ${keyBytes} bytes`)
      headers.push({ key: reader.text(keyBytes), value: this.field() })
    }
    return headers
  }
}

/** The records of a batch that is not compressed. Throws MalformedFrame when it is no whole batch of magic 2. */
export function openRecords(batch: Buffer): RecordCursor {
  const fault = frameFault(batch)
  if (fault !== undefined) throw new MalformedFrame('batch', fault)
  if (codecOf(batch) !== 0) throw new MalformedFrame('batch', 'is compressed')
  return new RecordCursor(batch, batch.subarray(HEADER_BYTES, byteLengthOf(batch)))
}

/**
 * The records of any batch. Throws MalformedFrame when it is no whole batch of magic 2, its codec is unknown or fails,
 * or more than `maxBytes` would come out.
 */
export async function decompressRecords(batch: Buffer, maxBytes: number): Promise<RecordCursor> {
  const fault = frameFault(batch)
  if (fault !== undefined) throw new MalformedFrame('batch', fault)
  const body = batch.subarray(HEADER_BYTES, byteLengthOf(batch))
  return new RecordCursor(batch, await decompress(codecOf(batch), body, maxBytes))
}

/** All records of a cursor as objects; for cold paths. */
export function allRecords(cursor: RecordCursor): LogRecord[] {
  const records: LogRecord[] = []
  while (cursor.next()) records.push(cursor.record())
  return records
}

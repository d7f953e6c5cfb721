import { varintLength, writeVarint } from '../../core/varint.ts'
import { BatchBuilder, type BatchProducer } from './batch-builder.ts'
import { type CodecName, codecId, compress } from './compression/codecs.ts'
import { AT, attributesOf, HEADER_BYTES, LENGTH_OVERHEAD_BYTES, seal, TRANSACTIONAL_BIT } from './record-batch.ts'

export interface NewRecordHeader {
  readonly key: string
  readonly value: Uint8Array | null
}

/** A record on its way into a batch. */
export interface NewRecord {
  readonly timestampMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly NewRecordHeader[]
}

export interface BatchOptions {
  readonly producer?: BatchProducer
  readonly transactional?: boolean
}

const NO_HEADERS = Buffer.from([0])

/** The header list of a record as its bytes: count, then keys and values. For `BatchBuilder.append`. */
export function encodeHeaders(headers: readonly NewRecordHeader[]): Buffer {
  if (headers.length === 0) return NO_HEADERS
  const keys = headers.map(header => Buffer.from(header.key))
  const parts = headers.flatMap(({ value }, index) => [lengthOf(keys[index]!), keys[index]!, lengthOf(value), value])
  return Buffer.concat([varintBytes(headers.length), ...parts.filter(part => part !== null)])
}

/** A batch of at least one record, not compressed, with base offset 0 and leader epoch -1. */
export function encodeBatch(records: readonly NewRecord[], options: BatchOptions = {}): Buffer {
  const builder = new BatchBuilder()
  for (const { timestampMs, key, value, headers = [] } of records) {
    builder.append(timestampMs, key, value, 0, value?.length ?? 0, encodeHeaders(headers))
  }
  return builder.finish(0, -1, options.transactional === true ? TRANSACTIONAL_BIT : 0, options.producer)
}

/** A copy of an uncompressed batch with its records compressed. */
export async function compressBatch(batch: Buffer, codec: CodecName): Promise<Buffer> {
  const body = await compress(codec, batch.subarray(HEADER_BYTES))
  const compressed = Buffer.concat([batch.subarray(0, HEADER_BYTES), body])
  compressed.writeInt32BE(compressed.length - LENGTH_OVERHEAD_BYTES, AT.length)
  compressed.writeInt16BE(attributesOf(batch) | codecId(codec), AT.attributes)
  seal(compressed)
  return compressed
}

function lengthOf(bytes: Uint8Array | null): Buffer {
  return varintBytes(bytes === null ? -1 : bytes.length)
}

function varintBytes(value: number): Buffer {
  const bytes = Buffer.alloc(varintLength(value))
  writeVarint(bytes, 0, value)
  return bytes
}

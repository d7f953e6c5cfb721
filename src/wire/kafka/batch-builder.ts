import type { BufferPool } from '../../core/buffer-pool.ts'
import { crc32c } from '../../core/crc32c.ts'
import { unsignedVarintLength, varintLength, varlongLength, writeVarint, writeVarlong } from '../../core/varint.ts'
import {
  AT,
  HEADER_BYTES,
  LENGTH_OVERHEAD_BYTES,
  MAGIC,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  writeInt64,
} from './record-batch.ts'

const FIRST_BYTES = 16 * 1024
/** A byte loop beats a call into the engine up to about here. */
const LOOP_BYTES = 24
const NULL_LENGTH = -1

/** The producer fields and attribute bits of a batch; absent means none. */
export interface BatchProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
}

/**
 * An open record batch (magic 2, not compressed) to which records are appended. Hot path: `append` allocates nothing
 * but, now and then, twice the buffer. The caller bounds `byteLength`.
 */
export class BatchBuilder {
  private buffer: Buffer
  private readonly firstBuffer: Buffer
  private readonly pool: BufferPool | undefined
  /** Of the batch before: a busy partition gets a buffer of that size at once. */
  private lastBytes = 0
  private position = HEADER_BYTES
  private recordCount = 0
  private baseTimestamp = 0
  private maxTimestamp = 0

  /** With a `pool` what goes beyond `firstBytes` is borrowed from it, until the next `reset`. */
  constructor(firstBytes = FIRST_BYTES, pool?: BufferPool) {
    this.firstBuffer = Buffer.allocUnsafe(Math.max(firstBytes, HEADER_BYTES))
    this.buffer = this.firstBuffer
    this.pool = pool
  }

  get count(): number {
    return this.recordCount
  }

  /** Size in bytes of the batch as it is now, header included. */
  get byteLength(): number {
    return this.position
  }

  /** The largest timestamp so far, in milliseconds; only with `count` above 0. */
  get maxTimestampMs(): number {
    return this.maxTimestamp
  }

  /**
   * Appends one record; its offset in the batch is `count` before the call. The value is `source[start, end)`, or null
   * when `source` is. `headers` is the encoded header list (`encodeHeaders`), count included. All bytes are copied.
   */
  append(
    timestampMs: number,
    key: Uint8Array | null,
    source: Uint8Array | null,
    start: number,
    end: number,
    headers: Uint8Array,
  ): void {
    const offsetDelta = this.recordCount
    if (offsetDelta === 0) {
      this.baseTimestamp = timestampMs
      this.maxTimestamp = timestampMs
    } else if (timestampMs > this.maxTimestamp) this.maxTimestamp = timestampMs
    const timestampDelta = timestampMs - this.baseTimestamp
    const keyBytes = key === null ? NULL_LENGTH : key.length
    const valueBytes = source === null ? NULL_LENGTH : end - start
    const body =
      1 +
      varlongLength(timestampDelta) +
      unsignedVarintLength(offsetDelta * 2) +
      fieldBytes(keyBytes) +
      fieldBytes(valueBytes) +
      headers.length
    if (this.position + 5 + body > this.buffer.length) this.grow(5 + body)
    const buffer = this.buffer
    let at = writeVarint(buffer, this.position, body)
    buffer[at++] = 0
    at = writeVarlong(buffer, at, timestampDelta)
    at = writeVarint(buffer, at, offsetDelta)
    at = writeVarint(buffer, at, keyBytes)
    if (key !== null) at = copyBytes(buffer, at, key, 0, key.length)
    at = writeVarint(buffer, at, valueBytes)
    if (source !== null) at = copyBytes(buffer, at, source, start, end)
    this.position = copyBytes(buffer, at, headers, 0, headers.length)
    this.recordCount = offsetDelta + 1
  }

  /**
   * Completes header and CRC and returns the batch as a view of the builder's buffer: valid until the next `append`
   * or `reset`. May be called again after more appends. At least one record is expected.
   */
  finish(baseOffset: number, leaderEpoch: number, attributes = 0, producer?: BatchProducer): Buffer {
    const { buffer, position } = this
    writeInt64(buffer, AT.baseOffset, baseOffset)
    buffer.writeInt32BE(position - LENGTH_OVERHEAD_BYTES, AT.length)
    buffer.writeInt32BE(leaderEpoch, AT.leaderEpoch)
    buffer[AT.magic] = MAGIC
    buffer.writeInt16BE(attributes, AT.attributes)
    buffer.writeInt32BE(this.recordCount - 1, AT.lastOffsetDelta)
    writeInt64(buffer, AT.baseTimestamp, this.baseTimestamp)
    writeInt64(buffer, AT.maxTimestamp, this.maxTimestamp)
    writeInt64(buffer, AT.producerId, producer?.producerId ?? NO_PRODUCER_ID)
    buffer.writeInt16BE(producer?.producerEpoch ?? NO_PRODUCER_EPOCH, AT.producerEpoch)
    buffer.writeInt32BE(producer?.baseSequence ?? NO_SEQUENCE, AT.baseSequence)
    buffer.writeInt32BE(this.recordCount, AT.recordCount)
    buffer.writeUInt32BE(crc32c(buffer.subarray(AT.attributes, position)), AT.crc)
    return buffer.subarray(0, position)
  }

  /** Empties the batch; a buffer of the pool goes back to it, another one is kept. */
  reset(): void {
    this.lastBytes = this.position
    if (this.pool !== undefined && this.buffer !== this.firstBuffer) {
      this.pool.give(this.buffer)
      this.buffer = this.firstBuffer
    }
    this.position = HEADER_BYTES
    this.recordCount = 0
  }

  private grow(byteCount: number): void {
    const { buffer, pool, position } = this
    const wanted = Math.max(2 * buffer.length, position + byteCount)
    const grown = pool === undefined ? Buffer.allocUnsafe(wanted) : pool.take(Math.max(wanted, this.lastBytes))
    buffer.copy(grown, 0, 0, position)
    if (buffer !== this.firstBuffer) pool?.give(buffer)
    this.buffer = grown
  }
}

/** Bytes of a length-prefixed field; -1 is null. */
function fieldBytes(byteCount: number): number {
  return byteCount < 0 ? 1 : varintLength(byteCount) + byteCount
}

function copyBytes(target: Buffer, at: number, source: Uint8Array, start: number, end: number): number {
  const byteCount = end - start
  if (byteCount <= LOOP_BYTES) {
    for (let index = 0; index < byteCount; index++) target[at + index] = source[start + index]!
  } else {
    target.set(start === 0 && end === source.length ? source : source.subarray(start, end), at)
  }
  return at + byteCount
}

import { assert } from '../core/assert.ts'
import type { PartitionId } from '../core/brand.ts'
import { BufferPool } from '../core/buffer-pool.ts'
import { BatchBuilder } from '../wire/kafka/batch-builder.ts'
import { byteLengthOf, HEADER_BYTES, lastOffsetDeltaOf, stamp } from '../wire/kafka/record-batch.ts'
import { frameHeaderBytes, maxFrames, writeFrameHeader } from './frame.ts'
import { groupHeaderBytes } from './group.ts'
import { alignUp, blockBytes } from './layout.ts'
import type { RecordAppend } from './log.ts'
import type { PartitionLog } from './partition-log.ts'

/** Where the group header stands in an arena; before it is room for the tail block or the slot header. */
export const arenaGroupStart = blockBytes
/** Overhead of a record besides key, value and headers, at most: five varints and the attributes. */
export const recordOverheadBytes = 32
/** Open batches grow to this, unless one record is larger; the next record begins another batch of the same group. */
const openBatchBytes = 256 * 1024
/** Each partition keeps so much for its next batch; more is borrowed. */
const firstBuilderBytes = 1024
/** Room of the open batches of a busy group; they are borrowed for as long as it gathers. */
const pooledBytes = 2 * 1024 * 1024
const builderPool = new BufferPool(pooledBytes)
/** Room that an open batch takes besides its records. */
export const batchOverheadBytes = frameHeaderBytes + HEADER_BYTES

/** Bytes of an arena that takes a full group, or the largest batch as a group of its own. */
export const arenaBytesFor = (options: {
  readonly commitMaxBytes: number
  readonly maxMessageBytes: number
}): number => {
  const largest = Math.max(options.commitMaxBytes, options.maxMessageBytes + frameHeaderBytes + blockBytes)
  return arenaGroupStart + alignUp(largest, blockBytes) + blockBytes
}

/** Bytes that whole batches take as frames. */
export const framedBytes = (batches: readonly { readonly batch: Buffer }[]): number => {
  let bytes = 0
  for (const { batch } of batches) {
    assert(byteLengthOf(batch) === batch.length, 'a batch is as long as it says')
    bytes += frameHeaderBytes + batch.length
  }
  return bytes
}

/** The most that records take with their open batches, and how many frames those become. */
export const roomFor = (records: readonly RecordAppend[]): { readonly bytes: number; readonly frames: number } => {
  let recordBytes = 0
  let frames = 0
  let before: PartitionId | undefined
  for (const { partition, key, value, headers } of records) {
    recordBytes += (key?.length ?? 0) + (value?.length ?? 0) + headers.length + recordOverheadBytes
    if (partition !== before) frames++
    before = partition
  }
  // two batches of one partition that follow each other are larger than one may be
  frames += Math.floor((2 * recordBytes) / openBatchBytes)
  return { bytes: recordBytes + frames * batchOverheadBytes, frames }
}

/** What every frame of the group carries. */
export interface GroupStamp {
  readonly logEpoch: number
  readonly logAge: number
  /** CRC state of the present salt. */
  readonly seed: number
}

/**
 * A group while it gathers, built in its arena: batches are copied in at once, records of `appendRecord` gather in open batches, one a
 * partition, that become frames when the group closes. Offsets are given here.
 */
export class OpenGroup {
  readonly number: number
  readonly arena: number
  /** Room for header and frames. */
  readonly capacityBytes: number
  flags = 0
  frameCount = 0
  recordCount = 0
  /** Partitions with something in the group. */
  readonly partitions: PartitionId[] = []
  #allRelaxed = true
  readonly #buffer: Buffer
  readonly #stamp: GroupStamp
  readonly #openLogs: PartitionLog[] = []
  #end = arenaGroupStart + groupHeaderBytes
  #openBytes = 0

  constructor(number: number, arena: number, buffer: Buffer, stamp: GroupStamp) {
    this.number = number
    this.arena = arena
    this.#buffer = buffer
    this.#stamp = stamp
    // the end of the arena is padding of the last block
    this.capacityBytes = buffer.length - arenaGroupStart - blockBytes
  }

  /** Bytes of header, frames and open batches. */
  get bytes(): number {
    return this.#end - arenaGroupStart + this.#openBytes
  }

  /** Nothing is in it, and it says nothing by itself either. */
  get isEmpty(): boolean {
    return this.flags === 0 && this.frameCount === 0 && this.#openLogs.length === 0
  }

  /** All of it may be acknowledged before the sync. */
  get isRelaxed(): boolean {
    return this.flags === 0 && this.#allRelaxed
  }

  /** Whether `bytes` in `frames` frames more fit within `limitBytes`. */
  hasRoom(bytes: number, frames: number, limitBytes: number): boolean {
    const count = this.frameCount + this.#openLogs.length + frames
    return this.bytes + bytes <= Math.min(limitBytes, this.capacityBytes) && count <= maxFrames
  }

  /** Copies a whole batch in, after the records that its partition has in this group. Returns the base offset. */
  addBatch(log: PartitionLog, batch: Buffer): number {
    if (this.#holdsOpenBatch(log)) this.#closeBatch(log)
    this.#touch(log)
    const baseOffset = log.logEnd
    log.logEnd = baseOffset + lastOffsetDeltaOf(batch) + 1
    assert(log.logEnd > baseOffset, 'a batch has at least one offset')
    this.#addFrame(log, batch, baseOffset)
    this.recordCount += log.logEnd - baseOffset
    return baseOffset
  }

  /** Appends a record to the partition's open batch and returns its offset. */
  addRecord(
    log: PartitionLog,
    timestampMs: number,
    key: Uint8Array | null,
    source: Buffer | null,
    start: number,
    end: number,
    headers: Uint8Array,
  ): number {
    if (log.openBatch === undefined) log.openBatch = new BatchBuilder(firstBuilderBytes, builderPool)
    const builder = log.openBatch
    const recordBytes = (key?.length ?? 0) + end - start + headers.length + recordOverheadBytes
    if (builder.count > 0 && builder.byteLength + recordBytes > openBatchBytes) this.#closeBatch(log)
    if (builder.count === 0) {
      this.#touch(log)
      this.#openLogs.push(log)
      log.openBaseOffset = log.logEnd
      this.#openBytes += batchOverheadBytes
    }
    const before = builder.byteLength
    builder.append(timestampMs, key, source, start, end, headers)
    this.#openBytes += builder.byteLength - before
    this.recordCount++
    return log.logEnd++
  }

  /** As `addRecord`, for each; returns how many bytes the group has grown by. */
  addRecords(logs: readonly PartitionLog[], records: readonly RecordAppend[]): number {
    const before = this.bytes
    for (const [index, { timestampMs, key, value, headers }] of records.entries())
      this.addRecord(logs[index]!, timestampMs, key, value, 0, value?.length ?? 0, headers)
    return this.bytes - before
  }

  /** Turns open batches into frames; the arena then holds the whole group but for its header. */
  close(): void {
    for (const log of this.#openLogs) if (this.#holdsOpenBatch(log)) this.#frameOpenBatch(log)
    this.#openLogs.length = 0
    assert(this.#openBytes === 0, 'every open batch became a frame')
  }

  #touch(log: PartitionLog): void {
    if (log.newestGroup === this.number) return
    assert(log.newestGroup < this.number, 'groups of a partition are in order')
    log.newestGroup = this.number
    this.partitions.push(log.id)
    if (!log.isRelaxed) this.#allRelaxed = false
  }

  #holdsOpenBatch(log: PartitionLog): boolean {
    return log.openBatch !== undefined && log.openBatch.count > 0
  }

  #closeBatch(log: PartitionLog): void {
    this.#frameOpenBatch(log)
    this.#openLogs.splice(this.#openLogs.indexOf(log), 1)
  }

  #frameOpenBatch(log: PartitionLog): void {
    const builder = log.openBatch
    assert(builder !== undefined, 'the partition has an open batch')
    const batch = builder.finish(log.openBaseOffset, this.#stamp.logEpoch)
    this.#openBytes -= batch.length + frameHeaderBytes
    this.#addFrame(log, batch, log.openBaseOffset)
    builder.reset()
  }

  #addFrame(log: PartitionLog, batch: Buffer, baseOffset: number): void {
    const at = this.#end
    const { seed, logEpoch, logAge } = this.#stamp
    assert(at + frameHeaderBytes + batch.length <= arenaGroupStart + this.capacityBytes, 'frames fit in the arena')
    // a copy to shared memory goes word by word, a fill is a memcpy
    this.#buffer.fill(batch, at + frameHeaderBytes, at + frameHeaderBytes + batch.length)
    stamp(this.#buffer, baseOffset, logEpoch, at + frameHeaderBytes)
    writeFrameHeader(this.#buffer, at, seed, this.number, this.frameCount, log.id, batch.length, logAge)
    this.#end = at + frameHeaderBytes + batch.length
    this.frameCount++
  }
}

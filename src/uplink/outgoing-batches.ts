import { partitionOfKey } from '../core/murmur2.ts'
import type { CentralSpan } from '../state/uplink.ts'
import { BatchBuilder } from '../wire/kafka/batch-builder.ts'
import { compressBatch } from '../wire/kafka/batch-encoding.ts'
import { type CodecName, codecId } from '../wire/kafka/compression/codecs.ts'
import {
  baseOffsetOf,
  codecOf,
  hasLogAppendTime,
  isControl,
  lastOffsetDeltaOf,
  nextOffsetOf,
  recordCountOf,
} from '../wire/kafka/record-batch.ts'
import { decompressRecords } from '../wire/kafka/records.ts'
import { joined } from './ledger.ts'
import type { AddHeaders } from './origin-headers.ts'
import type { Thinning } from './thinning.ts'

/** How records of one partition are written for the central cluster. */
export interface OutgoingRules {
  /** Records from this offset on are not sent. */
  readonly end: number
  /** Judges each record that would be sent; undefined: all of them are. */
  readonly thinning: Thinning | undefined
  /** Partition here. */
  readonly partition: number
  /** Partitions of the topic here and there. */
  readonly partitions: number
  readonly targetPartitions: number
  readonly addHeaders: AddHeaders | undefined
  /** Records that stand there already, by their offsets here: they count as sent, and do not go again. */
  readonly present: ReadonlyMap<number, CentralPlace>
  readonly compression: CodecName
  /** Bytes of records in a batch that is written anew, before compression. */
  readonly batchBytes: number
  /** Larger batches do not go as they are stored. */
  readonly mostStoredBytes: number
  /** Enough for now, as it goes over the link. */
  readonly limitBytes: number
  /** What devices have sent meanwhile is read between two batches. */
  readonly afterIo: () => Promise<void>
}

/** Where a record stands upstream. */
export interface CentralPlace {
  readonly partition: number
  readonly offset: number
}

/** A batch for one partition of the central topic. */
export interface OutgoingBatch {
  readonly partition: number
  readonly count: number
  readonly batch: Buffer
}

export interface Outgoing {
  /** In the order in which each partition must get them. */
  readonly batches: readonly OutgoingBatch[]
  /** What stands there already, by partition. */
  readonly present: ReadonlyMap<number, CentralSpan>
  /** With those that stand there already. */
  readonly records: number
  readonly bytes: number
  /** Bytes of the stored batches that this is made of. */
  readonly storedBytes: number
  /** Where it ends when the limit was reached; undefined: it is all that was given. */
  readonly next: number | undefined
}

/** A batch came from a producer's request, within what a request may have; it may have been packed tightly. */
const maxUnpackedBytes = 128 << 20

/**
 * Stored batches from `next` on as batches to send, until there are enough. Large ones go as they are where nothing in them has to change, small
 * ones are merged. Throws `MalformedFrame` when records cannot be read.
 */
export const outgoingBatches = async (
  stored: AsyncIterable<Buffer> | Iterable<Buffer>,
  next: number,
  rules: OutgoingRules,
): Promise<Outgoing> => {
  const writer = new OutgoingWriter(rules)
  let storedBytes = 0
  for await (const batch of stored) {
    if (writer.isFull) return writer.finish(storedBytes, baseOffsetOf(batch))
    storedBytes += batch.length
    if (isControl(batch) || recordCountOf(batch) === 0) continue
    if (goesAsStored(batch, next, rules)) await writer.take(batch)
    else {
      const cursor = await decompressRecords(batch, maxUnpackedBytes)
      while (cursor.next()) {
        if (cursor.offset < next) continue
        if (cursor.offset >= rules.end) break
        const place = rules.present.get(cursor.offset)
        if (place !== undefined) {
          writer.pass(place)
          continue
        }
        const headers = cursor.headerBytes()
        const value = cursor.value()
        const key = cursor.key()
        if (rules.thinning !== undefined && isLeftOut(rules.thinning, writer, key, cursor.offset)) continue
        const added = rules.addHeaders === undefined ? headers : rules.addHeaders(headers, cursor.offset)
        if (!writer.hasRoom(key, value, added)) await writer.flush()
        if (writer.isFull) {
          rules.thinning?.takeBack(key)
          return writer.finish(storedBytes, cursor.offset)
        }
        writer.append(cursor.timestampMs, key, value, added)
      }
    }
  }
  return writer.finish(storedBytes)
}

/** What a round in doubt has left out before records that stand there would come behind them now: it stays out. */
const isLeftOut = (thinning: Thinning, writer: OutgoingWriter, key: Buffer | null, offset: number): boolean =>
  (writer.isBehindPresent(key, offset) && thinning.stayedOut(offset)) || !thinning.keeps(key)

/** Brokers take a client's batch only with dense offsets from 0 and its own timestamps. */
const goesAsStored = (batch: Buffer, next: number, rules: OutgoingRules): boolean =>
  rules.addHeaders === undefined &&
  rules.thinning === undefined &&
  rules.present.size === 0 &&
  rules.targetPartitions === rules.partitions &&
  batch.length <= rules.mostStoredBytes &&
  (batch.length >= rules.batchBytes / 2 || codecOf(batch) !== codecId('none')) &&
  baseOffsetOf(batch) >= next &&
  nextOffsetOf(batch) <= rules.end &&
  lastOffsetDeltaOf(batch) === recordCountOf(batch) - 1 &&
  !hasLogAppendTime(batch)

/** At most: length, attributes, deltas of time and offset, lengths of key and value. */
const recordOverheadBytes = 30

/** Batches in the making, one for each target partition. */
class OutgoingWriter {
  readonly #rules: OutgoingRules
  readonly #open = new Map<number, BatchBuilder>()
  /** One to write into again: they grow to the size of a batch. */
  #spare: BatchBuilder | undefined
  readonly #done: OutgoingBatch[] = []
  readonly #present = new Map<number, CentralSpan>()
  /** The highest offset here of those that stand in a partition there, where it matters. */
  readonly #lastPresent = new Map<number, number>()
  #openBytes = 0
  #records = 0
  #bytes = 0

  constructor(rules: OutgoingRules) {
    this.#rules = rules
    if (rules.thinning === undefined) return
    for (const [offset, { partition }] of rules.present)
      this.#lastPresent.set(partition, Math.max(offset, this.#lastPresent.get(partition) ?? 0))
  }

  /** Of what is done; nothing is open then. */
  get isFull(): boolean {
    return this.#openBytes === 0 && this.#bytes >= this.#rules.limitBytes
  }

  /** A record that stands there already. */
  pass({ partition, offset }: CentralPlace): void {
    this.#records++
    const before = this.#present.get(partition)
    this.#present.set(partition, joined(before, { first: offset, last: offset, records: 1 }))
  }

  /** Does a newer record stand already where this one would go? */
  isBehindPresent(key: Buffer | null, offset: number): boolean {
    return this.#lastPresent.size > 0 && offset < (this.#lastPresent.get(this.#targetOf(key)) ?? 0)
  }

  /** Otherwise `flush` comes first: a record that is larger than a batch goes alone. */
  hasRoom(key: Buffer | null, value: Buffer | null, headers: Buffer): boolean {
    const bytes = recordOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0) + headers.length
    return this.#openBytes === 0 || this.#openBytes + bytes <= this.#rules.batchBytes
  }

  append(timestampMs: number, key: Buffer | null, value: Buffer | null, headers: Buffer): void {
    const partition = this.#targetOf(key)
    let builder = this.#open.get(partition)
    if (builder === undefined) {
      builder = this.#spare ?? new BatchBuilder()
      this.#spare = undefined
      this.#open.set(partition, builder)
    }
    const before = builder.byteLength
    builder.append(timestampMs, key, value, 0, value?.length ?? 0, headers)
    this.#openBytes += builder.byteLength - before
  }

  /** A batch as it is stored. The log's buffer is not ours to write into. */
  async take(batch: Buffer): Promise<void> {
    await this.flush()
    this.#add(this.#rules.partition, recordCountOf(batch), Buffer.from(batch))
  }

  async flush(): Promise<void> {
    const { compression, afterIo } = this.#rules
    for (const [partition, builder] of this.#open) {
      const plain = builder.finish(0, -1)
      const packed = compression === 'none' ? undefined : await compressBatch(plain, compression)
      const batch = packed !== undefined && packed.length < plain.length ? packed : Buffer.from(plain)
      this.#add(partition, builder.count, batch)
      builder.reset()
      this.#spare = builder
      await afterIo()
    }
    this.#open.clear()
    this.#openBytes = 0
  }

  async finish(storedBytes: number, next?: number): Promise<Outgoing> {
    await this.flush()
    return {
      batches: this.#done,
      present: this.#present,
      records: this.#records,
      bytes: this.#bytes,
      storedBytes,
      next,
    }
  }

  #add(partition: number, count: number, batch: Buffer): void {
    this.#done.push({ partition, count, batch })
    this.#records += count
    this.#bytes += batch.length
  }

  /** Records without key keep together: what one partition here has of them is in order there. */
  #targetOf(key: Buffer | null): number {
    const { partition, partitions, targetPartitions } = this.#rules
    if (targetPartitions === partitions) return partition
    return key === null ? partition % targetPartitions : partitionOfKey(key, targetPartitions)
  }
}

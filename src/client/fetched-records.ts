import { MalformedFrame } from '../core/malformed-frame.ts'
import {
  baseOffsetOf,
  byteLengthOf,
  frameFault,
  hasValidCrc,
  isControl,
  isTransactional,
  lastOffsetOf,
  nextOffsetOf,
  producerIdOf,
} from '../wire/kafka/record-batch.ts'
import { decompressRecords, type LogRecord, type RecordCursor } from '../wire/kafka/records.ts'
import { UnreadableBatch } from './kafka-error.ts'

/** A transaction that was aborted: the records of this producer from `firstOffset` to its abort marker do not count. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface Unpacked {
  readonly records: readonly LogRecord[]
  /** Offset to go on from: behind the last whole batch, also where that ends with records that are gone or do not count. */
  readonly position: number
  /** What the batches took once they were decompressed. */
  readonly unpackedBytes: number
}

export const maxUnpackedBytes = 64 << 20

/**
 * The records of a fetch answer from `position` on, without control records and those of aborted transactions. A last batch that was
 * cut short is left for the next fetch, and so is what is behind `mostBytes` of them unpacked. Throws `UnreadableBatch` when the first batch that is wanted cannot be read; before a later one it stops.
 */
export const unpackRecords = async (
  bytes: Buffer | null,
  position: number,
  aborted: readonly AbortedTransaction[],
  mostBytes = maxUnpackedBytes,
): Promise<Unpacked> => {
  const records: LogRecord[] = []
  const abortions = new Abortions(aborted)
  let next = position
  let unpackedBytes = 0
  for (const batch of wholeBatches(bytes)) {
    if (nextOffsetOf(batch) <= position) continue
    try {
      if (abortions.counts(batch)) {
        const cursor = await cursorOver(batch, mostBytes - unpackedBytes)
        // all of them or none: it may turn out behind the first ones that the batch cannot be read
        const own = recordsFrom(cursor, position)
        unpackedBytes += cursor.records.length
        for (const record of own) records.push(record)
      }
    } catch (error) {
      if (records.length > 0 || next > position) break
      if (error instanceof MalformedFrame) throw unreadable(batch, position, error.message)
      throw error
    }
    // inner offsets are the producer's word: the batch's own are the broker's
    next = nextOffsetOf(batch)
  }
  return { records, position: next, unpackedBytes }
}

const recordsFrom = (cursor: RecordCursor, position: number): readonly LogRecord[] => {
  const records: LogRecord[] = []
  while (cursor.next()) if (cursor.offset >= position) records.push(cursor.record())
  return records
}

const cursorOver = (batch: Buffer, mostBytes: number): Promise<RecordCursor> => {
  if (!hasValidCrc(batch)) throw new MalformedFrame('batch', 'its checksum does not fit')
  return decompressRecords(batch, mostBytes)
}

const unreadable = (batch: Buffer, position: number, why: string): UnreadableBatch => {
  const [base, last] = [baseOffsetOf(batch), lastOffsetOf(batch)]
  const span = { first: Math.max(base, position), last }
  return new UnreadableBatch(`the batch of offsets ${base} to ${last} cannot be read: ${why}`, span)
}

/** The batches of a fetch answer but a last one that was cut short. Throws `UnreadableBatch`. */
export function* wholeBatches(bytes: Buffer | null): Generator<Buffer> {
  for (let at = 0; bytes !== null && at < bytes.length; ) {
    const fault = frameFault(bytes, at)
    if (fault === 'magic') throw new UnreadableBatch('records of a message format before Kafka 0.11 are not read')
    if (fault !== undefined) return
    const end = at + byteLengthOf(bytes, at)
    yield bytes.subarray(at, end)
    at = end
  }
}

/** Which batches count for who reads committed records (KIP-98). */
export class Abortions {
  /** Not reached yet, in order of their first offsets. */
  readonly #later: AbortedTransaction[]
  readonly #open = new Set<number>()

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#later = aborted.toSorted((one, other) => one.firstOffset - other.firstOffset)
  }

  counts(batch: Buffer): boolean {
    for (
      let next = this.#later[0];
      next !== undefined && next.firstOffset <= lastOffsetOf(batch);
      next = this.#later[0]
    ) {
      this.#open.add(next.producerId)
      this.#later.shift()
    }
    if (isControl(batch)) {
      this.#open.delete(producerIdOf(batch))
      return false
    }
    return !(isTransactional(batch) && this.#open.has(producerIdOf(batch)))
  }
}

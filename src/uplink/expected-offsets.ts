import { type PartitionBatch, partitionKey } from '../client/produce-together.ts'
import { recordCountOf } from '../wire/kafka/record-batch.ts'

/** The end of a transaction takes an offset in each of its partitions. */
const markers = 1

interface Written {
  /** Offset behind our last record. */
  readonly end: number
  /** Nobody else wrote since the transaction before. */
  readonly isAlone: boolean
}

/**
 * Where the records of the next transaction will stand while nobody else writes to their partitions. A guess: what is made of it can go with the
 * records, and their answers say whether it was right.
 */
export class ExpectedOffsets {
  /** By partition. */
  readonly #written = new Map<string, Written>()

  /** Base offsets of batches that go out in this order; undefined: not known, or others write there, and a guess would be wasted bytes. */
  of(batches: readonly PartitionBatch[]): readonly number[] | undefined {
    const ends = new Map<string, number>()
    const offsets: number[] = []
    for (const one of batches) {
      const key = partitionKey(one)
      const written = this.#written.get(key)
      if (written === undefined || !written.isAlone) return undefined
      const offset = ends.get(key) ?? written.end + markers
      offsets.push(offset)
      ends.set(key, offset + recordCountOf(one.batch))
    }
    return offsets
  }

  /** The batches of a transaction stand there, and it was committed. */
  committed(batches: readonly PartitionBatch[], offsets: readonly number[]): void {
    const now = new Map<string, Written>()
    for (const [index, one] of batches.entries()) {
      const key = partitionKey(one)
      const offset = offsets[index]!
      const [own, before] = [now.get(key), this.#written.get(key)]
      const expected = own?.end ?? (before === undefined ? offset : before.end + markers)
      const isAlone = offset === expected && own?.isAlone !== false
      now.set(key, { end: offset + recordCountOf(one.batch), isAlone })
    }
    for (const [key, written] of now) this.#written.set(key, written)
  }
}

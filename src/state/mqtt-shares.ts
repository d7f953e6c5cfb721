import { type PartitionId, partitionId } from '../core/brand.ts'
import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/** Offsets from `start` up to, not including, `end`. */
export type OffsetRange = readonly [start: number, end: number]

/** How far a shared subscription has come in a partition: everything below `next` is done, but for `pending`. */
export interface StoredSharePosition {
  readonly next: number
  /** Ascending, apart from each other, all below `next`. */
  readonly pending: readonly OffsetRange[]
}

/** Does the position say that the publication at `offset` is done? */
export const isDoneAt = ({ next, pending }: StoredSharePosition, offset: number): boolean => {
  if (offset >= next) return false
  let low = 0
  let high = pending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (pending[middle]![1] > offset) high = middle
    else low = middle + 1
  }
  return low === pending.length || pending[low]![0] > offset
}

const keyHeadBytes = 4

/**
 * Positions of shared subscriptions whose members' sessions outlive their connections. Key: u32 partition, then the filter as subscribed,
 * `$share/...`; value: `next`, then for each pending range its distance from the end of the one before (the first: from 0) and its length.
 */
export class MqttSharesView implements View {
  readonly name = 'mqtt-shares'
  readonly partition = internalPartitions.mqttShares
  readonly #byFilter = new Map<string, Map<PartitionId, StoredSharePosition>>()

  /** All shared subscriptions that have positions. */
  filters(): string[] {
    return [...this.#byFilter.keys()]
  }

  positions(filter: string): ReadonlyMap<PartitionId, StoredSharePosition> {
    return this.#byFilter.get(filter) ?? new Map()
  }

  position(filter: string, partition: PartitionId): StoredSharePosition | undefined {
    return this.#byFilter.get(filter)?.get(partition)
  }

  /** The change that keeps the position; undefined: it is there as it is. */
  put(filter: string, partition: PartitionId, position: StoredSharePosition): StateChange | undefined {
    const before = this.position(filter, partition)
    if (before !== undefined && isSame(before, position)) return undefined
    return { view: this, key: positionKey(filter, partition), value: encodePosition(position) }
  }

  remove(filter: string, partition: PartitionId): StateChange {
    return { view: this, key: positionKey(filter, partition), value: null }
  }

  apply(key: Buffer, value: Buffer | null): void {
    const partition = partitionId(key.readUInt32BE(0))
    const filter = key.toString('utf8', keyHeadBytes)
    const positions = this.#byFilter.get(filter)
    if (value !== null) {
      const position = decodePosition(value)
      if (positions === undefined) this.#byFilter.set(filter, new Map([[partition, position]]))
      else positions.set(partition, position)
    } else if (positions?.delete(partition) && positions.size === 0) this.#byFilter.delete(filter)
  }

  *entries(): Iterable<StateRecord> {
    for (const [filter, positions] of this.#byFilter) {
      for (const [partition, position] of positions)
        yield { key: positionKey(filter, partition), value: encodePosition(position) }
    }
  }

  clear(): void {
    this.#byFilter.clear()
  }
}

const positionKey = (filter: string, partition: PartitionId): Buffer => {
  const key = Buffer.allocUnsafe(keyHeadBytes + Buffer.byteLength(filter))
  key.writeUInt32BE(partition, 0)
  key.write(filter, keyHeadBytes)
  return key
}

const isSame = (one: StoredSharePosition, other: StoredSharePosition): boolean =>
  one.next === other.next &&
  one.pending.length === other.pending.length &&
  one.pending.every(([start, end], index) => start === other.pending[index]![0] && end === other.pending[index]![1])

const encodePosition = ({ next, pending }: StoredSharePosition): Buffer => {
  const numbers = [next]
  let before = 0
  for (const [start, end] of pending) {
    numbers.push(start - before, end - start)
    before = end
  }
  return encodeState(numbers)
}

const decodePosition = (value: Buffer): StoredSharePosition => {
  const [next = 0, ...numbers] = decodeState<number[]>(value)
  const pending: OffsetRange[] = []
  let before = 0
  for (let at = 0; at + 1 < numbers.length; at += 2) {
    const start = before + numbers[at]!
    before = start + numbers[at + 1]!
    pending.push([start, before])
  }
  return { next, pending }
}

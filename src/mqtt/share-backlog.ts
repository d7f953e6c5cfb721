import type { PartitionId } from '../core/brand.ts'
import { LazyMap } from '../core/lazy-map.ts'
import type { OffsetRange, StoredSharePosition } from '../state/mqtt-shares.ts'
import type { ReadableBacklog } from './backlog-reader.ts'
import type { Place } from './exchange.ts'
import { OffsetRanges } from './offset-ranges.ts'

/** What a position says apart, at most; beyond it the position stands lower than it could. Some 10 KiB. */
const maxPendingRanges = 4096

/** One partition, as the members together have it. What is neither missed nor open, below where it is live, is done. */
interface PartitionBacklog {
  /** To be read from the log; without an end while the share is behind. */
  readonly missed: OffsetRanges
  /** Handed to a member that has not acknowledged it. */
  readonly open: Set<number>
  /** What stands below is older than the first position. */
  readonly floor: number
  /** From here on publications are handed over as they come, unless the share is behind. */
  liveFrom: number
  /** What the reader has come by in the present round. */
  readFrom: number
  /** The log has a position. */
  isStored: boolean
  /** Nothing came since somebody looked. */
  isQuiet: boolean
}

/** What the members of a shared subscription together have yet to get from the log, and to acknowledge: offsets, no copies. */
export class ShareBacklog implements ReadableBacklog {
  readonly #partitions = new LazyMap<PartitionId, PartitionBacklog>()

  get partitions(): Iterable<PartitionId> {
    return this.#partitions.keys()
  }

  /** There is nothing to be read. */
  get isEmpty(): boolean {
    for (const { missed } of this.#partitions.values()) if (missed.first !== undefined) return false
    return true
  }

  /** Does the log have a position there? */
  isStored(partition: PartitionId): boolean {
    return this.#partitions.get(partition)?.isStored ?? false
  }

  /** Something is about to come; does the log have a position there? */
  expects(partition: PartitionId): boolean {
    const found = this.#partitions.get(partition)
    if (found !== undefined) found.isQuiet = false
    return found?.isStored ?? false
  }

  /** The log has a position there now; what comes from `offset` on is told of by it. */
  stored(partition: PartitionId, offset: number): void {
    const known = this.#partitions.get(partition)
    if (known !== undefined) known.isStored = true
    else this.#begin(partition, { floor: offset, liveFrom: offset, missed: new OffsetRanges() })
  }

  /** The log has no positions any more. */
  unstored(): void {
    for (const one of this.#partitions.values()) one.isStored = false
  }

  /** A position from before the start. */
  restore(partition: PartitionId, { next, pending }: StoredSharePosition): void {
    const missed = new OffsetRanges(pending)
    missed.add(next, Number.POSITIVE_INFINITY)
    this.#begin(partition, { floor: 0, liveFrom: next, missed })
  }

  /** A packet id window from before the start names it, and stays until its exchange is over: nobody else gets it. [MQTT-4.8.2-5] */
  claim({ partition, offset }: Place): void {
    this.#partitions.get(partition)?.missed.delete(offset, offset + 1)
  }

  /** Do positions tell of it? */
  tellsOf({ partition, offset }: Place): boolean {
    const found = this.#partitions.get(partition)
    return found !== undefined && offset >= found.floor
  }

  /** Will the publication there be read from the log, or was it? */
  covers({ partition, offset }: Place): boolean {
    const found = this.#partitions.get(partition)
    if (found === undefined) return false
    found.isQuiet = false
    return found.missed.tail !== undefined || offset < found.liveFrom
  }

  /** A member has it now; `isOpen`: until it acknowledges it. */
  handedOver({ partition, offset }: Place, isOpen: boolean): void {
    const found = this.#partitions.get(partition)
    if (found === undefined) return
    found.missed.delete(offset, offset + 1)
    found.liveFrom = Math.max(found.liveFrom, offset + 1)
    found.readFrom = Math.max(found.readFrom, offset + 1)
    if (isOpen) found.open.add(offset)
  }

  /** Everything from `offset` on is to be read. */
  miss({ partition, offset }: Place): void {
    this.#partitions.get(partition)?.missed.add(offset, Number.POSITIVE_INFINITY)
  }

  /** Does a member have it? */
  isOpen({ partition, offset }: Place): boolean {
    return this.#partitions.get(partition)?.open.has(offset) ?? false
  }

  /** The member that has it has acknowledged it, or it is done with otherwise. */
  done({ partition, offset }: Place): void {
    this.#partitions.get(partition)?.open.delete(offset)
  }

  /** The member that has it gives it back: it is to be read, before what comes. False: no member had it. */
  givenBack({ partition, offset }: Place): boolean {
    const found = this.#partitions.get(partition)
    if (found?.open.delete(offset) !== true) return false
    found.missed.add(offset, offset + 1)
    if (found.missed.tail === undefined) found.missed.add(found.liveFrom, Number.POSITIVE_INFINITY)
    return true
  }

  /** As the log is to have it; undefined: there is nothing of the partition. */
  position(partition: PartitionId): StoredSharePosition | undefined {
    const found = this.#partitions.get(partition)
    if (found === undefined) return undefined
    const { missed, open, liveFrom } = found
    const next = missed.tail ?? liveFrom
    const pending = [...rangesOf(missed, open, next)]
    const cut = pending[maxPendingRanges]
    return cut === undefined ? { next, pending } : { next: cut[0], pending: pending.slice(0, maxPendingRanges) }
  }

  /** Nothing in the partition is missed or open, and nothing came since the last call. */
  wasQuiet(partition: PartitionId): boolean {
    const found = this.#partitions.get(partition)
    if (found === undefined) return false
    const { missed, open, isQuiet } = found
    found.isQuiet = true
    return isQuiet && missed.first === undefined && open.size === 0
  }

  /** What is lowest is read first, whoever gave it back meanwhile. */
  next(): Place | undefined {
    for (const [partition, one] of this.#partitions) {
      const offset = one.missed.first
      if (offset === undefined) continue
      one.readFrom = offset
      return { partition, offset }
    }
    return undefined
  }

  missedFrom(partition: PartitionId): number | undefined {
    const found = this.#partitions.get(partition)
    return found?.missed.from(found.readFrom)
  }

  missedIn(partition: PartitionId, start: number, end: number): number {
    return this.#partitions.get(partition)?.missed.countIn(start, end) ?? 0
  }

  /** What was given back behind the reader stays. */
  proceed(partition: PartitionId, offset: number): void {
    const found = this.#partitions.get(partition)
    if (found === undefined || offset <= found.readFrom) return
    found.missed.delete(found.readFrom, offset)
    found.readFrom = offset
  }

  yieldTurn(partition: PartitionId): void {
    const found = this.#partitions.get(partition)
    if (found === undefined) return
    this.#partitions.delete(partition)
    this.#partitions.set(partition, found)
  }

  caughtUp(partition: PartitionId, offset: number): void {
    const found = this.#partitions.get(partition)
    if (found === undefined) return
    found.missed.delete(offset, Number.POSITIVE_INFINITY)
    found.liveFrom = Math.max(found.liveFrom, offset)
  }

  forget(partition: PartitionId): void {
    this.#partitions.delete(partition)
  }

  #begin(partition: PartitionId, begun: Pick<PartitionBacklog, 'floor' | 'liveFrom' | 'missed'>): void {
    this.#partitions.set(partition, { ...begun, open: new Set(), readFrom: 0, isStored: true, isQuiet: false })
  }
}

/** Missed and open offsets below `next`. */
const rangesOf = (missed: OffsetRanges, open: ReadonlySet<number>, next: number): Iterable<OffsetRange> => {
  const ranges = new OffsetRanges([...missed].filter(([, end]) => end !== Number.POSITIVE_INFINITY))
  for (const offset of [...open].sort((one, other) => one - other)) if (offset < next) ranges.add(offset, offset + 1)
  return ranges
}

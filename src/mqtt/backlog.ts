import type { PartitionId } from '../core/brand.ts'
import { LazyMap } from '../core/lazy-map.ts'
import type { ReadableBacklog } from './backlog-reader.ts'

const none: ReadonlySet<PartitionId> = new Set()

/**
 * What a session has yet to get from the log: an offset per partition, no copies. A partition is either behind (everything from an offset on is
 * read from the log when the client is here) or live (publications are handed over as they come).
 */
export class Backlog implements ReadableBacklog {
  #expected: Set<PartitionId> | undefined
  readonly #missed = new LazyMap<PartitionId, number>()
  /** What stands below was read from the log, or handed over as it came. */
  readonly #liveFrom = new LazyMap<PartitionId, number>()
  /** Partitions in which nothing came since somebody looked. */
  #quiet: Set<PartitionId> | undefined

  /** Partitions of which the log keeps a position for the session: since then it may have missed something. */
  get expected(): ReadonlySet<PartitionId> {
    return this.#expected ?? none
  }

  /** The log has a position there. */
  expect(partition: PartitionId): void {
    this.#expected ??= new Set()
    this.#expected.add(partition)
  }

  /** There is nothing to be read. */
  get isEmpty(): boolean {
    return this.#missed.size === 0
  }

  /** Will the publication at this offset be read from the log, or was it? */
  covers(partition: PartitionId, offset: number): boolean {
    this.#quiet?.delete(partition)
    return this.#missed.has(partition) || offset < (this.#liveFrom.get(partition) ?? 0)
  }

  /** The publication at this offset was handed over as it came, and all before it. */
  handedOver(partition: PartitionId, offset: number): void {
    this.#liveFrom.set(partition, offset + 1)
  }

  /**
   * Nothing below has to be handed over again, when `outstanding` is the lowest offset that was handed over and not received; undefined: nobody
   * knows.
   */
  position(partition: PartitionId, outstanding: number | undefined): number | undefined {
    const missed = this.#missed.get(partition)
    if (outstanding === undefined || missed === undefined) return outstanding ?? missed ?? this.#liveFrom.get(partition)
    return Math.min(outstanding, missed)
  }

  /** Everything from `offset` on is to be read. */
  miss(partition: PartitionId, offset: number): void {
    const before = this.#missed.get(partition)
    if (before === undefined || offset < before) this.#missed.set(partition, offset)
  }

  /** Where reading goes on; undefined: the session has everything. */
  next(): { readonly partition: PartitionId; readonly offset: number } | undefined {
    for (const [partition, offset] of this.#missed) return { partition, offset }
    return undefined
  }

  /** Where reading begins in each partition. */
  missed(): (readonly [PartitionId, number])[] {
    return [...this.#missed]
  }

  missedFrom(partition: PartitionId): number | undefined {
    return this.#missed.get(partition)
  }

  /** How many offsets of `[start, end)` are to be read. */
  missedIn(partition: PartitionId, start: number, end: number): number {
    return Math.max(0, end - Math.max(start, this.#missed.get(partition) ?? end))
  }

  /** Everything below `offset` was read. */
  proceed(partition: PartitionId, offset: number): void {
    this.#missed.set(partition, offset)
  }

  /** Others come first when reading goes on: a busy partition must not keep the rest waiting. */
  yieldTurn(partition: PartitionId): void {
    const offset = this.#missed.get(partition)
    if (offset === undefined) return
    this.#missed.delete(partition)
    this.#missed.set(partition, offset)
  }

  /** Everything that is durable was read: what comes from `offset` on is live. */
  caughtUp(partition: PartitionId, offset: number): void {
    this.#missed.delete(partition)
    this.#liveFrom.set(partition, offset)
  }

  /** True when nothing came in the partition since the last call. */
  wasQuiet(partition: PartitionId): boolean {
    if (this.#quiet?.has(partition)) return true
    this.#quiet ??= new Set()
    this.#quiet.add(partition)
    return false
  }

  /** The partition has nothing for the session, or is gone. */
  forget(partition: PartitionId): void {
    this.#expected?.delete(partition)
    this.#missed.delete(partition)
    this.#liveFrom.delete(partition)
    this.#quiet?.delete(partition)
  }
}

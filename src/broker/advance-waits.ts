import type { PartitionId } from '../core/brand.ts'
import type { Clock } from '../platform/clock.ts'

/** A parked read: `advanced` resolves when one of its partitions has moved or the time is over. */
export interface AdvanceWait {
  readonly advanced: Promise<void>
  /** Ends the wait now (the client went away). */
  cancel(): void
}

/** Long polls: who waits for the high watermark of which partitions. */
export class AdvanceWaits {
  readonly #clock: Clock
  readonly #byPartition = new Map<PartitionId, Set<() => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  wait(partitions: readonly PartitionId[], timeoutMs: number): AdvanceWait {
    const { promise, resolve } = withResolver()
    const end = (): void => {
      timer.cancel()
      for (const partition of partitions) this.#forget(partition, end)
      resolve()
    }
    const timer = this.#clock.after(timeoutMs, end)
    for (const partition of partitions) {
      const waiting = this.#byPartition.get(partition)
      if (waiting === undefined) this.#byPartition.set(partition, new Set([end]))
      else waiting.add(end)
    }
    return { advanced: promise, cancel: end }
  }

  /** Something can be read that could not be before, or the partition is gone. */
  advanced(partitions: Iterable<PartitionId>): void {
    for (const partition of partitions) {
      const waiting = this.#byPartition.get(partition)
      if (waiting !== undefined) for (const end of [...waiting]) end()
    }
  }

  #forget(partition: PartitionId, end: () => void): void {
    const waiting = this.#byPartition.get(partition)
    if (waiting === undefined) return
    waiting.delete(end)
    if (waiting.size === 0) this.#byPartition.delete(partition)
  }
}

const withResolver = (): { promise: Promise<void>; resolve: () => void } => {
  let resolve = (): void => {}
  const promise = new Promise<void>(done => {
    resolve = done
  })
  return { promise, resolve }
}

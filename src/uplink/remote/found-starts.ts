import type { PartitionId } from '../../core/brand.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Lane } from '../lane.ts'
import { isSameStretch, type Stretch } from './stretch.ts'

/** Where a partition begins upstream, as it was found last. */
export interface FoundStart {
  readonly stretch: Stretch
  readonly local: number
  /** Where the central partition began then, or the batch with the record. */
  readonly central: number
  readonly atMs: number
}

/** A total start is believed for so long; it rises when the central cluster deletes records. */
const freshMs = 10_000

/** What was found of total starts. */
export class FoundStarts {
  readonly #clock: Clock
  readonly #starts = new Map<PartitionId, FoundStart>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** However old: a start only rises. */
  of(lane: Lane, stretch: Stretch): FoundStart | undefined {
    const start = this.#starts.get(lane.id)
    return start !== undefined && isSameStretch(start.stretch, stretch) ? start : undefined
  }

  isFresh(lane: Lane, stretch: Stretch): boolean {
    const start = this.of(lane, stretch)
    return start !== undefined && this.#clock.monotonicMs() - start.atMs < freshMs
  }

  note(lane: Lane, stretch: Stretch, local: number, central: number): void {
    this.#starts.set(lane.id, { stretch, local, central, atMs: this.#clock.monotonicMs() })
  }
}

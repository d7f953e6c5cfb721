import type { GroupGatherer } from './group-gatherer.ts'
import type { GroupProgress } from './group-progress.ts'
import type { RecoveredBatch } from './log.ts'

/**
 * What happens before a checkpoint: the layers above append the state that they derive from batch headers, because recovery shows them
 * no header of what the checkpoint covers. So the checkpoint must end with the group that this state is in, and nothing may come behind it there.
 */
export class CheckpointPreparation {
  readonly #gatherer: GroupGatherer
  readonly #progress: GroupProgress
  readonly #before: (() => void)[] = []
  #recovered: readonly RecoveredBatch[]

  constructor(
    gatherer: GroupGatherer,
    progress: GroupProgress,
    recovered: readonly RecoveredBatch[],
    first: () => void,
  ) {
    this.#gatherer = gatherer
    this.#progress = progress
    this.#recovered = recovered
    this.#before.push(first)
  }

  /** Headers that recovery found; until they are taken there is no checkpoint, it would forget them. */
  takeRecovered(): readonly RecoveredBatch[] {
    const batches = this.#recovered
    this.#recovered = []
    return batches
  }

  add(before: () => void): void {
    this.#before.push(before)
  }

  /** True when a checkpoint may be written in the same turn of the event loop. Rejects when the state could not be appended. */
  async run(): Promise<boolean> {
    if (this.#recovered.length > 0) return false
    for (const before of this.#before) before()
    this.#gatherer.close()
    await this.#progress.settled()
    return true
  }
}

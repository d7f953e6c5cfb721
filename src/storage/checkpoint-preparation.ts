import type { GroupGatherer } from './group-gatherer.ts'
import type { RecoveredBatch } from './log.ts'

/** What preparation needs of the log. */
export interface PreparedLog {
  readonly gatherer: GroupGatherer
  /** Resolves when everything appended is on the device. */
  settled(): Promise<void>
}

/**
 * What happens before a checkpoint: the layers above append the state that they derive from batch headers, because recovery shows them
 * no header of what the checkpoint covers. So the checkpoint must end with the group that this state is in, and nothing may come behind it there.
 */
export class CheckpointPreparation {
  readonly #log: PreparedLog
  readonly #before: (() => void)[] = []
  #recovered: readonly RecoveredBatch[]

  constructor(log: PreparedLog, recovered: readonly RecoveredBatch[], first: () => void) {
    this.#log = log
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
    this.#log.gatherer.close()
    await this.#log.settled()
    return true
  }
}

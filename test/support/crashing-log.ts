import { groupNumber } from '../../src/core/brand.ts'
import type { Gap, Log } from '../../src/storage/log.ts'
import { MemoryLog } from './memory-log.ts'
import type { SimRandom } from './sim/random.ts'

/**
 * A `MemoryLog` whose power can be cut: `afterCrash` gives the log of the next start, which has everything that was durable and some of
 * what was not, in order. Log starts count from the group that they are durable with.
 */
export class CrashingLog extends MemoryLog {
  readonly #appended: { readonly group: number; readonly batches: Parameters<Log['append']>[0] }[] = []
  readonly #starts: { readonly group: number; readonly of: Parameters<Log['advanceLogStart']> }[] = []
  gapList: Gap[] = []

  override append(batches: Parameters<Log['append']>[0]): ReturnType<Log['append']> {
    const appended = super.append(batches)
    const copies = batches.map(({ partition, batch }) => ({ partition, batch: Buffer.from(batch) }))
    this.#appended.push({ group: appended.group, batches: copies })
    return appended
  }

  override advanceLogStart(...of: Parameters<Log['advanceLogStart']>): ReturnType<Log['advanceLogStart']> {
    super.advanceLogStart(...of)
    // a group of its own, as the real log has one for its control record
    const { group } = super.append([])
    this.#starts.push({ group, of })
    return group
  }

  override gaps(): readonly Gap[] {
    return this.gapList
  }

  async afterCrash(random: SimRandom): Promise<CrashingLog> {
    this.held = true
    const last = this.durableGroup + random.below(this.openGroup - this.durableGroup + 1)
    const next = new CrashingLog()
    next.logEpoch = this.logEpoch + 1
    next.logAge = this.logAge
    for (const { group, batches } of this.#appended) {
      if (group > last) continue
      for (const { partition } of batches) next.openPartition(partition)
      next.append(batches)
    }
    await next.whenDurable(groupNumber(next.openGroup))
    for (const { group, of } of this.#starts) if (group <= last) next.advanceLogStart(...of)
    await next.whenDurable(groupNumber(next.openGroup))
    return next
  }
}

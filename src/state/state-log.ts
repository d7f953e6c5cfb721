import type { GroupNumber } from '../core/brand.ts'
import type { RecordAppend } from '../storage/log.ts'
import type { StateChange, View } from './view.ts'

/** Writes state as records of internal partitions. Implemented by `ViewLog`. */
export interface StateLog {
  /**
   * Appends all changes, and `records` with them, in one group, and applies them to their views at once. Memory is then ahead of the
   * device: whoever shows the effect to a peer waits for `durable(view)` or for the returned group first. Throws what `Log.append` throws;
   * then nothing was applied.
   */
  write(changes: readonly StateChange[], records?: readonly RecordAppend[]): GroupNumber
  /** Resolves when every change of the view made so far is on the device. */
  durable(view: View): Promise<void>
  /** Resolves when the group is on the device. */
  whenDurable(group: GroupNumber): Promise<void>
  /** False: the device failed, and nothing is written until a restart. */
  readonly writable: boolean
  /** Seconds of log age now: the clock of retention and expiry. */
  readonly logAge: number
}

/** In one write, whatever `commit.max.bytes` is. */
const bytesAtOnce = 25_000
/** What a change costs beside key and value, about. */
const overheadBytes = 16

/**
 * Writes any number of changes, in their order: after a crash those are there that stand before the first that is not. Returns the last group;
 * undefined: there was nothing to write.
 */
export const writeInOrder = (
  state: Pick<StateLog, 'write'>,
  changes: readonly StateChange[],
): GroupNumber | undefined => {
  let group: GroupNumber | undefined
  let part: StateChange[] = []
  let bytes = 0
  for (const change of changes) {
    const size = overheadBytes + change.key.length + (change.value?.length ?? 0)
    if (part.length > 0 && bytes + size > bytesAtOnce) {
      group = state.write(part)
      part = []
      bytes = 0
    }
    part.push(change)
    bytes += size
  }
  return part.length === 0 ? group : state.write(part)
}

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

/** In one write: whatever `commit.max.bytes` is, so many of some 500 bytes fit. */
const changesAtOnce = 50

/** Writes any number of changes, in their order: after a crash those are there that stand before the first that is not. */
export const writeInOrder = (state: Pick<StateLog, 'write'>, changes: readonly StateChange[]): void => {
  for (let at = 0; at < changes.length; at += changesAtOnce) state.write(changes.slice(at, at + changesAtOnce))
}

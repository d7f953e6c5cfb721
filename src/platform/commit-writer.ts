/**
 * Writes groups durably, off the main thread, never in libuv's pool: one write with O_DSYNC each.
 * One write is under way at a time. It owns no state but open descriptors.
 */
export interface CommitWriter {
  /** Page-aligned memory shared with the writer's thread; at least two, all of `arenaBytes`. Untouched while their write runs. */
  readonly arenas: readonly Buffer[]
  /**
   * Writes `arenas[arena][start, start + length)` at `position` of `path` and resolves once it is on the device.
   * A rejection carries Node's `code`; what the device holds is then unknown and the caller must stop writing there.
   */
  write(arena: number, start: number, length: number, path: string, position: number): Promise<void>
  /** Closes a file that will not be written again soon (its slot was sealed). */
  release(path: string): void
  close(): Promise<void>
}

/** Makes the writer; `arenaCount` arenas of `arenaBytes` each. */
export type OpenCommitWriter = (arenaCount: number, arenaBytes: number) => CommitWriter

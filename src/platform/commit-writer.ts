/**
 * Writes groups off the main thread, never in libuv's pool. One operation is under way at a time. It owns no state but open descriptors.
 * A rejection carries Node's `code`; what the device holds is then unknown and the caller must stop writing there.
 */
export interface CommitWriter {
  /** Page-aligned memory shared with the writer's thread; at least two, all of `arenaBytes`. Untouched while their write runs. */
  readonly arenas: readonly Buffer[]
  /**
   * Writes `arenas[arena][start, start + length)` at `position` of `path` and resolves once it is on the device, and with it all that was
   * handed over for this file before.
   */
  write(arena: number, start: number, length: number, path: string, position: number): Promise<void>
  /** As `write`, but resolves when the kernel has the bytes: they outlive the process, and a power cut only once `sync` or `write` returns. */
  handOver(arena: number, start: number, length: number, path: string, position: number): Promise<void>
  /** Resolves once all that was handed over for this file is on the device. */
  sync(path: string): Promise<void>
  /** Closes a file that will not be written again soon (its slot was sealed); nothing handed over waits for its sync. */
  release(path: string): void
  close(): Promise<void>
}

/** Makes the writer; `arenaCount` arenas of `arenaBytes` each. */
export type OpenCommitWriter = (arenaCount: number, arenaBytes: number) => CommitWriter

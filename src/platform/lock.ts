/** The right to use a directory, held by one process at a time. */
export interface DirectoryLock {
  /** Lets others in. Ends by itself with the process, however that ends. */
  release(): Promise<void>
}

/**
 * Takes `LOCK` in an existing directory. Undefined: another process holds it. No process id is trusted; a lock that a dead process left
 * behind is replaced. Rejects with Node's `code` when the directory cannot be used.
 */
export type LockDirectory = (directory: string) => Promise<DirectoryLock | undefined>

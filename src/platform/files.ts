/** A file read and written at given positions. Errors carry Node's `code` (ENOSPC, EIO, ...). */
export interface RandomAccessFile {
  readonly path: string
  /** Present length in bytes. */
  size(): Promise<number>
  /** Fills `target` from `position`; fewer bytes than asked only at the end of the file. Resolves with the bytes read. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Writes all of `source` at `position`. Not durable before `sync` returns. */
  write(source: Uint8Array, position: number): Promise<void>
  /** What was written before is on the device when this resolves. A rejection is final: never retry a sync. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** The directory part of the system. Paths are absolute. */
export interface Files {
  /**
   * Opens an existing file for reading and writing; with `create`, makes it when missing (directory entry synced). With `readOnly` every
   * write fails, and the file need not be writable for this user.
   */
  open(path: string, options?: { create?: boolean; readOnly?: boolean }): Promise<RandomAccessFile>
  exists(path: string): Promise<boolean>
  /** Names in the directory, sorted; empty when it does not exist. */
  list(directory: string): Promise<string[]>
  makeDirectory(path: string): Promise<void>
  /** The whole file, or undefined when it does not exist. Only for small files. */
  readSmall(path: string): Promise<Buffer | undefined>
  /** Replaces the file's content: temporary file, sync, rename, directory sync. After a crash either the old or the new content. */
  replaceSmall(path: string, content: Uint8Array): Promise<void>
  /** Gives the file another name in its directory. After a crash it has either the old or the new one; durable when it resolves. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file and syncs its directory. Nothing happens when it does not exist. */
  remove(path: string): Promise<void>
  /** Removes a directory with all that is in it. */
  removeDirectory(path: string): Promise<void>
  /** Bytes of the file system that holds `path`. */
  space(path: string): Promise<{ freeBytes: number; totalBytes: number }>
}

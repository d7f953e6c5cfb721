/**
 * Small ordered key-value store for checkpoints (LMDB). Never needed for correctness: whoever reads must be able to rebuild
 * from the log when an entry is missing, and must verify what it reads.
 */
export interface CheckpointStore {
  get(key: string): Buffer | undefined
  /** Keys and values with `prefix`, in key order. */
  entries(prefix: string): Iterable<readonly [key: string, value: Buffer]>
  /** All or nothing; durable when it resolves. `undefined` removes the key. */
  write(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void>
  /** Bytes that it occupies on disk. */
  usedBytes(): number
  close(): Promise<void>
}

/** Opens the store in `directory`, at most `maxBytes` on disk. */
export type OpenCheckpointStore = (directory: string, maxBytes: number) => Promise<CheckpointStore>

/** Bytes written as the system counts them; each figure undefined where it does not. */
export interface WriteCounts {
  /**
   * To the block device of the file system, by all programs, journal included; since the boot or since the device was plugged in. What lies
   * below it (dm-crypt, the file of a loop device, the inside of a flash card) may write more.
   */
  readonly deviceBytes: number | undefined
  /**
   * By this process. Linux counts every page-cache folio that a write makes dirty, up to 1 MiB for a write of 4 KiB: an upper bound that
   * can be hundreds of times too high, never what the device took.
   */
  readonly processBytes: number | undefined
}

/** The counters for the file system that holds `path`. Never rejects. */
export type ReadWriteCounts = (path: string) => Promise<WriteCounts>

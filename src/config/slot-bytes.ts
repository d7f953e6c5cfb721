import { MiB } from './quantities.ts'

/** Size of a slot of the commit log for a disk budget: a 64th, in whole MiB, from 4 to 64 MiB (16 MiB for 1 GiB). */
export const slotBytesOf = (diskBudgetBytes: number): number =>
  Math.min(64, Math.max(4, Math.floor(diskBudgetBytes / 64 / MiB))) * MiB

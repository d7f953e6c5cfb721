const MiB = 1024 * 1024

/** What a busy process takes besides what is counted: the heap between collections, read buffers, what malloc keeps. Measured, decision 050. */
const uncountedBytes = 96 * MiB
/** With less, the engine is asked to save memory at the cost of speed: below, its heap is the larger part of the process. */
export const roomyMemoryBytes = 256 * MiB
/** Below, a busy process is larger than the budget and 64 MiB: decision 050. */
export const keptMemoryBytes = 128 * MiB
/** However small the budget: with less nothing would move. */
const leastPart = 4

/** Bytes of `memory.budget` that are handed out by count. The rest is for what nobody counts, so that the process as a whole keeps to the budget. */
export const countedBytesOf = (budgetBytes: number): number =>
  Math.floor(Math.max(budgetBytes / leastPart, budgetBytes - uncountedBytes))

/** Recent groups kept for readers who keep up. */
export const tailBytesOf = (countedBytes: number): number => Math.min(4 * MiB, Math.floor(countedBytes / 16))

/** Blocks of the log kept for readers who do not. */
export const cacheBytesOf = (countedBytes: number): number => Math.min(8 * MiB, Math.floor(countedBytes / 8))

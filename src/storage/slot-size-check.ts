import { StartError } from '../core/errors.ts'
import { type CommitLogOptions, diskBudgetFor, minSlots } from './options.ts'

const KiB = 1024

const bytesText = (bytes: number): string =>
  bytes % (KiB * KiB) === 0 ? `${bytes / KiB / KiB}MiB` : `${Math.floor(bytes / KiB)}KiB`

/**
 * Whether the budget pays for the least number of slots, and groups and batches of these settings fit into the slots of the directory. Their size is fixed when a directory is made, so that a
 * budget raised later does not change it. Throws `StartError` 64.
 */
export const checkSlotSize = (options: CommitLogOptions, slotBytes: number): void => {
  if (options.budgetBytes < minSlots * slotBytes) {
    const budget = options.budgetBytes + (options.viewBudgetBytes ?? 0)
    throw new StartError(
      64,
      `disk.budget=${bytesText(budget)} is too little for the log of ${options.directory}, made with slots of ` +
        `${bytesText(slotBytes)}: set at least ${bytesText(diskBudgetFor(minSlots * slotBytes))}, or choose an empty data.dir`,
    )
  }
  const limits = [
    ['commit.max.bytes', options.commitMaxBytes, slotBytes / 4],
    ['max.message.bytes', options.maxMessageBytes, slotBytes / 2],
    ['mqtt.max.packet.bytes', options.maxPacketBytes ?? 0, slotBytes / 2],
  ] as const
  for (const [key, bytes, limit] of limits) {
    if (bytes <= limit) continue
    throw new StartError(
      64,
      `${key}=${bytesText(bytes)} does not fit into the log of ${options.directory}, made with slots of ` +
        `${bytesText(slotBytes)}: set at most ${bytesText(limit)}, or choose an empty data.dir`,
    )
  }
}

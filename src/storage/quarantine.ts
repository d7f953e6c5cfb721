import { join } from 'node:path'
import type { Files } from '../platform/files.ts'
import { logDirectory, metaPath } from './data-directory.ts'
import type { Damage } from './inspect-damage.ts'
import { salvagingFile } from './salvaging-file.ts'
import { slotFileName } from './slot.ts'

/** Where the bytes are kept that repair writes over; nothing reads them but people. Small: a block or two of `meta` and of each slot at most. */
export const quarantineDirectory = (directory: string): string => join(directory, 'quarantine')

/** `0007.slot-at-0-of-4096`. */
export const quarantineName = ({ slot, position, bytes }: Damage): string =>
  `${slot === 0 ? 'meta' : slotFileName(slot)}-at-${position}-of-${bytes}`

/** Copies the damaged bytes as they stand there; blocks that cannot be read are zeros. Durable when it resolves. */
export const keepAside = async (files: Files, directory: string, damage: Damage): Promise<void> => {
  const { slot, position, bytes } = damage
  const path = slot === 0 ? metaPath(directory) : join(logDirectory(directory), slotFileName(slot))
  const file = salvagingFile(await files.open(path, { readOnly: true }), () => {})
  try {
    const copy = Buffer.alloc(bytes)
    const count = await file.read(copy, position)
    await files.makeDirectory(quarantineDirectory(directory))
    await files.replaceSmall(join(quarantineDirectory(directory), quarantineName(damage)), copy.subarray(0, count))
  } finally {
    await file.close()
  }
}

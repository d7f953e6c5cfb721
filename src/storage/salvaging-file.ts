import type { RandomAccessFile } from '../platform/files.ts'
import { alignDown, blockBytes } from './layout.ts'

/** The device, or the file system on it, does not give or take the bytes: EIO, and EUCLEAN where an inode is damaged. */
export const isDeviceError = (error: unknown): boolean =>
  ['EIO', 'EUCLEAN'].includes((error as { code?: string }).code ?? '')

/**
 * A slot file whose unreadable blocks read as zeros. No checksum holds over them, so that what was there becomes damage like any other,
 * and the blocks around it are served. Other errors, and all errors of writes and syncs, are passed on.
 */
export const salvagingFile = (file: RandomAccessFile, onUnreadable: (position: number) => void): RandomAccessFile => {
  /** Block by block; a block that cannot be read becomes zeros. */
  const readBlocks = async (target: Uint8Array, position: number): Promise<number> => {
    const length = Math.max(0, Math.min(target.length, (await file.size()) - position))
    let done = 0
    while (done < length) {
      const blockEnd = alignDown(position + done, blockBytes) + blockBytes
      const part = target.subarray(done, Math.min(length, blockEnd - position))
      try {
        await file.read(part, position + done)
      } catch (error) {
        if (!isDeviceError(error)) throw error
        part.fill(0)
        onUnreadable(position + done)
      }
      done += part.length
    }
    return length
  }
  return {
    path: file.path,
    size: () => file.size(),
    async read(target, position) {
      try {
        return await file.read(target, position)
      } catch (error) {
        if (!isDeviceError(error)) throw error
        return readBlocks(target, position)
      }
    },
    write: (source, position) => file.write(source, position),
    sync: () => file.sync(),
    close: () => file.close(),
  }
}

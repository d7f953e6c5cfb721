import type { Files } from './files.ts'

/**
 * Replaces the file `path` by `bytes`, equal copies of `blockBytes` each. Durable when it resolves; after a crash either the old or the new
 * content is there. On a full file system the copies are written in place, one after the other: a file that exists needs no new space.
 */
export const replaceCopies = async (
  files: Files,
  path: string,
  bytes: Uint8Array,
  blockBytes: number,
): Promise<void> => {
  try {
    await files.replaceSmall(path, bytes)
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOSPC' || !(await files.exists(path))) throw error
    await overwriteCopies(files, path, bytes, blockBytes)
  }
}

const overwriteCopies = async (files: Files, path: string, bytes: Uint8Array, blockBytes: number): Promise<void> => {
  const file = await files.open(path)
  try {
    // the first copy rules: until it is whole the second one still says what was
    for (let at = 0; at < bytes.length; at += blockBytes) {
      await file.write(bytes.subarray(at, at + blockBytes), at)
      await file.sync()
    }
  } finally {
    await file.close()
  }
}

import { join } from 'node:path'
import { BrokerError, StartError } from '../core/errors.ts'
import { isSystemError, systemErrorText } from '../core/system-error.ts'
import { uuidFromRandom } from '../core/uuid.ts'
import { replaceCopies } from '../platform/block-copies.ts'
import type { Files } from '../platform/files.ts'
import type { DirectoryLock, LockDirectory } from '../platform/lock.ts'
import type { Random } from '../platform/random.ts'
import { blockBytes } from './layout.ts'
import { type Ancestor, decodeMeta, encodeMeta, type Meta } from './meta.ts'

const logDirectoryName = 'log'

/** Where the slots are. */
export const logDirectory = (directory: string): string => join(directory, logDirectoryName)

/** The file with the identity of the log. */
export const metaPath = (directory: string): string => join(directory, 'meta')

/**
 * Reads `meta`, or makes a new data directory. Throws `StartError` 65 for a directory that is not ours or of a newer format; nothing is
 * written into such a one.
 */
export const openDataDirectory = async (
  files: Files,
  random: Random,
  directory: string,
  newSlotBytes: number,
): Promise<Meta> => {
  const file = await files.readSmall(metaPath(directory))
  if (file !== undefined) return readMeta(file, directory)
  const slots = await files.list(logDirectory(directory))
  if (slots.length > 0) {
    throw new StartError(
      65,
      `${directory} has a log but no meta file; brooklet log repair makes it again, or choose another data.dir`,
    )
  }
  const meta: Meta = {
    logId: uuidFromRandom(random.bytes(16)),
    slotBytes: newSlotBytes,
    starts: [],
    ancestors: [],
  }
  await files.makeDirectory(logDirectory(directory))
  await writeMeta(files, directory, meta)
  return meta
}

/** Durable when it resolves; after a crash either the old or the new content is there. A start on a full file system needs no new space. */
export const writeMeta = (files: Files, directory: string, meta: Meta): Promise<void> =>
  replaceCopies(files, metaPath(directory), encodeMeta(meta), blockBytes)

/**
 * Whether the directory may be used, before anything is made in it: a directory with other people's files in it is not ours. Throws
 * `StartError` 65.
 */
export const checkDataDirectory = async (files: Files, directory: string): Promise<void> => {
  const names = await files.list(directory)
  const file = await files.readSmall(metaPath(directory))
  if (file !== undefined) {
    readMeta(file, directory)
    return
  }
  const foreign = names.filter(name => !ownNames.has(name) && !name.startsWith('LOCK.') && !name.startsWith('views.'))
  if (foreign.length > 0) {
    throw new StartError(
      65,
      `${directory} holds other files (${foreign[0]}) and no Brooklet log; choose an empty data.dir`,
    )
  }
}

/**
 * Makes sure that the directory exists, is ours or empty, and that nobody else uses it; returns the lock, to be released when all else is
 * closed. Throws `StartError` 65.
 */
export const claimDataDirectory = async (
  files: Files,
  lockDirectory: LockDirectory,
  directory: string,
): Promise<DirectoryLock> => {
  await files.makeDirectory(directory)
  await checkDataDirectory(files, directory)
  const lock = await lockDirectory(directory)
  if (lock === undefined) {
    throw new StartError(65, `${directory} is in use by another Brooklet; stop it or choose another data.dir`)
  }
  return lock
}

/** An error of the system, or of the log's device, as the user is told of it; others stay what they are. */
export const unusableDirectory = (directory: string, error: unknown): unknown => {
  if (!isSystemError(error) && !(error instanceof BrokerError && error.kind === 'storageFailed')) return error
  const { path = directory } = error as { readonly path?: string }
  const where = path.endsWith(directory) ? '' : ` at ${path}`
  return new StartError(
    65,
    `data.dir: ${directory} cannot be used: ${systemErrorText(error)}${where}; mend that, or choose another with --data-dir DIRECTORY`,
  )
}

/** What a first start may have left behind when it was cut off before `meta` was there. */
const ownNames = new Set(['LOCK', 'BACKUP', 'log', 'views', 'meta.new', 'settings', 'settings.new', 'lost+found'])

/** The logs that the one in the directory was restored or forked from, oldest first. */
export const ancestorsOf = async (files: Files, directory: string): Promise<readonly Ancestor[]> => {
  const file = await files.readSmall(metaPath(directory))
  return file === undefined ? [] : readMeta(file, directory).ancestors
}

/** The content of `meta`; throws `StartError` 65 when it is of a newer format or not ours. */
export const readMeta = (file: Buffer, directory: string): Meta => {
  const meta = decodeMeta(file)
  if (meta === 'newer') {
    throw new StartError(
      65,
      `${directory} was written by a newer Brooklet; start that version or choose another data.dir`,
    )
  }
  if (meta === 'foreign') {
    throw new StartError(
      65,
      `${metaPath(directory)} is damaged or not of Brooklet; brooklet log repair makes it again, or choose another data.dir`,
    )
  }
  return meta
}

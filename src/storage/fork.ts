import { StartError } from '../core/errors.ts'
import { uuidFromRandom } from '../core/uuid.ts'
import type { Files } from '../platform/files.ts'
import type { Random } from '../platform/random.ts'
import { metaPath, readMeta, writeMeta } from './data-directory.ts'
import { maxAncestors, maxStarts } from './meta.ts'
import { restoredEpochStep } from './restore.ts'

export interface ForkParts {
  readonly files: Files
  readonly random: Random
  readonly directory: string
}

export interface ForkResult {
  readonly logId: string
  readonly parentLogId: string
}

/**
 * Gives the log in a directory that nobody uses a new id, as a restore does, and keeps what is in it: it is a copy of a log that goes on elsewhere. Which
 * records both have is not known, so that no last group of the ancestor is named. One file is replaced: done or not done. Throws `StartError` 65.
 */
export const forkLog = async ({ files, random, directory }: ForkParts): Promise<ForkResult> => {
  const file = await files.readSmall(metaPath(directory))
  if (file === undefined) throw new StartError(65, `${directory} holds no Brooklet log; name the data.dir of a gateway`)
  const parent = readMeta(file, directory)
  if (parent.ancestors.length >= maxAncestors)
    throw new StartError(65, `the log in ${directory} was restored or forked ${maxAncestors} times already`)
  const logId = uuidFromRandom(random.bytes(16))
  const logEpoch = (parent.starts.at(-1)?.logEpoch ?? 0) + restoredEpochStep
  const salt = random.bytes(8).readBigUInt64BE(0)
  await writeMeta(files, directory, {
    logId,
    slotBytes: parent.slotBytes,
    starts: [...parent.starts, { logEpoch, salt }].slice(-maxStarts),
    ancestors: [...parent.ancestors, { logId: parent.logId, lastGroup: 0 }],
  })
  return { logId, parentLogId: parent.logId }
}

import { CommitLog } from './commit-log.ts'
import type { Log } from './log.ts'
import type { CommitLogOptions, StoragePlatform } from './options.ts'
import { recoverLog } from './recover-log.ts'
import { sampleStorage } from './storage-gauges.ts'

/**
 * Opens or makes the log in `options.directory`, recovers it and returns it writable; on a full file system that is when it has room for a
 * slot, or never: `stopping` ends that wait. Throws `StartError` 65, or 64 for settings that do not go with the directory. A log that cannot
 * be opened leaves no file open.
 */
export const openCommitLog = async (
  platform: StoragePlatform,
  options: CommitLogOptions,
  stopping?: AbortSignal,
): Promise<Log> => {
  const first = await tryOpen(platform, options, stopping)
  if ('log' in first) return first.log
  // the device refused the first group of this start: recovery goes on in another slot
  const second = first.foundBad ? await tryOpen(platform, options, stopping) : first
  if ('log' in second) return second.log
  throw second.error
}

type Opening = { readonly log: Log } | { readonly error: unknown; readonly foundBad: boolean }

const tryOpen = async (
  platform: StoragePlatform,
  options: CommitLogOptions,
  stopping?: AbortSignal,
): Promise<Opening> => {
  const recovered = await recoverLog(platform, options)
  sampleStorage(options.metrics, recovered, platform.checkpoints)
  const log = new CommitLog(platform, options, recovered)
  let closed: Promise<void> | undefined
  const close = (): void => {
    closed ??= log.close()
  }
  if (stopping?.aborted) close()
  stopping?.addEventListener('abort', close)
  try {
    await log.start()
  } catch (error) {
    close()
    await closed
    stopping?.throwIfAborted()
    return { error, foundBad: [...recovered.pool.slots].some(slot => slot.remembered !== undefined) }
  } finally {
    stopping?.removeEventListener('abort', close)
  }
  platform.logger.child('storage').info({ ...log.diskUsage() }, 'disk budget')
  return { log }
}

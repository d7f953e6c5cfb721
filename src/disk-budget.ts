import type { LiveSettings } from './config/live-settings.ts'
import type { LoadedSettings } from './config/load.ts'
import { formatBytes, MiB } from './config/quantities.ts'
import { leastBytes, settingTable } from './config/settings.ts'
import { type Share, shareOf } from './config/share.ts'
import { BrokerError, StartError } from './core/errors.ts'
import type { Files } from './platform/files.ts'
import type { Logger } from './platform/logger.ts'
import type { Log } from './storage/log.ts'

const textOf = (share: Share): string => settingTable['disk.budget'].type.format(share)

/** In whole MiB, rounded up: what is told as the least must be enough. */
const upToMiB = (bytes: number): string => formatBytes(Math.ceil(bytes / MiB) * MiB)

/**
 * `disk.budget` in bytes. Settings were checked against a file system that may not have been there yet, or that tells no size: throws
 * `StartError` 64 when it is too little.
 */
export const diskBudgetOf = async (
  { settings }: LoadedSettings,
  files: Files,
  directory: string,
): Promise<{ readonly budgetBytes: number; readonly totalBytes: number }> => {
  const { totalBytes } = await files.space(directory)
  const budgetBytes = shareOf(settings['disk.budget'], totalBytes)
  const least = leastBytes['disk.budget']
  if (budgetBytes >= least) return { budgetBytes, totalBytes }
  const share = textOf(settings['disk.budget'])
  const reason = `${share} of the file system of ${directory} is ${formatBytes(budgetBytes)}, at least ${formatBytes(least)} is needed`
  throw new StartError(64, `disk.budget: ${reason}; set it in bytes, or data.dir to a larger file system`)
}

/** Why a budget cannot hold what must not go; undefined: it can. */
const tooLittle = (share: Share, budgetBytes: number, log: Log): string | undefined => {
  const { budgetBytes: least, keptBytes } = log.budget.least
  if (budgetBytes >= least) return undefined
  return (
    `disk.budget=${textOf(share)} is too little: ${upToMiB(keptBytes)} in the log must stay (the newest records of compacted topics, and ` +
    `the gateway's own); with the reserve and the views at least ${upToMiB(least)} is needed`
  )
}

/** Once the configs of topics are known. Nothing was deleted before. Throws `StartError` 64. */
export const checkStartBudget = ({ settings }: LoadedSettings, budgetBytes: number, log: Log): void => {
  const reason = tooLittle(settings['disk.budget'], budgetBytes, log)
  if (reason !== undefined) throw new StartError(64, reason)
}

/** Changes of `disk.budget` while the gateway runs. */
export const followDiskBudget = (live: LiveSettings, log: Log, totalBytes: number, logger: Logger): void => {
  live.onChange('disk.budget', share => {
    const budgetBytes = shareOf(share, totalBytes)
    if (budgetBytes > totalBytes) {
      throw new BrokerError(
        'invalidConfig',
        `disk.budget=${textOf(share)} is more than the file system has, ${formatBytes(totalBytes)}`,
      )
    }
    const reason = tooLittle(share, budgetBytes, log)
    if (reason !== undefined) throw new BrokerError('invalidConfig', reason)
    return () => {
      log.budget.resize(budgetBytes)
      logger.info({ budgetBytes }, 'disk budget changed')
    }
  })
}

import type { Command } from 'commander'
import { nodeClock } from '../platform/node/clock.ts'
import { nodeFiles } from '../platform/node/files.ts'
import { host } from '../platform/node/host.ts'
import type { InspectPlatform } from '../storage/inspect-segments.ts'
import { settingsFromFlags } from './setting-flags.ts'

export interface DirectoryFlags {
  readonly dataDir?: string
  readonly config?: string
}

/** Adds the ways to name a data directory: an argument, `--data-dir`, or the `data.dir` of a settings file. */
export const addDirectoryOptions = (command: Command): Command =>
  command
    .argument('[directory]', 'data directory (default: data.dir of the settings)')
    .option('--data-dir <directory>', 'the same as an option')
    .option('--config <file>', 'settings file that names data.dir; also BROOKLET_CONFIG')

/** The absolute path of the directory that was named. Throws `StartError` 64 for a settings file with faults. */
export const chosenDirectory = async (directory: string | undefined, flags: DirectoryFlags): Promise<string> => {
  const named = directory ?? flags.dataDir
  if (named !== undefined) return host.absolutePath(named)
  const { settings } = await settingsFromFlags({ set: [], ...(flags.config === undefined ? {} : flags) })
  return host.absolutePath(settings['data.dir'])
}

export const inspectPlatform: InspectPlatform = { files: nodeFiles, clock: nodeClock }

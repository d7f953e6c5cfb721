import { Command } from 'commander'
import { nodeFiles } from '../platform/node/files.ts'
import { host } from '../platform/node/host.ts'
import { nodeRandom } from '../platform/node/random.ts'
import { unusableDirectory } from '../storage/data-directory.ts'
import { restoreBackup } from '../storage/restore.ts'
import { chosenDirectory, type DirectoryFlags } from './log-directory.ts'
import { withOutput } from './output.ts'
import { plural } from './plural.ts'

/** `brooklet restore FROM`: makes a data directory of a backup, as a new log that knows its parent. */
export const restoreCommand = (): Command =>
  new Command('restore')
    .summary('make a data directory of a backup')
    .description('make a data directory of a backup; the log gets a new id and knows the one it comes from')
    .argument('<from>', 'directory of the backup')
    .option('--data-dir <directory>', 'empty directory to restore into (default: data.dir of the settings)')
    .option('--config <file>', 'settings file that names data.dir; also BROOKLET_CONFIG')
    .action((from: string, flags: DirectoryFlags) =>
      withOutput(async output => {
        const directory = await chosenDirectory(undefined, flags)
        const progress = (segment: number, segments: number): void =>
          output.progress(() => `restoring segment ${segment + 1} of ${segments}`)
        const backup = host.absolutePath(from)
        const parts = { files: nodeFiles, random: nodeRandom, backup, directory, progress }
        const { logId, parentLogId, lastGroup, segments } = await restoreBackup(parts).catch(error => {
          throw unusableDirectory(directory, error)
        })
        const what = `${plural(segments, 'segment')} of log ${parentLogId} through group ${lastGroup}`
        await output.line(`restored ${what} into ${directory} as log ${logId}`)
      }),
    )

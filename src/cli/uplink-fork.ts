import { Command } from 'commander'
import { StartError } from '../core/errors.ts'
import { nodeFiles } from '../platform/node/files.ts'
import { host } from '../platform/node/host.ts'
import { nodeRandom } from '../platform/node/random.ts'
import { unusableDirectory } from '../storage/data-directory.ts'
import { forkLog } from '../storage/fork.ts'
import { agrees } from './agreement.ts'
import { withLock } from './directory-lock.ts'
import { addDirectoryOptions, chosenDirectory, type DirectoryFlags } from './log-directory.ts'
import { type Output, withOutput } from './output.ts'

interface ForkFlags extends DirectoryFlags {
  readonly yes?: boolean
}

const exitUsage = 64

const explanation = (directory: string): string =>
  [
    `the log in ${directory} gets a new id, and with it a name of its own upstream; all records stay.`,
    'It goes on behind what the log has sent that it is a copy of, and sends what it took in since. That other log is not touched.',
    'Consumers see another cluster id, and gateway.id changes where it is not set.',
  ].join('\n')

const fork = async (directory: string, flags: ForkFlags, output: Output): Promise<void> => {
  await output.line(explanation(directory))
  if (!flags.yes && !(await agrees('Do it?'))) {
    process.exitCode = 1
    return output.line('nothing was changed')
  }
  const parts = { files: nodeFiles, random: nodeRandom, directory }
  const { logId, parentLogId } = await forkLog(parts).catch(error => {
    throw unusableDirectory(directory, error)
  })
  await output.line(`log ${parentLogId} is log ${logId} now: start the gateway`)
}

/** `brooklet uplink fork`: a copy of a log that goes on elsewhere becomes a log of its own. */
export const forkCommand = (): Command =>
  addDirectoryOptions(
    new Command('fork').description(
      'give the log of a stopped gateway an id of its own: the way out for a copy that is fenced; says what it does, asks, does it',
    ),
  )
    .option('-y, --yes', 'do it without asking')
    .action((named: string | undefined, flags: ForkFlags) =>
      withOutput(async output => {
        const directory = await chosenDirectory(named, flags)
        await withLock(directory, 'it is started again afterwards', () => {
          if (!flags.yes && !host.stdinIsTerminal)
            throw new StartError(exitUsage, 'there is no terminal to ask at: say --yes')
          return fork(directory, flags, output)
        })
      }),
    )

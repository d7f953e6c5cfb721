import { join } from 'node:path'
import { Command } from 'commander'
import { StartError } from '../core/errors.ts'
import type { Logger } from '../platform/logger.ts'
import { openLmdbCheckpoints } from '../platform/node/checkpoint-store.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { openThreadedCommitWriter } from '../platform/node/commit-writer.ts'
import { nodeFiles } from '../platform/node/files.ts'
import { host } from '../platform/node/host.ts'
import { nodeRandom } from '../platform/node/random.ts'
import { unusableDirectory } from '../storage/data-directory.ts'
import type { VerifyReport } from '../storage/inspect-report.ts'
import { viewBytesFor } from '../storage/options.ts'
import { quarantineDirectory } from '../storage/quarantine.ts'
import { carryOutRepair } from '../storage/repair.ts'
import { isNothing, planRepair, type RepairPlan } from '../storage/repair-plan.ts'
import { agrees } from './agreement.ts'
import { withLock } from './directory-lock.ts'
import { addDirectoryOptions, chosenDirectory, type DirectoryFlags, inspectPlatform } from './log-directory.ts'
import { PartitionNames } from './log-partitions.ts'
import { reportLines } from './log-verify.ts'
import { type Output, withOutput } from './output.ts'
import { plural } from './plural.ts'
import { sizeText } from './size-text.ts'

interface RepairFlags extends DirectoryFlags {
  readonly yes?: boolean
  readonly dryRun?: boolean
}

/** Something is damaged, and was left so. */
const exitDamaged = 1
const exitUsage = 64
const MiB = 1024 * 1024

/** One line for each thing that repair will do. */
export function* planLines(plan: RepairPlan, directory: string): Generator<string> {
  const { found, headers, footers, kept, unnamed } = plan
  const { meta, state } = found
  const bytes = kept.reduce((sum, damage) => sum + damage.bytes, 0)
  if (kept.length > 0) {
    yield `keep a copy of ${sizeText(bytes)} that it writes over in ${quarantineDirectory(directory)}`
  }
  if (state === 'oneCopy') yield 'write meta again from the copy that verifies'
  if (state === 'lost') {
    const epochs = meta.starts.map(({ logEpoch }) => logEpoch)
    const known =
      epochs.length === 0 ? 'no start' : `${plural(epochs.length, 'start')} up to log epoch ${epochs.at(-1)}`
    yield `make meta again from the slots: log ${meta.logId}, slots of ${sizeText(meta.slotBytes)}, ${known}`
  }
  for (const slot of headers)
    yield `make the header of slot ${slot} again from the groups behind it, or give up the slot where there are none`
  for (const slot of footers) yield `make the footer of slot ${slot} again from the groups before it`
  const records = unnamed.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  if (records > 0) {
    yield `record ${plural(records, 'lost record')} as gaps: consumers go past them, \`brooklet audit --gaps\` lists them`
  }
  if (headers.length > 0 || records > 0) yield 'start the log once for that: its epoch rises by one, nothing is evicted'
}

/** What storage has to say while it works goes to the user, in a line each. */
const tellingLogger = (notes: string[]): Logger => {
  const note = (fields: object, event: string): void => void notes.push(`${event} ${JSON.stringify(fields)}`)
  const logger: Logger = { debug() {}, info() {}, warn: note, error: note, child: () => logger }
  return logger
}

const plan = (directory: string, names: PartitionNames, output: Output): Promise<RepairPlan> =>
  planRepair(inspectPlatform, directory, {
    batch: (partition, batch) => names.learn(partition, batch),
    progress: (done, slots, position) =>
      output.progress(() => `looking at slot ${done + 1} of ${slots}, ${(position / MiB).toFixed(1)} MiB in it`),
  }).catch(error => {
    throw unusableDirectory(directory, error)
  })

const carryOut = async (directory: string, planned: RepairPlan, output: Output): Promise<VerifyReport> => {
  const notes: string[] = []
  const logger = tellingLogger(notes)
  const checkpoints = await openLmdbCheckpoints(logger)(join(directory, 'views'), viewBytesFor(Number.MAX_SAFE_INTEGER))
  try {
    const platform = {
      clock: nodeClock,
      files: nodeFiles,
      random: nodeRandom,
      logger,
      openCommitWriter: openThreadedCommitWriter,
      checkpoints,
    }
    return await carryOutRepair(platform, directory, planned)
  } catch (error) {
    throw unusableDirectory(directory, error)
  } finally {
    await checkpoints.close()
    for (const note of notes) await output.line(`note: ${note}`)
  }
}

const repair = async (directory: string, flags: RepairFlags, output: Output): Promise<void> => {
  const names = new PartitionNames()
  const planned = await plan(directory, names, output)
  for (const line of reportLines(planned.report, names)) await output.line(line)
  if (isNothing(planned)) return output.line('nothing to repair')
  await output.line('')
  await output.line(`repair of ${directory} will`)
  for (const line of planLines(planned, directory)) await output.line(`  ${line}`)
  if (flags.dryRun || !(flags.yes || (await agrees('Do it?')))) {
    process.exitCode = exitDamaged
    return output.line('nothing was changed')
  }
  const after = await carryOut(directory, planned, output)
  await output.line('')
  await output.line('done; log verify says now')
  for (const line of reportLines(after, names)) await output.line(line)
  if (after.missing.some(({ known }) => known === undefined)) process.exitCode = exitDamaged
}

/** `brooklet log repair`: mends what a start does not, after it has said what and was told to. */
export const repairCommand = (): Command =>
  addDirectoryOptions(
    new Command('repair').description(
      'mend the data directory of a stopped gateway: says what it will do, asks, does it',
    ),
  )
    .option('-y, --yes', 'do it without asking')
    .option('--dry-run', 'only say what would be done')
    .action((named: string | undefined, flags: RepairFlags) =>
      withOutput(async output => {
        const directory = await chosenDirectory(named, flags)
        if (flags.dryRun) return repair(directory, flags, output)
        await withLock(directory, 'log verify and --dry-run only read', () => {
          if (!flags.yes && !host.stdinIsTerminal) {
            throw new StartError(
              exitUsage,
              'there is no terminal to ask at: --yes repairs, --dry-run only says what would be done',
            )
          }
          return repair(directory, flags, output)
        })
      }),
    )

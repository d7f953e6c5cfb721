import { Command } from 'commander'
import { damageCauses } from '../storage/inspect-damage.ts'
import { isSound, type VerifiedDamage, type VerifyReport } from '../storage/inspect-report.ts'
import { verifyDirectory } from '../storage/inspect-verify.ts'
import { addDirectoryOptions, chosenDirectory, type DirectoryFlags, inspectPlatform } from './log-directory.ts'
import { PartitionNames } from './log-partitions.ts'
import { withOutput } from './output.ts'
import { plural } from './plural.ts'
import { sizeText } from './size-text.ts'

interface VerifyFlags extends DirectoryFlags {
  readonly json?: boolean
}

const MiB = 1024 * 1024
const exitDamaged = 1

const knownTexts = { gap: '; a gap record names it', dead: '; nothing live was there' } as const

const offsets = (first: number, last: number): string =>
  first === last ? `offset ${first}` : `offsets ${first} to ${last}`

const damageLine = (damage: VerifiedDamage, names: PartitionNames): string => {
  const { slot, position, bytes, cause, group, partition, first, last, known } = damage
  const place = slot === 0 ? `meta at ${position}` : `slot ${slot} at ${position}`
  const records = partition === undefined ? [] : [`${names.nameOf(partition)} ${offsets(first ?? 0, last ?? 0)}`]
  const about = [plural(bytes, 'byte'), ...(group === undefined ? [] : [`group ${group}`]), ...records].join(', ')
  return `${place}: ${about}: ${damageCauses[cause]}${known === undefined ? '' : knownTexts[known]}`
}

/** One line for each damaged range, each hole and each note, then the summary. */
export function* reportLines(report: VerifyReport, names: PartitionNames): Generator<string> {
  for (const damage of report.damages) yield damageLine(damage, names)
  if (report.moreDamages > 0) yield `${report.moreDamages} more damaged ranges`
  for (const { partition, first, last, known } of report.missing) {
    const text = `lost: ${names.nameOf(partition)} ${offsets(first, last)}`
    yield `${text}${known === undefined ? '' : knownTexts[known]}`
  }
  for (const { slot, text } of report.notes) yield slot === undefined ? `note: ${text}` : `note: slot ${slot} ${text}`
  const { logId, segments, firstGroup, lastGroup, frames, records, bytes } = report
  const span = firstGroup === undefined ? 'no groups' : `groups ${firstGroup} to ${lastGroup}`
  const amount = `${plural(frames, 'batch')}, ${plural(records, 'record')}`
  yield `log ${logId}: ${plural(segments, 'segment')}, ${span}, ${amount}, ${sizeText(bytes)} read`
  yield verdict(report)
}

const verdict = (report: VerifyReport): string => {
  if (isSound(report)) return 'sound'
  const damages = report.damages.length + report.moreDamages
  const lost = report.missing.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  const known = report.missing.every(missing => missing.known !== undefined) ? ', all named by gap records' : ''
  return `DAMAGED: ${plural(damages, 'range')}, ${lost === 0 ? 'no record lost' : `${plural(lost, 'record')} lost${known}`}`
}

const asJson = (report: VerifyReport, names: PartitionNames): unknown => {
  const named = <Range extends { readonly partition?: number }>(range: Range): object =>
    range.partition === undefined ? range : { ...range, name: names.nameOf(range.partition) }
  return {
    sound: isSound(report),
    ...report,
    damages: report.damages.map(named),
    missing: report.missing.map(named),
  }
}

/** `brooklet log verify`: checks every byte of the log that means something; exit code 1 when some are damaged. */
export const verifyCommand = (): Command =>
  addDirectoryOptions(
    new Command('verify').description('check all checksums of a data directory, of a stopped or a running gateway'),
  )
    .option('--json', 'print JSON')
    .action((named: string | undefined, flags: VerifyFlags) =>
      withOutput(async output => {
        const directory = await chosenDirectory(named, flags)
        const names = new PartitionNames()
        const report = await verifyDirectory(inspectPlatform, directory, {
          batch: (partition, batch) => names.learn(partition, batch),
          progress: (done, slots, position) =>
            output.progress(() => `verifying slot ${done + 1} of ${slots}, ${(position / MiB).toFixed(1)} MiB in it`),
        })
        if (flags.json) await output.line(JSON.stringify(asJson(report, names), null, 2))
        else for (const line of reportLines(report, names)) await output.line(line)
        if (!isSound(report)) process.exitCode = exitDamaged
      }),
    )

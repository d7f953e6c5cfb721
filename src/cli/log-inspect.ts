import { Command } from 'commander'
import { type DirectorySummary, type SegmentSummary, summarizeDirectory } from '../storage/inspect-summary.ts'
import { formatVersion } from '../storage/layout.ts'
import { addDirectoryOptions, chosenDirectory, type DirectoryFlags, inspectPlatform } from './log-directory.ts'
import { withOutput } from './output.ts'
import { formatTable } from './table.ts'

interface InspectFlags extends DirectoryFlags {
  readonly json?: boolean
}

const MiB = 1024 * 1024
const mebibytes = (bytes: number): string => `${(bytes / MiB).toFixed(1)} MiB`

/** `3d02h`, `02h05m`, `1m07s`. */
const duration = (seconds: number): string => {
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ]
  const two = (value: number): string => String(value).padStart(2, '0')
  if (days > 0) return `${days}d${two(hours)}h`
  if (hours > 0) return `${hours}h${two(minutes)}m`
  return minutes > 0 ? `${minutes}m${two(seconds % 60)}s` : `${seconds}s`
}

const ageRange = (first: string, last: string): string => (first === last ? first : `${first} to ${last}`)

/** Everything under plain names, for `--json`. */
const asJson = ({ inspected, segments, incarnation }: DirectorySummary): unknown => {
  const { directory, meta, slots, damages } = inspected
  const bySlot = new Map(segments.map(segment => [segment.slot, segment]))
  return {
    directory,
    formatVersion,
    logId: meta.logId,
    incarnation: incarnation ?? null,
    logEpoch: meta.starts.at(-1)?.logEpoch ?? null,
    slotBytes: meta.slotBytes,
    starts: meta.starts.map(({ logEpoch, salt }) => ({ logEpoch, salt: salt.toString(16).padStart(16, '0') })),
    ancestors: meta.ancestors,
    damagedMetaCopies: damages.length,
    slots: slots.map(({ number, fileBytes, state }) => ({ fileBytes, state, ...bySlot.get(number), slot: number })),
  }
}

const heading = ({ inspected, incarnation }: DirectorySummary): string[] => {
  const { directory, meta, damages } = inspected
  const starts = meta.starts.map(({ logEpoch }) => logEpoch)
  const epochs = starts.length > 1 ? `${starts[0]} to ${starts.at(-1)}` : `${starts[0] ?? 'none'}`
  return [
    `${directory}`,
    `log ${meta.logId}, format ${formatVersion}, slots of ${mebibytes(meta.slotBytes)}`,
    `log epochs ${epochs}, incarnation ${incarnation ?? 'unknown'}`,
    ...meta.ancestors.map(({ logId, lastGroup }) =>
      lastGroup === 0 ? `made of log ${logId}` : `restored from log ${logId} at group ${lastGroup}`,
    ),
    ...(damages.length > 0 ? ['one of the two copies of meta is damaged'] : []),
  ]
}

const endings = { sealed: 'sealed', open: 'open', torn: 'open, torn tail' } as const

const row = (segment: SegmentSummary): (string | number)[] => {
  const { slot, kind, sequence, firstGroup, lastGroup, groups, usedBytes, partitions } = segment
  const { firstLogAge, lastLogAge, ending, damages } = segment
  const ages = firstLogAge === undefined ? '-' : ageRange(duration(firstLogAge), duration(lastLogAge ?? 0))
  const state = damages > 0 ? `${endings[ending]}, ${damages} damaged` : endings[ending]
  const ofGroups = kind === 'cold' ? ['-', '-', '-'] : [firstGroup, lastGroup, groups]
  return [slot, kind, sequence, ...ofGroups, mebibytes(usedBytes), partitions, ages, state]
}

const columns = [
  'SLOT',
  'KIND',
  'SEGMENT',
  'FIRST GROUP',
  'LAST GROUP',
  'GROUPS',
  'USED',
  'PARTITIONS',
  'LOG AGE',
  'STATE',
]

/** The slots that hold no segment, in one line each state. */
const otherSlots = ({ inspected, segments }: DirectorySummary): string[] => {
  const taken = new Set(segments.map(({ slot }) => slot))
  const others = inspected.slots.filter(({ number }) => !taken.has(number))
  const ofState = (state: string): number[] => others.filter(slot => slot.state === state).map(({ number }) => number)
  const lines = [
    ['free', 'free'],
    ['blank', 'with an empty header, prepared and not used (log verify looks behind it)'],
    ['foreign', 'of another log'],
    ['damaged', 'without a header that verifies; see brooklet log verify'],
  ] as const
  return lines.flatMap(([state, text]) => {
    const numbers = ofState(state)
    return numbers.length === 0 ? [] : [`${numbers.length} ${text}: ${numbers.join(', ')}`]
  })
}

/** `brooklet log inspect`: what each slot of a data directory holds. */
export const inspectCommand = (): Command =>
  addDirectoryOptions(new Command('inspect').description('show the slots and segments of a data directory'))
    .option('--json', 'print JSON')
    .action((named: string | undefined, flags: InspectFlags) =>
      withOutput(async output => {
        const directory = await chosenDirectory(named, flags)
        const summary = await summarizeDirectory(inspectPlatform, directory, slot =>
          output.progress(() => `reading slot ${slot}`),
        )
        if (flags.json) return output.line(JSON.stringify(asJson(summary), null, 2))
        for (const line of heading(summary)) await output.line(line)
        await output.line('')
        await output.line(formatTable(columns, summary.segments.map(row)).trimEnd())
        for (const line of otherSlots(summary)) await output.line(line)
      }),
    )

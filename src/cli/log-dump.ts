import { Command } from 'commander'
import { StartError } from '../core/errors.ts'
import { internalPartitions } from '../state/internal-partitions.ts'
import { inspectColdSegments } from '../storage/inspect-cold.ts'
import { holdsSegment, type InspectedDirectory, inspectDirectory, inspectSlots } from '../storage/inspect-directory.ts'
import { segmentOfFooter } from '../storage/inspect-footer.ts'
import { batchOfFrame } from '../storage/inspect-frames.ts'
import { type InspectedSegment, inspectSegments } from '../storage/inspect-segments.ts'
import { logControlPartition } from '../storage/log.ts'
import { LogControl } from '../storage/log-control.ts'
import type { Segment } from '../storage/segment.ts'
import type { SlotHeader } from '../storage/slot.ts'
import { addDirectoryOptions, chosenDirectory, type DirectoryFlags, inspectPlatform } from './log-directory.ts'
import { DumpLines, type DumpSelection } from './log-dump-lines.ts'
import { PartitionNames } from './log-partitions.ts'
import { wholeNumber } from './option-values.ts'
import { type Output, withOutput } from './output.ts'

interface DumpFlags extends DirectoryFlags {
  readonly slot?: number
  readonly partition?: number
  readonly topic?: string
  readonly index?: number
  readonly from?: number
  readonly to?: number
  readonly records?: boolean
  readonly footers?: boolean
  readonly json?: boolean
}

/** What must be known of a log before any part of it can be dumped. */
interface KnownLog {
  readonly inspected: InspectedDirectory
  readonly names: PartitionNames
  readonly control: LogControl
}

/** Reads the topics' and the log's own records, so that a topic can be found by its name, and cold segments at all. */
const learn = async (inspected: InspectedDirectory): Promise<KnownLog> => {
  const names = new PartitionNames()
  const control = new LogControl(1)
  const { topics } = internalPartitions
  for await (const found of inspectSegments(inspectPlatform, inspected)) {
    const stored = storedIndex(found)
    if (stored !== undefined && ![topics, logControlPartition].some(id => stored.newestSpan(id) !== undefined)) continue
    for await (const step of found.walk.steps()) {
      if (step.kind !== 'group' && step.kind !== 'stray') continue
      for (const frame of step.frames) {
        if (frame.partition === topics) names.learn(topics, batchOfFrame(frame))
        if (frame.partition === logControlPartition) control.applyBatch(batchOfFrame(frame))
      }
    }
  }
  // slots that a running gateway took meanwhile are not listed
  const slots = await inspectSlots(inspectPlatform.files, inspected.directory, inspected.meta)
  const now = { ...inspected, slots }
  for await (const cold of inspectColdSegments(inspectPlatform, now, control.cold)) {
    if (cold.segment !== undefined && cold.segment.newestSpan(topics) === undefined) continue
    for await (const step of cold.steps()) {
      if (step.kind === 'frame' && step.frame.partition === topics) names.learn(topics, batchOfFrame(step.frame))
    }
  }
  return { inspected: now, names, control }
}

/** What the footer says that the segment holds, where it can be believed. */
const storedIndex = ({ slot, header, file, footer, lastGroup }: InspectedSegment): Segment | undefined =>
  footer.trailer?.lastGroup === lastGroup ? segmentOfFooter(slot.number, file, header, footer) : undefined

/** Whether the segment may hold offsets that are wanted: an index can say no. */
const mayHold = (stored: Segment | undefined, { partition, from, to }: DumpSelection): boolean => {
  if (partition === undefined || stored === undefined) return true
  for (const span of stored.allSpans()) {
    if (span.partition === partition && span.endOffset > from && span.firstOffset <= to) return true
  }
  return false
}

const partitionOfTopic = (names: PartitionNames, { topic, index = 0 }: DumpFlags): number | undefined => {
  if (topic === undefined) return undefined
  const partition = names.find(topic, index)
  if (partition !== undefined) return partition
  const count = names.count(topic)
  const hint = count === 0 ? 'dump without --topic names all partitions' : `it has partitions 0 to ${count - 1}`
  throw new StartError(64, `there is no partition ${index} of topic ${JSON.stringify(topic)} in this log; ${hint}`)
}

const dump = async ({ inspected, names, control }: KnownLog, flags: DumpFlags, output: Output): Promise<void> => {
  const selection: DumpSelection = {
    partition: flags.partition ?? partitionOfTopic(names, flags),
    from: flags.from ?? 0,
    to: flags.to ?? Number.MAX_SAFE_INTEGER,
    records: flags.records === true,
  }
  const lines = new DumpLines(output, names, selection, flags.json === true)
  const isWanted = (slot: number): boolean => flags.slot === undefined || flags.slot === slot
  /** Under a running gateway a slot that is given to another segment looks damaged. */
  const isGone = async (slot: number, header: SlotHeader): Promise<boolean> => {
    if (await holdsSegment(inspectPlatform.files, inspected.directory, slot, header)) return false
    await lines.freed(slot)
    return true
  }
  for await (const found of inspectSegments(inspectPlatform, inspected)) {
    const { slot, header, footer, walk } = found
    output.progress(() => `reading slot ${slot.number}`)
    const stored = storedIndex(found)
    if (!isWanted(slot.number) || !mayHold(stored, selection)) continue
    lines.enter(slot.number, header)
    for await (const step of walk.steps()) {
      if (step.kind === 'damage' && (await isGone(slot.number, header))) break
      await lines.step(slot.number, step)
    }
    if (flags.footers) await lines.footer(slot.number, footer, stored)
  }
  for await (const { slot, header, footer, segment, steps } of inspectColdSegments(
    inspectPlatform,
    inspected,
    control.cold,
  )) {
    if (!isWanted(slot.number) || !mayHold(segment, selection)) continue
    lines.enter(slot.number, header)
    for await (const step of steps()) {
      if (step.kind === 'damage' && (await isGone(slot.number, header))) break
      await lines.coldStep(slot.number, step)
    }
    if (flags.footers) await lines.footer(slot.number, footer, segment)
  }
}

const offset = wholeNumber(0, Number.MAX_SAFE_INTEGER)

/** `brooklet log dump`: groups, batches and records as they stand in the log. */
export const dumpCommand = (): Command =>
  addDirectoryOptions(
    new Command('dump').description(
      'print groups, batches and records of a data directory, those of cold segments last',
    ),
  )
    .option('--slot <n>', 'only the segment in this slot, as log inspect and log verify number them', offset)
    .option('--partition <id>', 'only this partition, by its id in the log', offset)
    .option('--topic <name>', 'only this topic, with --index')
    .option('--index <n>', 'partition of the topic (default: 0)', offset)
    .option('--from <offset>', 'only from this offset on', offset)
    .option('--to <offset>', 'only up to this offset', offset)
    .option('--records', 'records too')
    .option('--footers', 'the indexes at the end of sealed segments too')
    .option('--json', 'one JSON object a line')
    .action((named: string | undefined, flags: DumpFlags) =>
      withOutput(async output => {
        const isOfPartition = flags.partition !== undefined || flags.topic !== undefined
        if ((flags.from !== undefined || flags.to !== undefined) && !isOfPartition) {
          throw new StartError(64, '--from and --to are offsets of one partition: name it with --partition or --topic')
        }
        const directory = await chosenDirectory(named, flags)
        await dump(await learn(await inspectDirectory(inspectPlatform.files, directory)), flags, output)
      }),
    )

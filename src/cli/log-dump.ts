import { Command, InvalidArgumentError } from 'commander'
import { StartError } from '../core/errors.ts'
import { internalPartitions } from '../state/internal-partitions.ts'
import { frameBatchBytes, frameHeaderBytes, frameLogAge } from '../storage/frame.ts'
import { type GroupHeader, groupFlags } from '../storage/group.ts'
import { damageCauses } from '../storage/inspect-damage.ts'
import { type InspectedDirectory, inspectDirectory } from '../storage/inspect-directory.ts'
import { segmentOfFooter } from '../storage/inspect-footer.ts'
import type { WalkedFrame } from '../storage/inspect-frames.ts'
import { type InspectedSegment, inspectSegments } from '../storage/inspect-segments.ts'
import type { WalkStep } from '../storage/inspect-walk.ts'
import { codecName } from '../wire/kafka/compression/codecs.ts'
import {
  codecOf,
  isControl,
  isTransactional,
  leaderEpochOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
} from '../wire/kafka/record-batch.ts'
import { decompressRecords } from '../wire/kafka/records.ts'
import { plain } from './decode-value.ts'
import { addDirectoryOptions, chosenDirectory, type DirectoryFlags, inspectPlatform } from './log-directory.ts'
import { PartitionNames } from './log-partitions.ts'
import { isoTime, shownRecord } from './log-records.ts'
import { type Output, withOutput } from './output.ts'

interface DumpFlags extends DirectoryFlags {
  readonly partition?: number
  readonly topic?: string
  readonly index?: number
  readonly from?: number
  readonly records?: boolean
  readonly json?: boolean
}

/** What one batch may decompress to. */
const maxRecordBytes = 256 * 1024 * 1024

const wholeNumber = (text: string): number => {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('a whole number is expected.')
  return value
}

const batchOf = ({ bytes, at }: WalkedFrame): Buffer =>
  bytes.subarray(at + frameHeaderBytes, at + frameHeaderBytes + frameBatchBytes(bytes, at))

/** Reads the topics' records alone, so that a topic can be found by its name. */
const readNames = async (inspected: InspectedDirectory): Promise<PartitionNames> => {
  const names = new PartitionNames()
  const topics = internalPartitions.topics
  for await (const found of inspectSegments(inspectPlatform, inspected)) {
    if (!mayHold(found, topics, 0)) continue
    for await (const step of found.walk.steps()) {
      if (step.kind !== 'group' && step.kind !== 'stray') continue
      for (const frame of step.frames) if (frame.partition === topics) names.learn(topics, batchOf(frame))
    }
  }
  return names
}

/** Whether the segment may hold offsets of the partition from `from` on: an intact footer can say no. */
const mayHold = (
  { slot, header, file, footer, lastGroup }: InspectedSegment,
  partition: number,
  from: number,
): boolean => {
  if (footer.trailer === undefined || footer.trailer.lastGroup !== lastGroup) return true
  const segment = segmentOfFooter(slot.number, file, header, footer)
  if (segment === undefined) return true
  const span = segment.newestSpan(partition)
  return span !== undefined && span.endOffset > from
}

const partitionOfTopic = (names: PartitionNames, { topic, index = 0 }: DumpFlags): number | undefined => {
  if (topic === undefined) return undefined
  const partition = names.find(topic, index)
  if (partition !== undefined) return partition
  const count = names.count(topic)
  const hint = count === 0 ? 'dump without --topic names all partitions' : `it has partitions 0 to ${count - 1}`
  throw new StartError(64, `there is no partition ${index} of topic ${JSON.stringify(topic)} in this log; ${hint}`)
}

/** Prints steps of a walk, those of one partition or all. */
class Dump {
  readonly #output: Output
  readonly #names: PartitionNames
  readonly #flags: DumpFlags
  readonly #partition: number | undefined

  constructor(output: Output, names: PartitionNames, flags: DumpFlags, partition: number | undefined) {
    this.#output = output
    this.#names = names
    this.#flags = flags
    this.#partition = partition
  }

  async step(slot: number, step: WalkStep): Promise<void> {
    if (step.kind === 'damage') {
      const { cause, position, bytes } = step.damage
      const text = `damage at ${slot}:${position}, ${bytes} bytes: ${damageCauses[cause]}`
      return this.#print({ kind: 'damage', ...step.damage }, text)
    }
    if (step.kind === 'copy') {
      const { position, bytes } = step
      return this.#print({ kind: 'copy', slot, position, bytes }, `copy of the group before at ${slot}:${position}`)
    }
    const frames = step.frames.filter(frame => this.#isWanted(frame))
    if (frames.length === 0 && this.#partition !== undefined) return
    if (step.kind === 'group') await this.#group(slot, step.position, step.header)
    for (const frame of frames) await this.#frame(slot, frame)
  }

  #isWanted({ partition, lastOffset }: WalkedFrame): boolean {
    if (this.#partition === undefined) return true
    return partition === this.#partition && lastOffset >= (this.#flags.from ?? 0)
  }

  #group(slot: number, position: number, header: GroupHeader): Promise<void> {
    const { number, length, frameCount, logEpoch, logAge, durableThrough, flags } = header
    const marks = [
      ...((flags & groupFlags.start) === 0 ? [] : ['start']),
      ...((flags & groupFlags.witness) === 0 ? [] : ['clean stop']),
    ]
    const shown = { number, slot, position, bytes: length, frames: frameCount, logEpoch, logAge, durableThrough, marks }
    const mark = marks.length === 0 ? '' : `, ${marks.join(', ')}`
    const text = `group ${number} at ${slot}:${position}, ${length} bytes, log epoch ${logEpoch}, log age ${logAge} s${mark}`
    return this.#print({ kind: 'group', ...shown }, text)
  }

  async #frame(slot: number, frame: WalkedFrame): Promise<void> {
    const { position, partition, firstOffset, lastOffset, bytes, at } = frame
    const batch = batchOf(frame)
    const name = this.#names.nameOf(partition)
    const shown = {
      slot,
      position,
      partition,
      name,
      firstOffset,
      lastOffset,
      bytes: batch.length,
      records: recordCountOf(batch),
      compression: codecName(codecOf(batch)) ?? `codec ${codecOf(batch)}`,
      leaderEpoch: leaderEpochOf(batch),
      logAge: frameLogAge(bytes, at),
      maxTimestamp: isoTime(maxTimestampOf(batch)),
      producerId: producerIdOf(batch),
      producerEpoch: producerEpochOf(batch),
      transactional: isTransactional(batch),
      control: isControl(batch),
    }
    const extra = [
      ...(shown.compression === 'none' ? [] : [shown.compression]),
      ...(shown.producerId < 0 ? [] : [`producer ${shown.producerId} epoch ${shown.producerEpoch}`]),
      ...(shown.transactional ? ['transactional'] : []),
      ...(shown.control ? ['control'] : []),
    ].map(text => `, ${text}`)
    const offsets = firstOffset === lastOffset ? `${firstOffset}` : `${firstOffset} to ${lastOffset}`
    await this.#print({ kind: 'batch', ...shown }, `  ${name} ${offsets}, ${batch.length} bytes${extra.join('')}`)
    if (this.#flags.records && !shown.control) await this.#records(frame, batch, name)
  }

  async #records({ partition }: WalkedFrame, batch: Buffer, name: string): Promise<void> {
    const cursor = await decompressRecords(batch, maxRecordBytes)
    while (cursor.next()) {
      if (this.#partition !== undefined && cursor.offset < (this.#flags.from ?? 0)) continue
      const shown = shownRecord(partition, cursor.record())
      const { offset, time, key, value, headers } = shown
      const more = Object.keys(headers).length === 0 ? '' : ` ${textOf(headers)}`
      const text = `    ${offset} ${time} ${textOf(key)} ${textOf(value)}${more}`
      await this.#print({ kind: 'record', partition, name, ...shown }, text)
    }
  }

  #print(shown: object, text: string): Promise<void> {
    return this.#output.line(this.#flags.json ? JSON.stringify(shown, plain) : text)
  }
}

// what a device sent must not command the terminal
const controlCharacters = /\p{Cc}/gu
const escaped = (text: string): string =>
  text.replace(controlCharacters, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

const textOf = (value: unknown): string =>
  value === null ? '-' : escaped(typeof value === 'string' ? value : JSON.stringify(value, plain))

/** `brooklet log dump`: groups, batches and records as they stand in the log. */
export const dumpCommand = (): Command =>
  addDirectoryOptions(new Command('dump').description('print groups, batches and records of a data directory'))
    .option('--partition <id>', 'only this partition, by its id in the log', wholeNumber)
    .option('--topic <name>', 'only this topic, with --index')
    .option('--index <n>', 'partition of the topic (default: 0)', wholeNumber)
    .option('--from <offset>', 'only from this offset on', wholeNumber)
    .option('--records', 'records too')
    .option('--json', 'one JSON object a line')
    .action((named: string | undefined, flags: DumpFlags) =>
      withOutput(async output => {
        if (flags.from !== undefined && flags.partition === undefined && flags.topic === undefined) {
          throw new StartError(64, '--from is an offset of one partition: name it with --partition or --topic')
        }
        const inspected = await inspectDirectory(inspectPlatform.files, await chosenDirectory(named, flags))
        const names = await readNames(inspected)
        const partition = flags.partition ?? partitionOfTopic(names, flags)
        const dump = new Dump(output, names, flags, partition)
        for await (const found of inspectSegments(inspectPlatform, inspected)) {
          output.progress(() => `reading slot ${found.slot.number}`)
          if (partition !== undefined && !mayHold(found, partition, flags.from ?? 0)) continue
          for await (const step of found.walk.steps()) await dump.step(found.slot.number, step)
        }
      }),
    )

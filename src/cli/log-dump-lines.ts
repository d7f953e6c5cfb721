import { frameLogAge } from '../storage/frame.ts'
import { type GroupHeader, groupFlags } from '../storage/group.ts'
import type { ColdStep } from '../storage/inspect-cold.ts'
import { type Damage, damageCauses } from '../storage/inspect-damage.ts'
import type { InspectedFooter } from '../storage/inspect-footer.ts'
import { batchOfFrame, type WalkedFrame } from '../storage/inspect-frames.ts'
import type { WalkStep } from '../storage/inspect-walk.ts'
import type { Segment } from '../storage/segment.ts'
import type { SlotHeader } from '../storage/slot.ts'
import { codecName } from '../wire/kafka/compression/codecs.ts'
import {
  baseSequenceOf,
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
import type { PartitionNames } from './log-partitions.ts'
import { isoTime, shownRecord } from './log-records.ts'
import type { Output } from './output.ts'

/** What of the log is printed. */
export interface DumpSelection {
  /** All when undefined. */
  readonly partition: number | undefined
  /** First and last offset of the partition. */
  readonly from: number
  readonly to: number
  /** Records too, not only their batches. */
  readonly records: boolean
}

/** What one batch may decompress to. */
const maxRecordBytes = 256 * 1024 * 1024

/** Prints what a walk over segments meets: lines for people, or a JSON object each. */
export class DumpLines {
  readonly #output: Output
  readonly #names: PartitionNames
  readonly #selection: DumpSelection
  readonly #isJson: boolean
  /** The segment whose line waits for something of it to be printed. */
  #segment: { readonly slot: number; readonly header: SlotHeader } | undefined

  constructor(output: Output, names: PartitionNames, selection: DumpSelection, isJson: boolean) {
    this.#output = output
    this.#names = names
    this.#selection = selection
    this.#isJson = isJson
  }

  /** What follows is of this segment. */
  enter(slot: number, header: SlotHeader): void {
    this.#segment = { slot, header }
  }

  async step(slot: number, step: WalkStep): Promise<void> {
    if (step.kind === 'damage') return this.#damage(step.damage)
    if (step.kind === 'copy') {
      const { position, bytes } = step
      return this.#print({ kind: 'copy', slot, position, bytes }, `copy of the group before at ${slot}:${position}`)
    }
    const frames = step.frames.filter(frame => this.#isWanted(frame))
    if (frames.length === 0 && this.#selection.partition !== undefined) return
    if (step.kind === 'group') await this.#group(slot, step.position, step.header)
    for (const frame of frames) await this.#frame(slot, frame)
  }

  async coldStep(slot: number, step: ColdStep): Promise<void> {
    if (step.kind === 'damage') return this.#damage(step.damage)
    if (this.#isWanted(step.frame)) await this.#frame(slot, step.frame)
  }

  /** The slot was given to another segment while it was read. */
  freed(slot: number): Promise<void> {
    return this.#print(
      { kind: 'freed', slot },
      `slot ${slot} was freed while it was read; what follows in it is not shown`,
    )
  }

  /** The index at the end of a sealed segment. */
  async footer(slot: number, { state, trailer }: InspectedFooter, index: Segment | undefined): Promise<void> {
    if (state === 'none' || state === 'stale') return
    const through =
      trailer === undefined ? {} : { lastGroup: trailer.lastGroup, end: trailer.end, logAge: trailer.logAge }
    const about = trailer === undefined ? '' : `, groups through ${trailer.lastGroup}, ends at ${trailer.end}`
    await this.#print({ kind: 'footer', slot, state, ...through }, `footer of slot ${slot}: ${state}${about}`)
    for (const span of index?.allSpans() ?? []) {
      const { partition, firstOffset, endOffset, bytes, maxTimestamp, firstLogAge, lastLogAge } = span
      if (this.#selection.partition !== undefined && partition !== this.#selection.partition) continue
      const name = this.#names.nameOf(partition)
      const blocks = span.blocks?.count ?? 0
      const range = { firstOffset, lastOffset: endOffset - 1 }
      const shown = { slot, partition, name, ...range, bytes, blocks, firstLogAge, lastLogAge }
      const text = `  ${name} ${rangeText(firstOffset, endOffset - 1)}, ${bytes} bytes in ${blocks} blocks`
      await this.#print({ kind: 'span', ...shown, maxTimestamp: isoTime(maxTimestamp) }, text)
    }
  }

  #damage(damage: Damage): Promise<void> {
    const { cause, position, bytes, slot } = damage
    return this.#print(
      { kind: 'damage', ...damage },
      `damage at ${slot}:${position}, ${bytes} bytes: ${damageCauses[cause]}`,
    )
  }

  #isWanted({ partition, firstOffset, lastOffset }: WalkedFrame): boolean {
    const { partition: wanted, from, to } = this.#selection
    if (wanted === undefined) return true
    return partition === wanted && lastOffset >= from && firstOffset <= to
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
    const batch = batchOfFrame(frame)
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
      baseSequence: baseSequenceOf(batch),
      transactional: isTransactional(batch),
      control: isControl(batch),
    }
    const extra = [
      ...(shown.compression === 'none' ? [] : [shown.compression]),
      ...(shown.producerId < 0
        ? []
        : [`producer ${shown.producerId} epoch ${shown.producerEpoch} from sequence ${shown.baseSequence}`]),
      ...(shown.transactional ? ['transactional'] : []),
      ...(shown.control ? ['control'] : []),
    ].map(text => `, ${text}`)
    const text = `  ${name} ${rangeText(firstOffset, lastOffset)}, ${batch.length} bytes${extra.join('')}`
    await this.#print({ kind: 'batch', ...shown }, text)
    if (this.#selection.records && !shown.control) await this.#records(frame, batch, name)
  }

  async #records({ partition }: WalkedFrame, batch: Buffer, name: string): Promise<void> {
    const { partition: wanted, from, to } = this.#selection
    const cursor = await decompressRecords(batch, maxRecordBytes)
    while (cursor.next()) {
      if (wanted !== undefined && (cursor.offset < from || cursor.offset > to)) continue
      const shown = shownRecord(partition, cursor.record())
      const { offset, time, key, value, headers } = shown
      const more = Object.keys(headers).length === 0 ? '' : ` ${textOf(headers)}`
      const text = `    ${offset} ${time} ${textOf(key)} ${textOf(value)}${more}`
      await this.#print({ kind: 'record', partition, name, ...shown }, text)
    }
  }

  async #print(shown: object, text: string): Promise<void> {
    const entered = this.#segment
    this.#segment = undefined
    if (entered !== undefined) await this.#segmentLine(entered.slot, entered.header)
    await this.#output.line(this.#isJson ? JSON.stringify(shown, plain) : text)
  }

  #segmentLine(slot: number, { kind, sequence, firstGroup, logEpoch }: SlotHeader): Promise<void> {
    const shown =
      kind === 'hot' ? { slot, segment: kind, sequence, firstGroup, logEpoch } : { slot, segment: kind, sequence }
    const text = `${kind} segment ${sequence} in slot ${slot}${kind === 'hot' ? `, from group ${firstGroup}` : ''}`
    return this.#output.line(this.#isJson ? JSON.stringify({ kind: 'segment', ...shown }) : text)
  }
}

const rangeText = (first: number, last: number): string => (first === last ? `${first}` : `${first} to ${last}`)

// what a device sent must not command the terminal
const controlCharacters = /\p{Cc}/gu
const escaped = (text: string): string =>
  text.replace(controlCharacters, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)

const textOf = (value: unknown): string =>
  value === null ? '-' : escaped(typeof value === 'string' ? value : JSON.stringify(value, plain))

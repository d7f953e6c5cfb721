import { assert } from '../core/assert.ts'
import { partitionId } from '../core/brand.ts'
import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import { baseOffsetOf } from '../wire/kafka/record-batch.ts'
import { type Checkpoint, readActiveIndex, readSegmentSummary } from './checkpoint.ts'
import { DamageSurvey } from './damage-survey.ts'
import { type IndexedOffsets, readFooter, readIndexBytes, takeSegmentIndex, verifiedTrailer } from './footer.ts'
import { frameBatchBytes, frameGroupLow, frameHeaderBytes, frameLastOffsetDelta, framePartition } from './frame.ts'
import { describeFrame, indexFrame } from './frame-indexer.ts'
import { groupFlags, groupHeaderBytes } from './group.ts'
import {
  batchIsIntact,
  type ChainLink,
  continues,
  copyOfNewest,
  findWitness,
  nextInChain,
  type ScannedGroup,
  salvageFrames,
} from './group-scan.ts'
import { firstGroupPosition, saltSeed } from './layout.ts'
import type { LogAgeMark } from './log-age.ts'
import { footerEndsWith, offsetsOf, witnessedOffsets } from './log-end-witness.ts'
import { PartitionLog } from './partition-log.ts'
import type { NewestGroup } from './rewrite-newest.ts'
import type { Segment } from './segment.ts'
import { SlotReader } from './slot-reader.ts'

/** Offsets that recovery found to be damaged. */
export interface LostOffsets {
  readonly partition: number
  readonly first: number
  readonly last: number
}

/** Called with every verified frame of a scanned group, in log order. */
export type FrameVisitor = (group: number, bytes: Buffer, at: number) => void

/**
 * Rebuilds the state of the log from its segments and believes checksums only. It follows the chain; where that breaks, a later whole
 * group tells damage (which is passed over, and whose offsets are reported) from a torn tail (which is cut).
 */
export class Recovery {
  readonly logs = new Map<number, PartitionLog>()
  readonly lost: LostOffsets[] = []
  /** Newest group that is part of the log. */
  chain: ChainLink = { group: 0, crc: 0, salt: 0n }
  /** Groups that no later one says to be on the device, oldest first; all in one segment. */
  readonly newest: NewestGroup[] = []
  logAgeMark: LogAgeMark | undefined
  logEpoch = 0
  tornTail = false
  damagedRanges = 0
  /** The last group was written by a clean stop. */
  cleanStop = false
  #checkpoint: Checkpoint | undefined
  #hasActiveIndex = false
  /**
   * By partition, bytes that were lost before anything told whose they were: a bound of the offsets that it may have lost. What comes later
   * of the partition shows the truth.
   */
  readonly #doubts = new Map<number, number>()
  readonly #newestLost = new Map<number, { last: number }>()
  readonly #salts: ReadonlySet<bigint>
  readonly #visit: FrameVisitor

  /** `salts` are those of all starts that are known. */
  constructor(salts: ReadonlySet<bigint>, visit: FrameVisitor) {
    this.#salts = salts
    this.#visit = visit
  }

  /**
   * Takes hot segments in, oldest first: sealed ones by summary or footer, the others by a scan. Returns those that hold something; a last one
   * in which no group verifies was never part of the log. Cold segments are copies: of them only the ends of partitions count here. What they
   * hold is taken as lost at first: see `takeColdSegments`.
   */
  async run(
    segments: readonly Segment[],
    store: CheckpointStore,
    checkpoint: Checkpoint | undefined,
    cold: readonly Segment[],
  ): Promise<Segment[]> {
    const kept: Segment[] = []
    const adopted = new Set<string>()
    this.#checkpoint = checkpoint
    this.#hasActiveIndex = checkpoint !== undefined && readActiveIndex(store) !== undefined
    // without a checkpoint the newest sealed segment is scanned too: headers of its batches may be needed
    const scanFrom = checkpoint?.activeSequence ?? segments.at(-2)?.sequence ?? 0
    if (checkpoint !== undefined) this.logAgeMark = checkpoint.logAge
    for (let index = 0; index < segments.length; index++) {
      const segment = segments[index]!
      const next = segments[index + 1]
      if (segment.sequence < scanFrom && next !== undefined && (await this.#adopt(segment, next, store))) {
        kept.push(segment)
        adopted.add(segment.name)
        continue
      }
      if (checkpoint === undefined || !this.#resume(segment, checkpoint, store)) this.#enter(segment)
      const goesOn = await this.#scanSegment(segment, segments.slice(index + 1))
      // a first group that also begins the next segment was written again there: nothing is left here
      const superseded = !segment.isKnown && next !== undefined && next.header.firstGroup === segment.header.firstGroup
      if (segment.isKnown || (goesOn && !superseded)) kept.push(segment)
      if (!goesOn) break
      assert(next !== undefined, 'the log goes on in a later segment')
      segment.sealed = true
    }
    const last = kept.at(-1)
    // written again, it might come to stand where that footer does not have it
    if (last !== undefined && (await footerEndsWith(last, this.chain))) this.newest.length = 0
    const scanned = kept.filter(({ name }) => !adopted.has(name))
    const witnessed = await witnessedOffsets(checkpoint === undefined ? undefined : store, scanned, adopted)
    for (const segment of cold) witnessed.push(...offsetsOf(segment))
    this.#raiseLogEnds(witnessed)
    return kept
  }

  /** Takes a sealed segment from its summary in the checkpoint or from its footer; false when neither can be believed. */
  async #adopt(segment: Segment, next: Segment, store: CheckpointStore): Promise<boolean> {
    const summary = readSegmentSummary(store, segment)
    if (summary === undefined || !takeSegmentIndex(segment, summary) || !this.#endsBefore(segment, next)) {
      segment.reset()
      if (!(await readFooter(segment)) || !this.#endsBefore(segment, next)) {
        segment.reset()
        return false
      }
    }
    segment.sealed = true
    segment.hasFooter = true
    this.#takeSpans(segment)
    return true
  }

  /** Goes on where the checkpoint was written; false when this is not its segment or its index does not fit. */
  #resume(segment: Segment, checkpoint: Checkpoint, store: CheckpointStore): boolean {
    if (segment.sequence !== checkpoint.activeSequence) return false
    const index = readActiveIndex(store)
    const { chain } = checkpoint
    const believed =
      index !== undefined &&
      takeSegmentIndex(segment, index) &&
      segment.lastGroup === chain.group &&
      segment.lastCrc === chain.crc
    if (!believed) {
      segment.reset()
      return false
    }
    this.#takeSpans(segment)
    this.chain = chain
    return true
  }

  /** An index that was made before the segment took its last groups does not lead to the next segment. */
  #endsBefore(segment: Segment, next: Segment): boolean {
    if (next.sequence !== segment.sequence + 1) return true
    return next.header.firstGroup === segment.lastGroup + 1 && next.header.previousCrc === segment.lastCrc
  }

  #takeSpans(segment: Segment): void {
    for (const span of segment.allSpans()) {
      const log = this.#logOf(span.partition, span.firstOffset)
      if (span.firstOffset > log.logEnd) this.#lose(log, log.logEnd, span.firstOffset - 1)
      if (span.endOffset > log.logEnd) this.#doubts.delete(log.id)
      log.logEnd = Math.max(log.logEnd, span.endOffset)
      log.advanceHighWatermark(log.logEnd)
      log.addSpan(span)
    }
    this.chain = { group: segment.lastGroup, crc: segment.lastCrc, salt: segment.salts.at(-1) ?? segment.header.salt }
  }

  /** The chain comes into this segment; where an earlier segment is missing it begins anew from the header. */
  #enter(segment: Segment): void {
    const { firstGroup, previousCrc, salt } = segment.header
    if (
      firstGroup !== this.chain.group + 1 ||
      previousCrc !== this.chain.crc ||
      segment.header.salt !== this.chain.salt
    ) {
      this.chain = { group: firstGroup - 1, crc: previousCrc, salt }
    }
  }

  /** True when the log goes on in the next segment, false when it ends here. */
  async #scanSegment(segment: Segment, later: readonly Segment[]): Promise<boolean> {
    const reader = new SlotReader(segment.slot.file, segment.slot.preparedBytes)
    for (;;) {
      const [next] = later
      // before the group that may stand here: it is the one that a recovery could not write again in this slot
      if (next !== undefined && this.#leadsTo(next) && (await this.#beginsWhole(next))) {
        await this.#passCopies(segment, reader)
        return true
      }
      const group = await nextInChain(reader, segment.end, this.chain)
      if (typeof group !== 'string') {
        this.#take(segment, group)
        continue
      }
      const copyEnd = await copyOfNewest(reader, segment.end, this.chain)
      if (copyEnd !== undefined) {
        segment.end = copyEnd
        continue
      }
      if (next !== undefined && this.#leadsTo(next)) return true
      const witness = await findWitness(reader, segment.end, this.chain, this.#salts)
      if (witness !== undefined && continues(witness.header, this.chain)) {
        this.#take(segment, witness, segment.end)
        continue
      }
      if (witness !== undefined) {
        this.#damageIn(segment)
        await this.#passDamage(segment, reader, witness.position, witness.header.number)
        this.chain = { group: witness.header.number - 1, crc: witness.header.previousCrc, salt: witness.header.salt }
        this.#take(segment, witness)
        continue
      }
      if (next !== undefined && (await this.#goesOnIn(later))) {
        // a segment between them may have been freed: then nothing needs to be missing here
        const adjacent = next.sequence === segment.sequence + 1
        const saved = await this.#passDamage(segment, reader, reader.length, next.header.firstGroup, adjacent)
        if (adjacent || saved) this.#damageIn(segment)
        return true
      }
      const durable = this.#checkpoint?.chain
      if (durable !== undefined && durable.group > this.chain.group) {
        await this.#passLostEnd(segment, reader, durable)
      } else if (group === 'torn') this.tornTail = true
      return false
    }
  }

  /** Copies of the newest group are part of the segment: the original may be in the page cache alone. */
  async #passCopies(segment: Segment, reader: SlotReader): Promise<void> {
    for (;;) {
      const copyEnd = await copyOfNewest(reader, segment.end, this.chain)
      if (copyEnd === undefined) return
      segment.end = copyEnd
    }
  }

  #damageIn({ slot }: Segment): void {
    slot.damaged = true
    this.damagedRanges++
  }

  /** The chain stands where the next segment begins. */
  #leadsTo(next: Segment): boolean {
    return next.header.firstGroup === this.chain.group + 1 && next.header.previousCrc === this.chain.crc
  }

  async #beginsWhole(next: Segment): Promise<boolean> {
    const reader = new SlotReader(next.slot.file, next.slot.preparedBytes)
    const link = { group: next.header.firstGroup - 1, crc: next.header.previousCrc, salt: next.header.salt }
    return typeof (await nextInChain(reader, firstGroupPosition, link)) !== 'string'
  }

  /** A later segment holds a group of this log: what is missing before it was durable. */
  async #goesOnIn(later: readonly Segment[]): Promise<boolean> {
    for (const segment of later) {
      if (await this.#beginsWhole(segment)) return true
      const reader = new SlotReader(segment.slot.file, segment.slot.preparedBytes)
      if ((await findWitness(reader, firstGroupPosition, this.chain, this.#salts)) !== undefined) return true
    }
    return false
  }

  /** The log ends before a group that the checkpoint saw on the device: damage, and no torn tail. */
  async #passLostEnd(segment: Segment, reader: SlotReader, end: ChainLink): Promise<void> {
    this.#damageIn(segment)
    await this.#passDamage(segment, reader, reader.length, end.group + 1)
    // numbers go on behind those that were given; nothing here is to be written again
    this.chain = end
    this.newest.length = 0
    segment.lastGroup = end.group
    segment.lastCrc = end.crc
  }

  /** Offsets that an index names, and no batch that was found, were lost at the end of their partition: they are not given again. */
  #raiseLogEnds(witnessed: readonly IndexedOffsets[]): void {
    const ends = new Map<number, number>()
    for (const { partition, first, end } of witnessed) {
      this.#logOf(partition, first)
      ends.set(partition, Math.max(end, ends.get(partition) ?? 0))
    }
    for (const [partition, end] of ends) {
      const log = this.#logOf(partition, end)
      if (end > log.logEnd) this.#lose(log, log.logEnd, end - 1)
    }
    for (const [partition, bytes] of this.#doubts) {
      const log = this.logs.get(partition)
      if (log !== undefined) this.#lose(log, log.logEnd, log.logEnd + bytes - 1)
    }
  }

  /** `tornFrom`: from here up to the group stand remains of it, or of what was being written. */
  #take(segment: Segment, { header, position, bytes }: ScannedGroup, tornFrom = position): void {
    if (header.salt !== segment.header.salt && header.salt !== segment.salts.at(-1))
      segment.addSalt(position, header.salt)
    let at = groupHeaderBytes
    for (let index = 0; index < header.frameCount; index++) {
      this.#takeFrame(segment, header.number, bytes, at, position + at)
      at += frameHeaderBytes + frameBatchBytes(bytes, at)
    }
    segment.end = position + header.length
    segment.lastGroup = header.number
    segment.lastCrc = header.crc
    this.chain = { group: header.number, crc: header.crc, salt: header.salt }
    while (this.newest[0] !== undefined && this.newest[0].number <= header.durableThrough) this.newest.shift()
    this.newest.push({ segment, tornFrom, position, number: header.number, length: header.length })
    this.logAgeMark = header
    this.logEpoch = Math.max(this.logEpoch, header.logEpoch)
    this.cleanStop = (header.flags & groupFlags.witness) !== 0
  }

  #takeFrame(segment: Segment, group: number, bytes: Buffer, at: number, position: number): void {
    const baseOffset = baseOffsetOf(bytes, at + frameHeaderBytes)
    const log = this.#logOf(framePartition(bytes, at), baseOffset)
    // the copy of a group that was met before
    if (baseOffset < log.logEnd) return
    if (baseOffset > log.logEnd) this.#lose(log, log.logEnd, baseOffset - 1)
    this.#doubts.delete(log.id)
    indexFrame(segment, log, describeFrame(bytes, at, position))
    this.#visit(group, bytes, at)
  }

  /** A partition first met here begins with this frame: what came before was deleted. */
  #logOf(partition: number, baseOffset: number): PartitionLog {
    let log = this.logs.get(partition)
    if (log === undefined) {
      log = new PartitionLog(partitionId(partition))
      log.logStart = baseOffset
      log.logEnd = baseOffset
      log.highWatermark = baseOffset
      this.logs.set(partition, log)
    }
    return log
  }

  #lose(log: PartitionLog, first: number, last: number): void {
    const before = this.#newestLost.get(log.id)
    if (before !== undefined && before.last + 1 === first) before.last = last
    else {
      const range = { partition: log.id, first, last }
      this.lost.push(range)
      this.#newestLost.set(log.id, range)
    }
    log.logEnd = Math.max(log.logEnd, last + 1)
    // what recovery finds, damaged or not, was durable
    log.advanceHighWatermark(log.logEnd)
  }

  /**
   * Saves what verifies between the end of the good part and `to`; groups from `before` on are not part of it. True when something was found.
   * `isCertain` false: it may be that nothing is missing.
   */
  async #passDamage(
    segment: Segment,
    reader: SlotReader,
    to: number,
    before: number,
    isCertain = true,
  ): Promise<boolean> {
    const seed = saltSeed(this.chain.salt)
    const from = segment.end
    const first = this.chain.group + 1
    const survey = new DamageSurvey()
    let found = false
    await salvageFrames(reader, from, to, seed, (bytes, at, position) => {
      const group = frameGroupLow(bytes, at)
      if (group < first % 2 ** 32 || group >= before % 2 ** 32) return
      found = true
      survey.found(bytes, at)
      const baseOffset = baseOffsetOf(bytes, at + frameHeaderBytes)
      const log = this.#logOf(framePartition(bytes, at), baseOffset)
      segment.end = Math.max(segment.end, position + frameHeaderBytes + frameBatchBytes(bytes, at))
      if (baseOffset < log.logEnd) return
      if (batchIsIntact(bytes, at)) this.#takeFrame(segment, group, bytes, at, position)
      else this.#lose(log, log.logEnd, baseOffset + frameLastOffsetDelta(bytes, at))
    })
    segment.end = Math.min(Math.max(segment.end, from), to)
    if (isCertain && !(await this.#knowsEnds(segment, before - 1))) {
      const lostBytes = survey.lostBytes(await reader.bytes(from, to - from))
      if (lostBytes > 0) {
        for (const id of this.logs.keys()) this.#doubts.set(id, lostBytes + (this.#doubts.get(id) ?? 0))
      }
    }
    return found
  }

  /** An index will tell which offsets the segment held up to this group. */
  async #knowsEnds(segment: Segment, group: number): Promise<boolean> {
    const isInCheckpoint =
      segment.sequence === this.#checkpoint?.activeSequence && this.#checkpoint.chain.group >= group
    if (isInCheckpoint && this.#hasActiveIndex) return true
    const footer = await readIndexBytes(segment)
    return footer !== undefined && (verifiedTrailer(footer)?.lastGroup ?? 0) >= group
  }
}

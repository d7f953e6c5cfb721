import { assert } from '../core/assert.ts'
import { partitionId } from '../core/brand.ts'
import { baseOffsetOf } from '../wire/kafka/record-batch.ts'
import { frameBatchBytes, frameGroupLow, frameHeaderBytes, frameLastOffsetDelta, framePartition } from './frame.ts'
import { indexFrame } from './frame-indexer.ts'
import { groupFlags, groupHeaderBytes } from './group.ts'
import {
  batchIsIntact,
  type ChainLink,
  findWitness,
  nextInChain,
  type ScannedGroup,
  salvageFrames,
} from './group-scan.ts'
import { alignDown, alignUp, blockBytes, firstGroupPosition, saltSeed } from './layout.ts'
import type { LogAgeMark } from './log-age.ts'
import { PartitionLog } from './partition-log.ts'
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
  /** Newest group that is part of the log, and where it stands. */
  chain: ChainLink = { group: 0, crc: 0, salt: 0n }
  lastGroupAt: { readonly segment: Segment; readonly position: number } | undefined
  logAgeMark: LogAgeMark | undefined
  logEpoch = 0
  tornTail = false
  damagedRanges = 0
  /** The last group was written by a clean stop. */
  cleanStop = false
  readonly #salts: ReadonlySet<bigint>
  readonly #visit: FrameVisitor

  /** `salts` are those of all starts that are known. */
  constructor(salts: ReadonlySet<bigint>, visit: FrameVisitor) {
    this.#salts = salts
    this.#visit = visit
  }

  /**
   * Scans segments, oldest first, from the beginning of the first one. Returns those that hold something: a last one in which no group
   * verifies was never part of the log.
   */
  async scan(segments: readonly Segment[]): Promise<Segment[]> {
    const kept: Segment[] = []
    for (let index = 0; index < segments.length; index++) {
      const segment = segments[index]!
      this.#enter(segment)
      const next = segments[index + 1]
      const goesOn = await this.#scanSegment(segment, segments.slice(index + 1))
      if (segment.lastGroup >= segment.header.firstGroup || goesOn) kept.push(segment)
      if (!goesOn) break
      assert(next !== undefined, 'the log goes on in a later segment')
      segment.sealed = true
    }
    return kept
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
      const group = await nextInChain(reader, segment.end, this.chain)
      if (typeof group !== 'string') {
        this.#take(segment, group)
        continue
      }
      const [next] = later
      if (next !== undefined && this.#isFollowedBy(next)) return true
      const witness = await findWitness(reader, segment.end, this.chain, this.#salts)
      if (witness !== undefined) {
        await this.#passDamage(segment, reader, witness.position, witness.header.number)
        this.chain = { group: witness.header.number - 1, crc: witness.header.previousCrc, salt: witness.header.salt }
        this.#take(segment, witness)
        continue
      }
      if (next !== undefined && (await this.#continuesIn(next))) {
        await this.#passDamage(segment, reader, reader.length, next.header.firstGroup)
        return true
      }
      if (group === 'torn') this.tornTail = true
      return false
    }
  }

  #isFollowedBy(next: Segment): boolean {
    return next.header.firstGroup === this.chain.group + 1 && next.header.previousCrc === this.chain.crc
  }

  /** A later segment holds a group of this log: what is missing before it was durable. */
  async #continuesIn(next: Segment): Promise<boolean> {
    const reader = new SlotReader(next.slot.file, next.slot.preparedBytes)
    const link = { group: next.header.firstGroup - 1, crc: next.header.previousCrc, salt: next.header.salt }
    if (typeof (await nextInChain(reader, firstGroupPosition, link)) !== 'string') return true
    return (await findWitness(reader, firstGroupPosition, this.chain, this.#salts)) !== undefined
  }

  #take(segment: Segment, { header, position, bytes }: ScannedGroup): void {
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
    this.lastGroupAt = { segment, position }
    this.logAgeMark = header
    this.logEpoch = Math.max(this.logEpoch, header.logEpoch)
    this.cleanStop = (header.flags & groupFlags.witness) !== 0
  }

  #takeFrame(segment: Segment, group: number, bytes: Buffer, at: number, position: number): void {
    const log = this.#logOf(framePartition(bytes, at), baseOffsetOf(bytes, at + frameHeaderBytes))
    const baseOffset = baseOffsetOf(bytes, at + frameHeaderBytes)
    if (baseOffset > log.logEnd) this.#lose(log, log.logEnd, baseOffset - 1)
    indexFrame(segment, bytes, at, position, id => (id === log.id ? log : undefined))
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
    this.lost.push({ partition: log.id, first, last })
    log.logEnd = Math.max(log.logEnd, last + 1)
  }

  /** Saves what verifies between the end of the good part and `to`; groups from `before` on are not part of it. */
  async #passDamage(segment: Segment, reader: SlotReader, to: number, before: number): Promise<void> {
    this.damagedRanges++
    const seed = saltSeed(this.chain.salt)
    const from = segment.end
    const first = this.chain.group + 1
    await salvageFrames(reader, from, to, seed, (bytes, at, position) => {
      const group = frameGroupLow(bytes, at)
      if (group < first % 2 ** 32 || group >= before % 2 ** 32) return
      const baseOffset = baseOffsetOf(bytes, at + frameHeaderBytes)
      const log = this.#logOf(framePartition(bytes, at), baseOffset)
      if (baseOffset < log.logEnd) return
      if (batchIsIntact(bytes, at)) this.#takeFrame(segment, group, bytes, at, position)
      else this.#lose(log, log.logEnd, baseOffset + frameLastOffsetDelta(bytes, at))
      segment.end = Math.max(segment.end, position + frameHeaderBytes + frameBatchBytes(bytes, at))
    })
    segment.end = Math.min(Math.max(segment.end, from), to)
  }

  /**
   * Writes the newest group again, its slot header too when it stands right behind it, and zeros up to the end of its last block: after
   * kill -9 or a failed sync these bytes may stand in the page cache alone, and a cut group must not be met again.
   */
  async writeAgain(): Promise<void> {
    if (this.lastGroupAt === undefined) return
    const { segment, position } = this.lastGroupAt
    const from = position === firstGroupPosition ? 0 : alignDown(position, blockBytes)
    const { file } = segment.slot
    const bytes = Buffer.alloc(alignUp(segment.end, blockBytes) - from)
    const count = await file.read(bytes.subarray(0, segment.end - from), from)
    assert(count === segment.end - from, 'the newest group can be read again')
    await file.write(bytes, from)
    await file.sync()
  }
}

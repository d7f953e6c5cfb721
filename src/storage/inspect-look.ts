import { partitionId } from '../core/brand.ts'
import { recordCountOf } from '../wire/kafka/record-batch.ts'
import { trailerBytes } from './footer.ts'
import { frameHeaderBytes } from './frame.ts'
import { type InspectedCold, inspectColdSegments } from './inspect-cold.ts'
import type { Damage } from './inspect-damage.ts'
import {
  holdsSegment,
  type InspectedDirectory,
  type InspectedSlot,
  inspectSlots,
  isSameSegment,
  openSlot,
} from './inspect-directory.ts'
import { RebuiltIndex, segmentOfFooter } from './inspect-footer.ts'
import { batchOfFrame, type WalkedFrame } from './inspect-frames.ts'
import { OffsetTrail } from './inspect-offsets.ts'
import type { VerifiedMissing, VerifyNote, VerifyReport } from './inspect-report.ts'
import { type InspectedSegment, type InspectPlatform, inspectSegments, walkWithoutHeader } from './inspect-segments.ts'
import type { SegmentWalk, WalkStep } from './inspect-walk.ts'
import { blockBytes, firstGroupPosition } from './layout.ts'
import { logControlPartition } from './log.ts'
import { LogControl } from './log-control.ts'
import type { SlotHeader } from './slot.ts'

const maxListed = 10_000
const prepareStepBytes = 1024 * 1024

export interface VerifyObserver {
  /** A batch that verified, in log order. */
  batch?(partition: number, batch: Buffer): void
  /** After each group: slots done of slots, and where in the present slot. */
  progress?(doneSlots: number, slots: number, position: number): void
}

interface FoundSoFar {
  readonly damages: number
  readonly missing: number
  readonly more: number
}

/** One look over all of a log, from its oldest group to its newest, then over the cold segments that these publish. */
export class VerifyLook {
  readonly #platform: InspectPlatform
  readonly #inspected: InspectedDirectory
  readonly #observer: VerifyObserver
  readonly #damages: Damage[] = []
  readonly #notes: VerifyNote[] = []
  readonly #control = new LogControl(maxListed)
  readonly #trail = new OffsetTrail(maxListed)
  readonly #counts = { segments: 0, groups: 0, frames: 0, records: 0, bytes: 0 }
  #moreDamages = 0
  #firstGroup: number | undefined
  #lastGroup: number | undefined
  #doneSlots = 0
  /** A segment went while this was under way: what was not found may have moved to where nobody looked. */
  isDisturbed = false
  /** The newest segment took more groups while it was walked. */
  #growing: VerifyNote | undefined

  constructor(platform: InspectPlatform, inspected: InspectedDirectory, observer: VerifyObserver) {
    this.#platform = platform
    this.#inspected = inspected
    this.#observer = observer
    for (const damage of inspected.damages) this.#damage(damage)
  }

  async run(): Promise<void> {
    for await (const segment of inspectSegments(this.#platform, this.#inspected)) {
      await this.#segment(segment)
      this.#doneSlots++
    }
    this.#beginnings()
    await this.#coldSegments()
    for (const slot of this.#inspected.slots) {
      if (slot.state === 'damaged' || slot.state === 'blank') await this.#slotWithoutHeader(slot.number)
      if (slot.state === 'foreign') this.#note(slot.number, `holds a segment of another log (${slot.header?.logId})`)
      if (slot.state !== 'segment') this.#doneSlots++
    }
    this.isDisturbed = this.#hasLost(await this.#slotsNow())
  }

  report(): VerifyReport {
    return {
      logId: this.#inspected.meta.logId,
      ...this.#counts,
      firstGroup: this.#firstGroup,
      lastGroup: this.#lastGroup,
      damages: this.#damages.map(damage => ({ ...damage, ...this.#known(damage) })),
      moreDamages: this.#moreDamages,
      missing: this.#missing(),
      notes: this.#growing === undefined ? this.#notes : [...this.#notes, this.#growing],
    }
  }

  /** Offsets that were lost before anything else of their partition: where the records that tell log starts are all there. */
  #beginnings(): void {
    const startOf = (partition: number): number => this.#control.logStarts.get(partition) ?? 0
    if (!this.#trail.isCompleteFrom(logControlPartition, startOf(logControlPartition))) return
    this.#trail.begin(startOf)
  }

  /** Copies of batches whose first place is free again. */
  async #coldSegments(): Promise<void> {
    // slots that a running gateway took meanwhile are not listed
    const now = { ...this.#inspected, slots: await this.#slotsNow() }
    for await (const cold of inspectColdSegments(this.#platform, now, this.#control.cold)) await this.#coldSegment(cold)
  }

  async #coldSegment({ slot, header, end, footer, segment, steps }: InspectedCold): Promise<void> {
    const damages: Damage[] = []
    const ranges = [...(segment?.allSpans() ?? [])].map(({ partition, firstOffset, endOffset }) => ({
      partition,
      first: firstOffset,
      last: endOffset - 1,
    }))
    if (footer.state !== 'intact') {
      damages.push({ slot: slot.number, position: end, bytes: header.slotBytes - end, cause: 'footer' })
    }
    for await (const step of steps()) {
      if (step.kind === 'damage') {
        damages.push(step.damage)
        continue
      }
      const { partition, firstOffset, lastOffset } = step.frame
      this.#batch(partition, batchOfFrame(step.frame))
      if (segment === undefined) ranges.push({ partition, first: firstOffset, last: lastOffset })
    }
    this.#doneSlots++
    if (damages.length > 0 && !(await this.#isStillThere(slot.number, header))) return this.#freedMeanwhile(slot.number)
    for (const range of ranges) this.#trail.held(range)
    for (const damage of damages) {
      this.#damage(damage)
      const { partition, first, last } = damage
      if (partition !== undefined) this.#trail.lose({ partition, first: first!, last: last! })
    }
    this.#counts.segments++
    this.#counts.bytes += end - firstGroupPosition
  }

  /** Holes above the log starts: below them segments are freed as a rule. */
  #missing(): VerifiedMissing[] {
    const { logStarts, logEnds } = this.#control
    const reach = (partition: number, end: number): void =>
      this.#trail.reach(partition, end, logStarts.get(partition) ?? 0)
    // the newest batches of a partition have no other behind them: what was lost tells how far it went, and later starts do
    for (const { partition, last } of this.#damages) {
      if (partition !== undefined && last !== undefined) reach(partition, last + 1)
    }
    for (const [partition, end] of logEnds) reach(partition, end)
    return this.#trail.missing
      .map(({ partition, first, last }) => ({ partition, first: Math.max(first, logStarts.get(partition) ?? 0), last }))
      .map(missing => ({ ...missing, ...this.#known(missing) }))
      .filter(({ known }) => known !== 'dead')
  }

  async #segment(segment: InspectedSegment): Promise<void> {
    const { slot, header, walk, unreadable } = segment
    const before = this.#mark()
    // what a running gateway wrote behind the place where the walk gave up
    if (this.#growing !== undefined && header.firstGroup !== (this.#lastGroup ?? 0) + 1) this.#trail.restart()
    this.#growing = undefined
    this.#firstGroup ??= header.firstGroup
    const index = this.#indexOf(segment)
    for await (const step of walk.steps()) {
      this.#step(slot.number, step)
      index?.take(step)
    }
    this.#footer(segment, index)
    for (const position of unreadable) {
      this.#damage({ slot: slot.number, position, bytes: blockBytes, cause: 'unreadable' })
    }
    if (await this.#forgetsFreed(slot.number, header, before)) {
      this.#trail.restart()
      return
    }
    this.#counts.segments++
    this.#lastGroup = walk.chain.group
    this.#endNotes(segment)
  }

  #step(slot: number, step: WalkStep): void {
    if (step.kind === 'damage') {
      this.#damage(step.damage)
      return
    }
    if (step.kind === 'copy') return
    if (step.kind === 'group') {
      this.#counts.groups++
      this.#counts.bytes += step.header.length
      this.#observer.progress?.(this.#doneSlots, this.#inspected.slots.length, step.position)
    }
    for (const frame of step.frames) this.#frame(slot, frame)
  }

  #frame(slot: number, frame: WalkedFrame): void {
    const { partition, position, firstOffset: first, lastOffset: last } = frame
    const batch = batchOfFrame(frame)
    if (!this.#trail.take(frame)) {
      const bytes = frameHeaderBytes + batch.length
      this.#damage({ slot, position, bytes, cause: 'offsets', partition, first, last })
    }
    if (partition === logControlPartition) this.#control.applyBatch(batch)
    this.#batch(partition, batch)
  }

  /** A batch that verifies. */
  #batch(partition: number, batch: Buffer): void {
    this.#counts.frames++
    this.#counts.records += recordCountOf(batch)
    this.#observer.batch?.(partition, batch)
  }

  #indexOf({ slot, header, file, footer }: InspectedSegment): RebuiltIndex | undefined {
    const stored = segmentOfFooter(slot.number, file, header, footer)
    // partitions that were deleted meanwhile are not in a footer
    return stored === undefined
      ? undefined
      : new RebuiltIndex(slot.number, file, header, new Set(stored.spans.partitions()))
  }

  #footer({ slot, header, footer, isSealed, walk }: InspectedSegment, index: RebuiltIndex | undefined): void {
    const bytes = (footer.trailer?.bodyBytes ?? 0) + trailerBytes
    const damage = { slot: slot.number, position: header.slotBytes - bytes, bytes }
    if (footer.state === 'damaged' && isSealed) this.#damage({ ...damage, cause: 'footer' })
    const isCurrent = footer.trailer?.lastGroup === walk.chain.group
    if (index !== undefined && isCurrent && !index.failed && !index.equals(footer)) {
      this.#damage({ ...damage, cause: 'footerContent' })
    }
    if (isSealed && (footer.state === 'none' || footer.state === 'stale')) {
      this.#note(slot.number, 'is sealed and has no footer (yet); it is a cache, without it the segment is scanned')
    }
  }

  #endNotes({ slot, walk, isSealed }: InspectedSegment): void {
    const { ending, grew, end, chain } = walk
    if (grew) this.#growing = { slot: slot.number, text: `is being written; looked at up to group ${chain.group}` }
    else if (ending === 'torn' && !isSealed) {
      const text = `ends with a torn group ${chain.group + 1} at ${end}: cut by the last stop, or damaged and then possibly acknowledged`
      this.#note(slot.number, text)
    }
    const { fileBytes } = slot
    const { slotBytes } = this.#inspected.meta
    if (fileBytes < slotBytes && fileBytes % prepareStepBytes !== 0) {
      this.#note(
        slot.number,
        `has a file of ${fileBytes} bytes of ${slotBytes}, not a step of preparation: it may have been cut`,
      )
    }
  }

  /** The header does not verify: a slot that was never used, the first write of a segment that was cut, or damage. */
  async #slotWithoutHeader(number: number): Promise<void> {
    const { meta, directory } = this.#inspected
    const now = (await this.#slotsNow()).find(slot => slot.number === number)
    if (now === undefined || (now.state !== 'damaged' && now.state !== 'blank')) return
    const file = await openSlot(this.#platform.files, directory, number, () => {})
    if (file === undefined) return
    try {
      const walk = await walkWithoutHeader(this.#platform, meta, now, file)
      if (walk === undefined && now.state === 'damaged') {
        this.#damage({ slot: number, position: 0, bytes: blockBytes, cause: 'slotHeader' })
      }
      if (walk !== undefined) await this.#lostSegment(number, walk)
    } finally {
      await file.close()
    }
  }

  /** Groups stand in a slot that nobody will look into. */
  async #lostSegment(slot: number, walk: SegmentWalk): Promise<void> {
    const isNext = walk.chain.group === this.#lastGroup
    const ranges = new Map<number, { first: number; last: number }>()
    const first = walk.chain.group + 1
    let groups = 0
    for await (const step of walk.steps()) {
      if (step.kind === 'group') groups++
      if (step.kind !== 'group' && step.kind !== 'stray') continue
      for (const { partition, firstOffset, lastOffset } of step.frames) {
        const range = ranges.get(partition)
        if (range === undefined) ranges.set(partition, { first: firstOffset, last: lastOffset })
        else range.last = lastOffset
      }
    }
    if (isNext && groups <= 1) {
      this.#note(slot, 'holds a first group without a slot header: the first write of a segment, cut by the last stop')
      return
    }
    this.#damage({ slot, position: 0, bytes: blockBytes, cause: 'slotHeader', group: first })
    for (const [partition, range] of ranges) this.#trail.addMissing({ partition, ...range })
  }

  /** How much was found so far. */
  #mark(): FoundSoFar {
    return { damages: this.#damages.length, missing: this.#trail.missing.length, more: this.#moreDamages }
  }

  /** Takes back what was found since `before` when the slot does not hold this segment any more; true when it does not. */
  async #forgetsFreed(slot: number, header: SlotHeader, before: FoundSoFar): Promise<boolean> {
    const isSuspect = this.#damages.length > before.damages || this.#trail.missing.length > before.missing
    if (!isSuspect || (await this.#isStillThere(slot, header))) return false
    this.#damages.length = before.damages
    this.#trail.missing.length = before.missing
    this.#moreDamages = before.more
    this.#freedMeanwhile(slot)
    return true
  }

  #freedMeanwhile(slot: number): void {
    this.#note(slot, 'was freed while it was read; what it held is gone and was not judged')
  }

  /** Whether a segment that was listed at the beginning went meanwhile. */
  #hasLost(slots: readonly InspectedSlot[]): boolean {
    const now = new Map(slots.map(({ number, header }) => [number, header]))
    return this.#inspected.slots.some(({ number, header, state }) => {
      const found = now.get(number)
      return state === 'segment' && header !== undefined && !(found !== undefined && isSameSegment(found, header))
    })
  }

  #isStillThere(slot: number, header: SlotHeader): Promise<boolean> {
    return holdsSegment(this.#platform.files, this.#inspected.directory, slot, header)
  }

  #slotsNow(): Promise<InspectedSlot[]> {
    return inspectSlots(this.#platform.files, this.#inspected.directory, this.#inspected.meta)
  }

  #known(range: { partition?: number; first?: number; last?: number }): { known?: 'gap' | 'dead' } {
    const { partition, first, last } = range
    if (partition === undefined || first === undefined || last === undefined) return {}
    const { removed, logStarts, gaps } = this.#control
    if (removed.has(partition) || last < (logStarts.get(partition) ?? 0)) return { known: 'dead' }
    return gaps.covers(partitionId(partition), first, last) ? { known: 'gap' } : {}
  }

  #damage(damage: Damage): void {
    if (this.#damages.length < maxListed) this.#damages.push(damage)
    else this.#moreDamages++
  }

  #note(slot: number, text: string): void {
    this.#notes.push({ slot, text })
  }
}

import { partitionId } from '../core/brand.ts'
import { recordCountOf } from '../wire/kafka/record-batch.ts'
import { trailerBytes } from './footer.ts'
import { frameBatchBytes, frameHeaderBytes } from './frame.ts'
import { inspectColdSegments } from './inspect-cold.ts'
import type { Damage, MissingOffsets } from './inspect-damage.ts'
import { type InspectedDirectory, inspectDirectory, inspectSlots, openSlot } from './inspect-directory.ts'
import { RebuiltIndex, segmentOfFooter } from './inspect-footer.ts'
import type { WalkedFrame } from './inspect-frames.ts'
import { OffsetTrail } from './inspect-offsets.ts'
import { type InspectedSegment, type InspectPlatform, inspectSegments, walkWithoutHeader } from './inspect-segments.ts'
import type { SegmentWalk, WalkStep } from './inspect-walk.ts'
import { blockBytes, firstGroupPosition } from './layout.ts'
import { logControlPartition } from './log.ts'
import { LogControl } from './log-control.ts'

/** Damage, and what the log itself knows of it. */
export interface VerifiedDamage extends Damage {
  /** `gap`: a gap record names these offsets; `dead`: they lie below the log start, or their partition was deleted. */
  readonly known?: 'gap' | 'dead'
}

export interface VerifiedMissing extends MissingOffsets {
  readonly known?: 'gap' | 'dead'
}

/** Nothing is damaged, and every record between log start and log end is there or known to be gone. */
export const isSound = ({ damages, missing }: VerifyReport): boolean =>
  damages.length === 0 && missing.every(({ known }) => known !== undefined)

/** Something worth saying that is no damage. */
export interface VerifyNote {
  readonly slot: number
  readonly text: string
}

export interface VerifyReport {
  readonly logId: string
  readonly segments: number
  readonly groups: number
  readonly frames: number
  readonly records: number
  /** Of groups that were looked at. */
  readonly bytes: number
  readonly firstGroup: number | undefined
  readonly lastGroup: number | undefined
  readonly damages: readonly VerifiedDamage[]
  /** Damages beyond those that are listed. */
  readonly moreDamages: number
  readonly missing: readonly VerifiedMissing[]
  readonly notes: readonly VerifyNote[]
}

export interface VerifyObserver {
  /** A batch that verified, in log order. */
  batch?(partition: number, batch: Buffer): void
  /** After each group: slots done of slots, and where in the present slot. */
  progress?(doneSlots: number, slots: number, position: number): void
}

const maxListed = 10_000
const prepareStepBytes = 1024 * 1024

/**
 * Reads every group of the log and checks all checksums and the chain. Under a running gateway a slot that changes its owner can look
 * damaged for a moment: damage is what a second look finds too. Throws `StartError` 65 where there is no log of ours.
 */
export const verifyDirectory = async (
  platform: InspectPlatform,
  directory: string,
  observer: VerifyObserver = {},
): Promise<VerifyReport> => {
  const first = await lookOnce(platform, directory, observer)
  if (isSound(first)) return first
  const second = await lookOnce(platform, directory, {})
  return {
    ...second,
    damages: second.damages.filter(({ slot, position }) =>
      first.damages.some(damage => damage.slot === slot && damage.position === position),
    ),
    missing: second.missing.filter(({ partition, first: offset }) =>
      first.missing.some(range => range.partition === partition && range.first === offset),
    ),
  }
}

const lookOnce = async (
  platform: InspectPlatform,
  directory: string,
  observer: VerifyObserver,
): Promise<VerifyReport> => {
  const inspected = await inspectDirectory(platform.files, directory)
  const verification = new Verification(platform, inspected, observer)
  await verification.run()
  return verification.report()
}

class Verification {
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
    await this.#coldSegments()
    for (const slot of this.#inspected.slots) {
      if (slot.state === 'damaged' || slot.state === 'blank') await this.#slotWithoutHeader(slot.number)
      if (slot.state === 'foreign') this.#note(slot.number, `holds a segment of another log (${slot.header?.logId})`)
      if (slot.state !== 'segment') this.#doneSlots++
    }
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

  /** Copies of batches whose first place is free again. */
  async #coldSegments(): Promise<void> {
    const observer = {
      frame: (partition: number, batch: Buffer) => {
        this.#counts.frames++
        this.#counts.records += recordCountOf(batch)
        this.#observer.batch?.(partition, batch)
      },
      damage: (damage: Damage) => this.#damage(damage),
    }
    const { cold } = this.#control
    // slots that a running gateway took meanwhile are not listed
    const slots = await inspectSlots(this.#platform.files, this.#inspected.directory, this.#inspected.meta)
    const now = { ...this.#inspected, slots }
    for await (const { end, segment } of inspectColdSegments(this.#platform, now, cold, observer)) {
      this.#counts.segments++
      this.#counts.bytes += end - firstGroupPosition
      this.#doneSlots++
      for (const { partition, firstOffset, endOffset } of segment?.allSpans() ?? []) {
        this.#trail.held({ partition, first: firstOffset, last: endOffset - 1 })
      }
    }
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
    const before = { damages: this.#damages.length, missing: this.#trail.missing.length, more: this.#moreDamages }
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
    const isDamaged = this.#damages.length > before.damages || this.#trail.missing.length > before.missing
    if (isDamaged && !(await this.#isStillThere(segment))) {
      this.#damages.length = before.damages
      this.#trail.missing.length = before.missing
      this.#moreDamages = before.more
      this.#trail.restart()
      this.#note(slot.number, 'was freed while it was read; what it held is gone and was not judged')
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
    const { bytes, at, partition, position, firstOffset: first, lastOffset: last } = frame
    const length = frameBatchBytes(bytes, at)
    const batch = bytes.subarray(at + frameHeaderBytes, at + frameHeaderBytes + length)
    this.#counts.frames++
    this.#counts.records += recordCountOf(batch)
    if (!this.#trail.take(frame)) {
      this.#damage({ slot, position, bytes: frameHeaderBytes + length, cause: 'offsets', partition, first, last })
    }
    if (partition === logControlPartition) this.#control.applyBatch(batch)
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
    const now = (await inspectSlots(this.#platform.files, directory, meta)).find(slot => slot.number === number)
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

  /** Whether the slot still holds this segment: a running gateway reuses slots. */
  async #isStillThere({ slot, header }: InspectedSegment): Promise<boolean> {
    const { meta, directory } = this.#inspected
    const now = (await inspectSlots(this.#platform.files, directory, meta)).find(({ number }) => number === slot.number)
    return (
      now?.state !== 'free' && (now?.header === undefined ? now !== undefined : now.header.sequence === header.sequence)
    )
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

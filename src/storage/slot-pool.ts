import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Files } from '../platform/files.ts'
import type { Logger } from '../platform/logger.ts'
import { BadSlots } from './bad-slots.ts'
import { DamagedSlots } from './damaged-slots.ts'
import { minSlots, reservedSlots } from './options.ts'
import { slotOfFileName } from './slot.ts'
import { markFree, openSlotFile, reopenSlotFile, type Slot, tryMarkFree } from './slot-file.ts'

const stepBytes = 1024 * 1024
/**
 * Slots prepared ahead without `reserve`: the reserve, so that a file system that fills up leaves every exit open, and two for what comes.
 */
const aheadSlots = reservedSlots + 2
/** With so many prepared, preparing takes its time. */
const enoughSlots = 2
const pauseMs = 20
const retryMs = 1000

/**
 * Free slots, and the making of new ones: zeros written and synced in the background, a step at a time. Only here the file system can
 * be full; then `outOfSpace` is set, and preparing is tried again until space returns.
 */
export class SlotPool {
  outOfSpace = false
  #maxSlots: number
  readonly #files: Files
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #directory: string
  readonly #slotBytes: number
  readonly #reserve: boolean
  readonly #slots = new Map<number, Slot>()
  /** Numbers of files that are being deleted: a new one of that name would go with them. */
  readonly #leaving = new Set<number>()
  readonly #quarantine: DamagedSlots
  readonly #bad: BadSlots
  /** May be taken: all of it is prepared. */
  readonly #free: Slot[] = []
  /** Slots that hold no segment. */
  #idle = 0
  /** Slots there may be while the budget shrinks: those in use then, and the reserve, without which none of them becomes free. */
  #shrinkingFrom = 0
  /** A slot was taken since the start. */
  #begun = false
  /** Taken, or free, but not fully prepared. */
  readonly #unprepared: Slot[] = []
  #preparing: Promise<void> | undefined
  readonly #stepWaiters: (() => void)[] = []
  #closed = false
  #onChange: () => void = () => {}
  #wake: () => void = () => {}

  constructor(
    platform: { readonly files: Files; readonly clock: Clock; readonly logger: Logger },
    metrics: Metrics,
    options: { directory: string; slotBytes: number; maxSlots: number; reserve: boolean },
  ) {
    this.#files = platform.files
    this.#clock = platform.clock
    this.#logger = platform.logger
    this.#directory = options.directory
    this.#slotBytes = options.slotBytes
    this.#maxSlots = options.maxSlots
    this.#reserve = options.reserve
    this.#bad = new BadSlots(platform.files, options.directory, platform.logger)
    this.#quarantine = new DamagedSlots(platform.files, options.directory, platform.logger, metrics)
  }

  /** Called after a slot became free or was prepared further. */
  onChange(callback: () => void): void {
    this.#onChange = callback
  }

  /** Slots that the budget pays for. */
  get maxSlots(): number {
    return this.#maxSlots
  }

  /**
   * The budget changed. Free slots past it are deleted now, but for those that the log needs to shrink; others as they become free. New ones
   * are made as they always are.
   */
  resize(maxSlots: number): void {
    this.#maxSlots = maxSlots
    this.#shrinkingFrom = this.#inUse + reservedSlots
    const cannotDelete = (error: unknown): void =>
      this.#logger.warn({ error: String(error) }, 'a slot past the budget cannot be deleted before the next start')
    void this.#quarantine.shrink(this.#quarantineLimit).catch(cannotDelete)
    while (this.#isOver && this.#free.length > reservedSlots) {
      this.#idle--
      void this.#remove(this.#free.pop()!).catch(cannotDelete)
    }
    this.prepare()
    this.#onChange()
  }

  get slots(): Iterable<Slot> {
    return this.#slots.values()
  }

  /** Slots that the budget still has room for: those that hold nothing, prepared or not, and those that can be made. */
  get available(): number {
    return this.#idle + Math.max(0, Math.max(this.#maxSlots, this.#shrinkingFrom) - this.#fileCount)
  }

  /** Slots of the budget that hold nothing; negative while it shrinks. */
  get unused(): number {
    return this.#maxSlots - this.#fileCount + this.#idle
  }

  /** Free slots at hand now, prepared to their end. */
  get freeCount(): number {
    return this.#free.length
  }

  get slotBytes(): number {
    return this.#slotBytes
  }

  get usedBytes(): number {
    return this.#fileCount * this.#slotBytes
  }

  /** Slots that are not used because the device refused writes to them. */
  get badCount(): number {
    return this.#bad.count
  }

  /** Slots kept aside because of damage. */
  get quarantinedCount(): number {
    return this.#quarantine.count
  }

  /** Takes a slot file found at start in. One that cannot be opened stays where it is: another start may be luckier. */
  async adoptFile(name: string): Promise<void> {
    if (this.#quarantine.adopt(name)) return
    this.#bad.adopt(name)
    const number = slotOfFileName(name)
    if (number === undefined) return
    const slot = await reopenSlotFile(this.#files, this.#directory, number, this.#slotBytes, this.#logger)
    if (slot === undefined) return this.#bad.add(number)
    this.#bad.found(slot)
    this.#slots.set(number, slot)
  }

  /** Recovery found out what the slot holds. Past the budget a free slot is deleted. */
  async settle(slot: Slot, free: boolean): Promise<void> {
    if (!free) {
      if (slot.preparedBytes < this.#slotBytes && !slot.isBad) this.#unprepared.push(slot)
      return
    }
    await this.#offer(slot)
  }

  /** All slots are settled. They may be more than a budget that was lowered meanwhile pays for. */
  settled(): void {
    if (this.#isOver) this.#shrinkingFrom = this.#inUse + reservedSlots
  }

  /** For recovery: slots beside those in use with so many bytes prepared; at last a new one, if the file system has room for it. */
  async *spares(inUse: ReadonlySet<Slot>, bytes: number): AsyncGenerator<Slot> {
    for (const slot of [...this.#slots.values()]) {
      if (!inUse.has(slot) && !slot.isBad && slot.preparedBytes >= bytes) yield slot
    }
    try {
      const slot = await this.#createFile(true)
      while (slot.preparedBytes < bytes) await this.#writeStep(slot, Buffer.alloc(stepBytes))
      yield slot
    } catch (error) {
      this.#complain(error)
    }
  }

  /** Recovery found a slot of which nothing is needed: marks it free on the device, or keeps it aside. */
  async discard(slot: Slot, logId: string): Promise<void> {
    if (slot.isBad || (slot.damaged && (await this.#setAside(slot)))) return
    await tryMarkFree(slot, logId, this.#slotBytes, this.#logger)
  }

  /** Deletes what is kept aside of damaged slots; false when there is nothing. */
  async dropQuarantined(): Promise<boolean> {
    const dropped = await this.#quarantine.shrink(0)
    this.prepare()
    return dropped > 0
  }

  /** A free slot, or undefined: see `onChange`. The first one of a start may be prepared in part: preparing does not delay it. */
  take(): Slot | undefined {
    const slot = this.#free.shift() ?? (this.#begun ? undefined : this.#begunSlot())
    if (slot !== undefined) {
      this.#begun = true
      slot.taken = true
      this.#idle--
      // commits wait for it: it is prepared before any other
      this.#unprepared.sort((one, other) => Number(other.taken) - Number(one.taken))
    }
    this.prepare()
    return slot
  }

  /** The slot's content is dead and nobody reads it: marks it free on the device, then offers it again. */
  async release(slot: Slot, logId: string): Promise<void> {
    if (!slot.isBad && slot.damaged && (await this.#setAside(slot))) return this.#onChange()
    if (!slot.isBad) await markFree(slot, logId, this.#slotBytes)
    await this.#offer(slot)
    this.#onChange()
  }

  /** True once all of the slot is on the device, so that a write at its end needs no space; false when the pool closes before. */
  async whenPrepared(slot: Slot): Promise<boolean> {
    while (slot.preparedBytes < this.#slotBytes && !slot.isBad && !this.#closed) {
      this.prepare()
      await new Promise<void>(resolve => this.#stepWaiters.push(resolve))
    }
    return !this.#closed
  }

  /** Starts the background preparation unless it runs or nothing is to do. */
  prepare(): void {
    if (this.#closed || this.#preparing !== undefined || !this.#hasWork) return
    this.#preparing = this.#prepareAll().finally(() => {
      this.#preparing = undefined
      // what came up while the last step ended
      this.prepare()
    })
  }

  /** Nothing is prepared any more; who waits for it is told. */
  stop(): void {
    this.#closed = true
    this.#wake()
    this.#stepDone()
  }

  async close(): Promise<void> {
    this.stop()
    await this.#preparing
    for (const slot of this.#slots.values()) {
      await slot.file.close()
      await slot.remembered
    }
  }

  /** An idle slot whose first step is prepared. */
  #begunSlot(): Slot | undefined {
    return this.#unprepared.find(({ taken, preparedBytes }) => !taken && preparedBytes >= stepBytes)
  }

  get #hasWork(): boolean {
    return this.#unprepared.length > 0 || this.#wantsNew
  }

  get #wantsNew(): boolean {
    if (this.#fileCount < this.#maxSlots) return this.#reserve || this.#free.length < aheadSlots
    return this.#fileCount < this.#shrinkingFrom && this.#idle < reservedSlots
  }

  /** What occupies the budget. */
  get #fileCount(): number {
    return this.#slots.size + this.#quarantine.count + this.#bad.count
  }

  get #inUse(): number {
    return this.#fileCount - this.#idle
  }

  get #isOver(): boolean {
    return this.#fileCount > this.#maxSlots
  }

  get #quarantineLimit(): number {
    return DamagedSlots.limit(this.#maxSlots, minSlots)
  }

  /** False: the slot is to be used again, because the budget or the file system does not let it be kept. */
  async #setAside(slot: Slot): Promise<boolean> {
    const limit = this.#quarantineLimit
    if (limit === 0) return false
    try {
      await this.#quarantine.take(slot)
    } catch (error) {
      this.#logger.warn({ slot: slot.number, error: String(error) }, 'a damaged slot cannot be kept aside')
      return false
    }
    this.#slots.delete(slot.number)
    await slot.file.close()
    await this.#quarantine.shrink(limit)
    this.prepare()
    return true
  }

  /** Past the budget a free slot is deleted, but not the ones that the log needs to shrink. A bad one is never used again. */
  async #offer(slot: Slot): Promise<void> {
    if (slot.isBad) {
      this.#slots.delete(slot.number)
      await this.#bad.retire(slot)
    } else if (this.#isOver && this.#free.length >= reservedSlots) await this.#remove(slot)
    else this.#addFree(slot)
    this.#shrinkingFrom = Math.min(this.#shrinkingFrom, this.#inUse + reservedSlots)
  }

  #stepDone(): void {
    for (const resolve of this.#stepWaiters.splice(0)) resolve()
  }

  #addFree(slot: Slot): void {
    slot.taken = false
    this.#idle++
    if (slot.preparedBytes < this.#slotBytes) this.#unprepared.push(slot)
    else this.#free.push(slot)
  }

  async #remove(slot: Slot): Promise<void> {
    this.#slots.delete(slot.number)
    this.#leaving.add(slot.number)
    await slot.file.close()
    await this.#files.remove(slot.path)
    this.#leaving.delete(slot.number)
  }

  async #prepareAll(): Promise<void> {
    const zeros = Buffer.alloc(Math.min(stepBytes, this.#slotBytes))
    while (!this.#closed && this.#hasWork) {
      const isUrgent = this.#free.length < enoughSlots || this.#unprepared[0]?.taken === true
      try {
        await this.#prepareStep(zeros)
        if (this.outOfSpace) this.#logger.info({ directory: this.#directory }, 'slots of the log are prepared again')
        this.outOfSpace = false
        this.#stepDone()
        this.#onChange()
        if (!isUrgent) await this.#pause(pauseMs)
      } catch (error) {
        if (!this.outOfSpace) this.#complain(error)
        this.outOfSpace = true
        this.#onChange()
        await this.#pause(retryMs)
      }
    }
  }

  /** Once for each time that it begins: at a first start nothing else tells why the broker is not ready. */
  #complain(error: unknown): void {
    const fields = { directory: this.#directory, slotBytes: this.#slotBytes, error: String(error) }
    const isFull = (error as { code?: string }).code === 'ENOSPC'
    const reason = isFull ? 'the file system has no room for a slot of the log' : 'a slot of the log cannot be prepared'
    this.#logger.error(fields, `${reason}: writes wait (and a start that has no other slot), trying again every second`)
  }

  /** Resolves after the delay, or at once when the pool closes. */
  #pause(delayMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#clock.after(delayMs, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  /** One step of the oldest slot that is not prepared; a slot that was taken comes first because commits wait for it. */
  async #prepareStep(zeros: Buffer): Promise<void> {
    const slot = this.#unprepared[0] ?? (await this.#create())
    if (!slot.taken && this.#isOver && this.#free.length >= reservedSlots) {
      this.#unprepared.shift()
      this.#idle--
      return this.#remove(slot)
    }
    await this.#writeStep(slot, zeros)
    if (slot.preparedBytes < this.#slotBytes) return
    this.#unprepared.splice(this.#unprepared.indexOf(slot), 1)
    if (!slot.taken) this.#free.push(slot)
  }

  async #writeStep(slot: Slot, zeros: Buffer): Promise<void> {
    const length = Math.min(stepBytes, this.#slotBytes - slot.preparedBytes)
    await slot.file.write(zeros.subarray(0, length), slot.preparedBytes)
    await slot.file.sync()
    slot.preparedBytes += length
  }

  async #create(): Promise<Slot> {
    const slot = await this.#createFile(false)
    this.#idle++
    this.#unprepared.push(slot)
    return slot
  }

  async #createFile(taken: boolean): Promise<Slot> {
    let number = 1
    const given = [this.#slots, this.#leaving, this.#bad]
    while (given.some(numbers => numbers.has(number)) || this.#quarantine.hasNumber(number)) number++
    const slot = await openSlotFile(this.#files, this.#directory, number, { create: true }, this.#logger)
    slot.taken = taken
    this.#slots.set(number, slot)
    return slot
  }
}

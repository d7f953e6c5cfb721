import type { GroupNumber } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { Clock } from '../platform/clock.ts'
import { inBatches } from './control-batches.ts'
import type { ControlRecord } from './control-record.ts'
import { ControlRepeats } from './control-repeats.ts'
import type { Cuts } from './cuts.ts'
import type { GroupProgress } from './group-progress.ts'
import { type Gap, logControlPartition } from './log.ts'
import { controlBatch, controlRecords, type LogControl } from './log-control.ts'
import type { PartitionLog } from './partition-log.ts'
import type { Segment } from './segment.ts'

/** What the writer needs of the log. */
export interface ControlOwner {
  readonly segments: readonly Segment[]
  readonly leaving: ReadonlySet<Segment>
  readonly logs: ReadonlyMap<number, PartitionLog>
  appendControlBatch(batch: Buffer): GroupNumber
  progress(): GroupProgress
  /** The removal of a partition is durable. */
  onRemoved(partition: number): void
  /** A cold segment is part of the log from now on. */
  onPublished(sequence: number): void
}

/**
 * Writes records of the log control partition. They take effect on `control` when they are durable, so that a checkpoint or a snapshot
 * made of it names only what is on the device.
 */
export class ControlWriter {
  readonly #control: LogControl
  readonly #owner: ControlOwner
  readonly #clock: Clock
  readonly #repeats = new ControlRepeats()

  /** `unrepeated`: records that recovery found behind the last checkpoint. */
  constructor(control: LogControl, owner: ControlOwner, clock: Clock, unrepeated: readonly ControlRecord[]) {
    this.#control = control
    this.#owner = owner
    this.#clock = clock
    this.#repeats.add(unrepeated)
  }

  append(records: readonly ControlRecord[]): GroupNumber {
    const group = this.#appendBatch(records)
    this.#repeats.add(records)
    return group
  }

  /** Appends what stands in the log only once a second time: before a checkpoint. What has no room is left for the next one. */
  repeat(): void {
    const { gaps } = this.#control
    // one that was summed meanwhile would be counted twice
    const isListed = ({ partition, first, last }: Gap): boolean => gaps.covers(partition, first, last)
    try {
      this.#repeats.flush(isListed, records => this.#appendBatch(records))
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
    }
  }

  #appendBatch(records: readonly ControlRecord[]): GroupNumber {
    return this.#owner.appendControlBatch(controlBatch(records, this.#clock.wallMs()))
  }

  /** Resolves when the records are durable and applied. */
  write(records: readonly ControlRecord[]): Promise<void> {
    return this.#owner.progress().whenDurable(this.append(records))
  }

  /** A batch of the partition became durable. */
  applyDurable(batch: Buffer): void {
    // all of it in the same turn, so that no snapshot is made between
    for (const record of controlRecords(batch)) {
      this.#control.apply(record)
      if (record.kind === 'logStart') this.#raiseLogStart(record.partition, record.offset)
      else if (record.kind === 'cuts') this.#raiseLogStarts(record.cuts)
      else if (record.kind === 'removed') this.#owner.onRemoved(record.partition)
      else if (record.kind === 'cold') this.#owner.onPublished(record.cold.sequence)
    }
  }

  #raiseLogStarts({ size, partitions, starts }: Cuts): void {
    for (let row = 0; row < size; row++) this.#raiseLogStart(partitions[row]!, starts[row]!)
  }

  #raiseLogStart(partition: number, offset: number): void {
    const log = this.#owner.logs.get(partition)
    if (log !== undefined && offset > log.durableLogStart) log.durableLogStart = offset
  }

  /** The whole durable state as one batch, for the checkpoint. */
  snapshotBatch(): Buffer {
    return controlBatch([...this.#control.bounds(), ...this.#snapshot()], this.#clock.wallMs())
  }

  /** Writes the whole state again where records of the partition are damaged. */
  async mend(): Promise<void> {
    const logStart = this.#owner.logs.get(logControlPartition)?.logStart ?? 0
    const { list } = this.#control.gaps
    const isDamaged = list.some(({ partition, last }) => partition === logControlPartition && last >= logStart)
    if (isDamaged) await this.rewrite()
  }

  /** Appends the whole state again and moves the partition's own log start behind the old records: they no longer keep a slot. */
  async rewrite(): Promise<void> {
    const log = this.#owner.logs.get(logControlPartition)
    if (log === undefined) return
    // a snapshot is made of durable state: nothing of this partition may be on its way
    while (log.highWatermark < log.logEnd) await this.#owner.progress().settled()
    const offset = log.logEnd
    for (const records of inBatches(this.#control.bounds())) this.append(records)
    const durable = this.write([...this.#snapshot(), { kind: 'logStart', partition: logControlPartition, offset }])
    await durable
    log.advanceLogStart(offset)
  }

  #snapshot(): ControlRecord[] {
    const segments = [...this.#owner.segments, ...this.#owner.leaving]
    return this.#control.snapshot(
      partition => segments.some(segment => segment.spans.has(partition)),
      sequence => segments.some(segment => segment.isCold && segment.sequence === sequence),
    )
  }
}

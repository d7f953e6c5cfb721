import { type GroupNumber, groupNumber, type PartitionId } from '../core/brand.ts'
import type { BrokerError } from '../core/errors.ts'
import type { CommitPipeline } from './commit-pipeline.ts'
import { groupFlags } from './group.ts'
import type { GroupGatherer } from './group-gatherer.ts'
import { GroupWaiters } from './group-waiters.ts'
import type { AckableListener, DurableListener } from './log.ts'

/** How far groups have come, who waits for that, and who is told; see `Log`. */
export class GroupProgress {
  readonly #gatherer: GroupGatherer
  readonly #pipeline: CommitPipeline
  readonly #ackable = new GroupWaiters()
  readonly #durable = new GroupWaiters()
  readonly #ackableListeners: AckableListener[] = []
  readonly #durableListeners: DurableListener[] = []

  constructor(gatherer: GroupGatherer, pipeline: CommitPipeline) {
    this.#gatherer = gatherer
    this.#pipeline = pipeline
  }

  get openGroup(): GroupNumber {
    return groupNumber(this.#gatherer.openNumber)
  }

  get ackableGroup(): GroupNumber {
    return groupNumber(this.#pipeline.ackableGroup)
  }

  get durableGroup(): GroupNumber {
    return groupNumber(this.#pipeline.durableGroup)
  }

  whenAckable(group: GroupNumber): Promise<void> {
    const needed = this.#filled(group)
    return needed <= this.#pipeline.ackableGroup ? Promise.resolve() : this.#ackable.wait(needed)
  }

  whenDurable(group: GroupNumber): Promise<void> {
    const needed = this.#filled(group)
    return needed <= this.#pipeline.durableGroup ? Promise.resolve() : this.#durable.wait(needed)
  }

  /** Resolves when all that was appended is durable, by a sync as soon as may be; what is appended after the call is not, when it does. */
  settled(): Promise<void> {
    return this.synced(this.openGroup)
  }

  /** As `whenDurable`, but the sync is not left to the next one in time. */
  synced(group: GroupNumber): Promise<void> {
    this.#pipeline.hasten(this.#filled(group))
    return this.whenDurable(group)
  }

  onAckable(listener: AckableListener): void {
    this.#ackableListeners.push(listener)
  }

  onDurable(listener: DurableListener): void {
    this.#durableListeners.push(listener)
  }

  /** Everything up to `group` may be acknowledged. */
  ackable(group: GroupNumber): void {
    for (const listener of this.#ackableListeners) listener(group)
    this.#ackable.resolveThrough(group)
  }

  /** The group after those of the calls before is on the device. */
  durable(group: GroupNumber, partitions: readonly PartitionId[]): void {
    for (const listener of this.#durableListeners) listener(group, partitions)
    this.#durable.resolveThrough(group)
  }

  /** No group gets any further. */
  failed(error: BrokerError): void {
    this.#ackable.rejectAll(error)
    this.#durable.rejectAll(error)
  }

  /** Writes an empty group behind everything: whatever stands before it was durable. */
  async writeWitness(): Promise<void> {
    await this.settled()
    const group = this.#gatherer.special(groupFlags.witness)
    this.#pipeline.pump()
    await this.#durable.wait(groupNumber(group.number))
  }

  /** The group that gathers may never have anything in it: then all there is to wait for is the one before. */
  #filled(group: GroupNumber): GroupNumber {
    const isEmpty = group === this.#gatherer.openNumber && !this.#gatherer.hasOpen
    return isEmpty ? groupNumber(group - 1) : group
  }
}

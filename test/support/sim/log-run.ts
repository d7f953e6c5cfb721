import { type PartitionId, partitionId } from '../../../src/core/brand.ts'
import { BrokerError } from '../../../src/core/errors.ts'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import { sleep } from '../../../src/platform/clock.ts'
import { firstTopicPartitionId, type Log } from '../../../src/storage/log.ts'
import { openCommitLog } from '../../../src/storage/open-commit-log.ts'
import type { CommitLogOptions } from '../../../src/storage/options.ts'
import { BatchBuilder } from '../../../src/wire/kafka/batch-builder.ts'
import type { CrashKind, Tear } from './disk.ts'
import { type CheckOptions, gapsMax, type LogModel, type ModelValue } from './log-model.ts'
import type { SimMachine } from './machine.ts'
import { SimRandom } from './random.ts'

const KiB = 1024
const noHeaders = Buffer.from([0])
const internal = partitionId(1)
const firstTopics = [0, 1, 2, 3].map(index => partitionId(firstTopicPartitionId + index))
/** Compacted, in runs that do that; topics made later have higher ids. */
const compacted = partitionId(firstTopicPartitionId + 4)
const keys = Array.from({ length: 8 }, (_, index) => `key-${index}`)
const tenYearsMs = 10 * 365.25 * 24 * 3_600_000
const directory = '/data'
/** Kinds of steps, by their share of a hundred. */
const [appending, appendingRecords, sleeping] = [34, 64, 89]

/** What a simulated log is opened with, where it differs from `tinyLog`. */
export type LogRunOptions = Partial<CommitLogOptions>

/** What a run does besides appends, reads and moving log starts. */
export interface Workload {
  /** Topics come and go. */
  readonly removes?: boolean
  /** Every other topic has `durability=relaxed`. */
  readonly relaxes?: boolean
  /** A partition with keys and tombstones is compacted. */
  readonly compacts?: boolean
  /** The wall clock jumps ten years either way. */
  readonly clockJumps?: boolean
  /** Nobody asks for records to be deleted: only retention and the budget move log starts. */
  readonly asksNothing?: boolean
  /** `disk.budget` in slots: another one of these at each start. */
  readonly budgetSlots?: readonly number[]
}

const compaction = {
  minDirtyRatio: 0.2,
  minDirtyBytes: 1024,
  minLagMs: 0,
  maxLagMs: Number.POSITIVE_INFINITY,
  deleteRetentionMs: 0,
  alsoDeletes: false,
}

/** Tiny slots, so that a short run seals, evicts and checkpoints. */
export const tinyLog = (changes: LogRunOptions = {}): CommitLogOptions => ({
  directory,
  budgetBytes: 12 * 64 * KiB,
  slotBytes: 64 * KiB,
  reserve: false,
  commitMaxBytes: 8 * KiB,
  maxMessageBytes: 12 * KiB,
  align: 'auto',
  retention: { ms: -1, bytes: -1 },
  tailBytes: 32 * KiB,
  cacheBytes: 128 * KiB,
  gapsMax,
  memory: new MemoryBudget(64 * 1024 * KiB),
  metrics: new Metrics(),
  ...changes,
})

const storageRefused = (error: unknown): error is BrokerError =>
  error instanceof BrokerError && ['spaceAwaited', 'storageFull', 'storageFailed', 'memoryFull'].includes(error.kind)

/** A seeded workload on a log, and the model that goes with it. */
export class LogRun {
  readonly machine: SimMachine
  readonly model: LogModel
  readonly random: SimRandom
  readonly options: LogRunOptions
  readonly workload: Workload
  removedPartitions = 0
  log!: Log
  /** Appends that the log refused, by kind of error. */
  readonly refused = new Map<string, number>()
  metrics = new Metrics()
  #value = 0
  #topics: PartitionId[] = []
  /** For a while all that is appended is relaxed: without a sync for something else. */
  #onlyRelaxed = false

  constructor(
    machine: SimMachine,
    model: LogModel,
    seed: number,
    options: LogRunOptions = {},
    workload: Workload = {},
  ) {
    this.machine = machine
    this.model = model
    this.random = new SimRandom(seed)
    this.options = options
    this.workload = workload
  }

  /** Opens the log and compares it with the model. */
  async open(check: CheckOptions = {}): Promise<void> {
    const { machine } = this
    const { platform } = machine
    await platform.files.makeDirectory(directory)
    const checkpoints = await platform.openCheckpointStore(`${directory}/views`, 1024 * KiB)
    this.metrics = new Metrics()
    const { budgetSlots, compacts } = this.workload
    const slots = budgetSlots === undefined ? {} : { budgetBytes: this.random.pick(budgetSlots) * 64 * KiB }
    let rulesAreSet = (): void => {}
    const rulesSet = new Promise<void>(resolve => {
      rulesAreSet = resolve
    })
    const options = { ...this.options, ...slots, metrics: this.metrics, rulesSet }
    const log = await openCommitLog({ ...platform, checkpoints }, tinyLog(options))
    this.log = log
    if (this.model.nextId === 1)
      for (const partition of [internal, ...firstTopics, compacted]) this.model.open(partition)
    await this.model.checkRestarted(log, check)
    log.setCompaction(internal, compaction)
    this.#topics = this.model.partitions().filter(id => id >= firstTopicPartitionId && id !== compacted)
    if (compacts) log.setCompaction(compacted, compaction)
    for (const topic of this.#topics) if (this.#isRelaxed(topic)) log.setDurability(topic, 'relaxed')
    log.onDurable(group => this.model.shown(group))
    rulesAreSet()
    const starts = this.model.partitions().map(partition => log.offsets(partition).logStart)
    machine.disk.note(`opened: epoch ${log.logEpoch}, group ${log.durableGroup}, log starts ${starts}`)
  }

  /** `count` random steps. */
  async steps(count: number): Promise<void> {
    for (let step = 0; step < count; step++) await this.#step()
  }

  async close(): Promise<void> {
    await this.log.close()
  }

  /** Ends whatever runs as the crash does, and starts the machine again. */
  crash(kind: CrashKind, tear: Tear = 'random'): void {
    this.model.crashed(kind, this.machine.clock.nowMs)
    this.machine.crash(kind, tear)
  }

  /** Waits for all that was appended. */
  async settle(): Promise<void> {
    await this.log.whenDurable(this.log.openGroup).catch(() => undefined)
  }

  async #step(): Promise<void> {
    const { random, log, machine } = this
    const { removes, compacts, clockJumps, relaxes } = this.workload
    if (relaxes && random.chance(0.08)) this.#onlyRelaxed = !this.#onlyRelaxed
    const choice = this.#onlyRelaxed ? random.pick([appending, appendingRecords, sleeping]) : random.below(100)
    try {
      if (clockJumps && random.chance(0.05)) machine.clock.wallOffsetMs += random.pick([-tenYearsMs, tenYearsMs])
      if (removes && random.chance(0.02)) this.#replacePartition()
      if (compacts && random.chance(0.4)) this.#appendKeyed(compacted, random.between(1, 6))
      if (choice <= appending) this.#append(random.between(1, 3))
      else if (choice <= appendingRecords) this.#appendRecords(random.between(1, 8))
      else if (choice < 72) this.#appendInternal()
      else if (choice < 76 && this.workload.asksNothing !== true) this.#advanceLogStart()
      else if (choice < 80) this.#appendTogether(random.between(1, 8))
      else if (choice <= sleeping) await sleep(machine.clock, random.pick([0, 1, 20, 300]))
      else if (choice < 97) await this.settle()
      else await this.model.checkReads(log, { gapsAllowed: true })
    } catch (error) {
      if (!storageRefused(error)) throw error
      this.refused.set(error.kind, (this.refused.get(error.kind) ?? 0) + 1)
      await sleep(machine.clock, 50)
    }
    // the end of a batch of I/O events
    if (random.chance(0.4)) await new Promise<void>(resolve => machine.clock.afterIo(resolve))
  }

  /** One atomic append of batches to some partitions. */
  #append(batches: number): void {
    const values = Array.from({ length: batches }, () =>
      Array.from({ length: this.random.between(1, 5) }, () => this.#newValue(1200)),
    )
    const partitions = values.map(() => this.#anyTopic())
    const appended = this.log.append(
      values.map((batch, index) => ({ partition: partitions[index]!, batch: this.#batchOf(batch) })),
    )
    for (const [index, batch] of values.entries()) {
      this.model.appended(partitions[index]!, appended.baseOffsets[index]!, batch, appended.group)
    }
    this.#promise(appended.group, partitions)
  }

  #appendRecords(count: number): void {
    for (let index = 0; index < count; index++) {
      const partition = this.#anyTopic()
      const value = this.#newValue(200)
      const source = Buffer.from(`..${value}.`, 'latin1')
      const { clock } = this.machine
      const offset = this.log.appendRecord(partition, clock.wallMs(), null, source, 2, 2 + value.length, noHeaders)
      this.model.appended(partition, offset, [value], this.log.openGroup)
      // the next one may stand in another group
      this.#promise(this.log.openGroup, [partition])
    }
  }

  /** Records of some partitions in one group; those of state have keys. */
  #appendTogether(count: number): void {
    const { log, model, machine, random } = this
    const partitions = Array.from({ length: count }, () => (random.chance(0.3) ? internal : this.#anyTopic()))
    const values = partitions.map((partition): string | ModelValue => {
      const value = this.#newValue(400)
      return partition === internal ? { key: random.pick(keys), value } : value
    })
    const ends = new Map(partitions.map(partition => [partition, log.offsets(partition).logEnd]))
    const timestampMs = machine.clock.wallMs()
    const group = log.appendRecords(
      values.map((one, index) => {
        const { key, value } = typeof one === 'string' ? { key: null, value: one } : one
        return {
          partition: partitions[index]!,
          timestampMs,
          key: key === null ? null : Buffer.from(key),
          value: Buffer.from(value ?? '', 'latin1'),
          headers: noHeaders,
        }
      }),
    )
    for (const [index, value] of values.entries()) {
      const partition = partitions[index]!
      const offset = ends.get(partition)!
      model.appended(partition, offset, [value], group)
      ends.set(partition, offset + 1)
    }
    this.#promise(group, partitions)
  }

  #appendInternal(): void {
    this.#appendKeyed(internal, this.random.between(1, 4))
  }

  #advanceLogStart(): void {
    const partition = this.random.pick(this.#topics)
    const { logStart, highWatermark } = this.log.offsets(partition)
    if (highWatermark === logStart) return
    const offset = logStart + this.random.between(1, Math.min(20, highWatermark - logStart))
    const { log, model } = this
    model.asked(partition, logStart, offset)
    const group = log.advanceLogStart(partition, offset)
    this.machine.disk.note(`log start of ${partition} to ${offset} in group ${group}`)
    log.whenDurable(group).then(
      () => model.logStarts(partition, offset),
      () => undefined,
    )
  }

  /** A topic goes, and another comes. */
  #replacePartition(): void {
    const { log, model } = this
    const old = this.random.pick(this.#topics)
    log.removePartition(old)
    model.removed(old, log.openGroup)
    this.#promise(log.openGroup)
    this.machine.disk.note(`${old} removed in group ${log.openGroup}`)
    const next = partitionId(model.nextId)
    model.open(next)
    log.openPartition(next)
    if (this.#isRelaxed(next)) log.setDurability(next, 'relaxed')
    this.#topics = [...this.#topics.filter(topic => topic !== old), next]
    this.removedPartitions++
  }

  /** Of few keys: compaction has something to do. */
  #appendKeyed(partition: PartitionId, count: number): void {
    const values = Array.from({ length: count }, (): ModelValue => {
      const value = this.random.chance(0.15) ? null : this.#newValue(400)
      return { key: this.random.pick(keys), value }
    })
    const builder = new BatchBuilder()
    for (const { key, value } of values) {
      const source = value === null ? null : Buffer.from(value, 'latin1')
      builder.append(this.machine.clock.wallMs(), Buffer.from(key), source, 0, source?.length ?? 0, noHeaders)
    }
    const batch = Buffer.from(builder.finish(0, 0))
    const { baseOffsets, group } = this.log.append([{ partition, batch }])
    this.model.appended(partition, baseOffsets[0]!, values, group)
    this.#promise(group)
  }

  /** What an acknowledgement of these partitions' records promises; without them, of a change of state. */
  #promise(group: number, partitions: readonly PartitionId[] = []): void {
    const { log, model, machine } = this
    const isRelaxed = partitions.length > 0 && partitions.every(partition => this.#isRelaxed(partition))
    const number = group as typeof log.openGroup
    const acked = (): void => (isRelaxed ? model.ackedRelaxed(group, machine.clock.nowMs) : model.acked(group))
    ;(partitions.length > 0 ? log.whenAckable(number) : log.whenDurable(number)).then(acked, () => undefined)
  }

  #anyTopic(): PartitionId {
    const topics = this.#onlyRelaxed ? this.#topics.filter(topic => this.#isRelaxed(topic)) : this.#topics
    return this.random.pick(topics)
  }

  #isRelaxed(partition: PartitionId): boolean {
    return this.workload.relaxes === true && partition >= firstTopicPartitionId && partition % 2 === 1
  }

  #newValue(mostBytes: number): string {
    const text = `${++this.#value}:${this.random.below(2 ** 32)}:`
    return text.repeat(Math.max(1, Math.floor(this.random.below(mostBytes) / text.length)))
  }

  #batchOf(values: readonly string[]): Buffer {
    const builder = new BatchBuilder()
    for (const value of values) {
      const source = Buffer.from(value, 'latin1')
      builder.append(this.machine.clock.wallMs(), null, source, 0, source.length, noHeaders)
    }
    return Buffer.from(builder.finish(0, 0))
  }
}

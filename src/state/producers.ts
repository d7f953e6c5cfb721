import { assert } from '../core/assert.ts'
import type { GroupNumber, PartitionId } from '../core/brand.ts'
import { partitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateLog } from './state-log.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/** What a batch header says of its producer. */
export interface ProducerBatch {
  readonly producerId: number
  readonly epoch: number
  readonly baseSequence: number
  readonly count: number
}

/** A batch that is in the log: a repeat of it is answered with these offsets. */
interface AppendedBatch {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly baseOffset: number
}

export interface Duplicate {
  readonly baseOffset: number
  /** The original is durable with this group; undefined when it was before this start. */
  readonly group: GroupNumber | undefined
}

interface Entry {
  readonly partition: PartitionId
  readonly producerId: number
  epoch: number
  /** The last five batches, oldest first. */
  batches: AppendedBatch[]
  logAge: number
  group: GroupNumber | undefined
}

/** Kafka keeps five: the most that an idempotent client has in flight (`max.in.flight.requests.per.connection`). */
const windowBatches = 5
/** Producers of all partitions; about 600 bytes each. */
const maxEntries = 16_384
/** Producers written again before the next checkpoint of the log is due: so many entries are quickly written. */
const maxTouched = 1_000
/** Changes in one write: whatever `commit.max.bytes` is, they fit. */
const changesPerWrite = 200
const producerIdBlock = 1_000
const nextProducerIdKey = Buffer.from('next')

/** Sequence numbers wrap from 2147483647 to 0. */
const sequenceAfter = (sequence: number, by: number): number => (sequence + by) % 2 ** 31

const described = ({ producerId, epoch }: ProducerBatch): string => `producer ${producerId} epoch ${epoch}`

const outOfOrder = (batch: ProducerBatch, why: string): BrokerError =>
  new BrokerError('outOfOrderSequence', `${described(batch)}: sequence ${batch.baseSequence}, but ${why}`)

const entryKey = ({ partition, producerId }: { partition: PartitionId; producerId: number }): Buffer => {
  const key = Buffer.allocUnsafe(12)
  key.writeUInt32BE(partition, 0)
  key.writeBigUInt64BE(BigInt(producerId), 4)
  return key
}

/**
 * Idempotent producers: by partition and producer id, the epoch and the last five batches (KIP-98). The state is what stands in the
 * internal partition plus the headers of the batches appended since; it expires by log age, not because its data went (KAFKA-7190).
 */
export class ProducersView implements View {
  readonly name = 'producers'
  readonly partition = internalPartitions.producers
  readonly #entries = new Map<PartitionId, Map<number, Entry>>()
  /** Changed since they were written last. */
  readonly #touched = new Set<Entry>()
  readonly #metrics: Metrics
  readonly #expirySeconds: number
  #count = 0
  #nextProducerId = 0
  #reservedProducerId = 0

  constructor(metrics: Metrics, expirySeconds: number) {
    this.#metrics = metrics
    this.#expirySeconds = expirySeconds
  }

  /** What must be written before `takeProducerId`: the ids of another block are taken. Undefined while the present block lasts. */
  reservation(): StateChange | undefined {
    if (this.#nextProducerId < this.#reservedProducerId) return undefined
    return { view: this, key: nextProducerIdKey, value: encodeState(this.#nextProducerId + producerIdBlock) }
  }

  /** A producer id never given before; to be shown once this view is durable. */
  takeProducerId(): number {
    assert(this.#nextProducerId < this.#reservedProducerId, 'a producer id is given when its block is reserved')
    return this.#nextProducerId++
  }

  /**
   * Whether the batch may be appended now: undefined when it may, the original when it is a repeat. Throws `invalidProducerEpoch`,
   * `outOfOrderSequence`. Check and `appended` happen in one synchronous stretch.
   */
  check(partition: PartitionId, batch: ProducerBatch): Duplicate | undefined {
    const entry = this.#entries.get(partition)?.get(batch.producerId)
    if (entry === undefined) return undefined
    if (batch.epoch < entry.epoch) {
      const why = `a newer epoch ${entry.epoch} has written to this partition`
      throw new BrokerError('invalidProducerEpoch', `${described(batch)}: ${why}`)
    }
    if (batch.epoch > entry.epoch) {
      if (batch.baseSequence === 0) return undefined
      throw outOfOrder(batch, 'a new epoch starts at sequence 0')
    }
    const lastSequence = sequenceAfter(batch.baseSequence, batch.count - 1)
    for (const original of entry.batches) {
      if (original.firstSequence === batch.baseSequence && original.lastSequence === lastSequence) {
        return { baseOffset: original.baseOffset, group: entry.group }
      }
    }
    const last = entry.batches.at(-1)
    const expected = last === undefined ? batch.baseSequence : sequenceAfter(last.lastSequence, 1)
    if (batch.baseSequence === expected) return undefined
    throw outOfOrder(batch, `${expected} was due`)
  }

  /** The batch is in the log at `baseOffset`. Idempotent: a batch that the state knows already, or a later one, changes nothing. */
  appended(
    partition: PartitionId,
    batch: ProducerBatch,
    baseOffset: number,
    logAge: number,
    group?: GroupNumber,
  ): void {
    const entry = this.#entryFor(partition, batch)
    const last = entry.batches.at(-1)
    if (last !== undefined && last.baseOffset >= baseOffset) return
    if (batch.epoch !== entry.epoch) {
      entry.epoch = batch.epoch
      entry.batches = []
    }
    const lastSequence = sequenceAfter(batch.baseSequence, batch.count - 1)
    entry.batches.push({ firstSequence: batch.baseSequence, lastSequence, baseOffset })
    if (entry.batches.length > windowBatches) entry.batches.shift()
    entry.logAge = logAge
    entry.group = group
    this.#touched.add(entry)
  }

  /** The batch at this offset is the newest that the producer wrote to the partition. */
  isLast(partition: PartitionId, producerId: number, baseOffset: number): boolean {
    return this.#entries.get(partition)?.get(producerId)?.batches.at(-1)?.baseOffset === baseOffset
  }

  /** So much changed since the last `flush` that the next one would take long. */
  get needsFlush(): boolean {
    return this.#touched.size >= maxTouched
  }

  /**
   * Writes what changed since the last call: before each checkpoint of the log, so that replay starts there. What cannot be written
   * stays to be written, and the error is thrown on.
   */
  flush(state: StateLog): void {
    let written: Entry[] = []
    const write = (): void => {
      const changes = written.filter(entry => this.#isKnown(entry)).map(entry => this.#change(entry))
      if (changes.length > 0) state.write(changes)
      for (const entry of written) this.#touched.delete(entry)
      written = []
    }
    for (const entry of [...this.#touched]) if (written.push(entry) === changesPerWrite) write()
    write()
  }

  /**
   * Some of those that have not written for `producer.id.expiration.ms` of log age, none when there are none. The changes take them out,
   * after a restart too.
   */
  expired(logAge: number): StateChange[] {
    const changes: StateChange[] = []
    for (const producers of this.#entries.values()) {
      for (const entry of producers.values()) {
        if (entry.logAge + this.#expirySeconds > logAge) continue
        changes.push({ view: this, key: entryKey(entry), value: null })
        if (changes.length === changesPerWrite) return changes
      }
    }
    return changes
  }

  /** The partition is gone, its producers with it. */
  partitionRemoved(partition: PartitionId): StateChange[] {
    const producers = this.#entries.get(partition)?.values() ?? []
    return [...producers].map(entry => ({ view: this, key: entryKey(entry), value: null }))
  }

  apply(key: Buffer, value: Buffer | null): void {
    if (key.equals(nextProducerIdKey)) {
      if (value === null) return
      this.#reservedProducerId = Math.max(this.#reservedProducerId, decodeState<number>(value))
      this.#nextProducerId = Math.max(this.#nextProducerId, this.#reservedProducerId - producerIdBlock)
      return
    }
    const partition = partitionId(key.readUInt32BE(0))
    const producerId = Number(key.readBigUInt64BE(4))
    if (value === null) this.#remove(partition, producerId)
    else this.#restore(partition, producerId, value)
  }

  /**
   * After replay: no producer id of the reserved block is given again, and nothing is known that the log does not hold. `logEndOf` is
   * undefined for partitions that are gone. Each of the `lostRecords` of state may have reserved a block.
   */
  replayed(logEndOf: (partition: PartitionId) => number | undefined, lostRecords: number): void {
    this.#nextProducerId = Math.max(this.#nextProducerId, this.#reservedProducerId) + lostRecords * producerIdBlock
    for (const [partition, producers] of [...this.#entries]) {
      const logEnd = logEndOf(partition) ?? 0
      for (const entry of [...producers.values()]) {
        entry.batches = entry.batches.filter(({ baseOffset }) => baseOffset < logEnd)
        if (entry.batches.length === 0) this.#remove(partition, entry.producerId)
      }
    }
  }

  *entries(): Iterable<StateRecord> {
    yield { key: nextProducerIdKey, value: encodeState(this.#reservedProducerId) }
    for (const producers of this.#entries.values()) {
      for (const entry of producers.values()) yield this.#change(entry)
    }
  }

  clear(): void {
    this.#entries.clear()
    this.#touched.clear()
    this.#count = 0
    this.#nextProducerId = 0
    this.#reservedProducerId = 0
  }

  #entryFor(partition: PartitionId, batch: ProducerBatch): Entry {
    let producers = this.#entries.get(partition)
    if (producers === undefined) this.#entries.set(partition, (producers = new Map()))
    let entry = producers.get(batch.producerId)
    if (entry === undefined) {
      if (this.#count >= maxEntries) this.#dropOldest()
      this.#count += 1
      const { producerId, epoch } = batch
      entry = { partition, producerId, epoch, batches: [], logAge: 0, group: undefined }
    } else {
      producers.delete(batch.producerId)
    }
    producers.set(batch.producerId, entry)
    return entry
  }

  // the producer that was silent longest in the partition with most of them: maps keep the order of the last write
  #dropOldest(): void {
    let largest: [PartitionId, Map<number, Entry>] | undefined
    for (const candidate of this.#entries) {
      if (largest === undefined || candidate[1].size > largest[1].size) largest = candidate
    }
    const oldest = largest?.[1].keys().next()
    if (largest === undefined || oldest === undefined || oldest.done) return
    this.#metrics.add('producersDropped')
    this.#remove(largest[0], oldest.value)
  }

  #isKnown(entry: Entry): boolean {
    return this.#entries.get(entry.partition)?.get(entry.producerId) === entry
  }

  #change(entry: Entry): StateChange {
    const window = entry.batches.map(batch => [batch.firstSequence, batch.lastSequence, batch.baseOffset])
    return { view: this, key: entryKey(entry), value: encodeState([entry.epoch, entry.logAge, window]) }
  }

  #restore(partition: PartitionId, producerId: number, value: Buffer): void {
    const [epoch, logAge, window] = decodeState<[number, number, [number, number, number][]]>(value)
    const batches = window.map(([firstSequence, lastSequence, baseOffset]) => ({
      firstSequence,
      lastSequence,
      baseOffset,
    }))
    const known = this.#entries.get(partition)?.get(producerId)?.batches.at(-1)?.baseOffset ?? -1
    if (known > (batches.at(-1)?.baseOffset ?? -1)) return
    const entry = this.#entryFor(partition, { producerId, epoch, baseSequence: 0, count: 0 })
    Object.assign(entry, { epoch, logAge, batches })
  }

  #remove(partition: PartitionId, producerId: number): void {
    const producers = this.#entries.get(partition)
    if (producers === undefined || !producers.delete(producerId)) return
    this.#count -= 1
    if (producers.size === 0) this.#entries.delete(partition)
  }
}

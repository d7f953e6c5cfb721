import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import {
  AT,
  attributesOf,
  baseOffsetOf,
  baseSequenceOf,
  CONTROL_BIT,
  hasValidCrc,
  isControl,
  isTransactional,
  lastOffsetDeltaOf,
  lastOffsetOf,
  NO_PRODUCER_ID,
  nextOffsetOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  seal,
  stamp,
} from '../../../src/wire/kafka/record-batch.ts'

/** Sequences of this many batches of a producer are known: a repeat of one of them gets its old answer. */
const rememberedBatches = 5

interface ProducerState {
  epoch: number
  /** Of the newest record; -1 after a marker has raised the epoch. */
  lastSequence: number
  recent: { readonly base: number; readonly last: number; readonly offset: number }[]
}

interface Aborted {
  readonly producerId: number
  readonly firstOffset: number
  readonly lastOffset: number
}

export interface Appended {
  readonly errorCode: number
  readonly baseOffset: number
}

const refused = (errorCode: number): Appended => ({ errorCode, baseOffset: -1 })

/** One partition of the simulated central cluster: what its replicas agree on, with the rules of Kafka's leaders (KIP-98, KIP-890). */
export class CentralPartition {
  readonly topic: string
  readonly index: number
  /** Node id, -1 while there is none. */
  leader = -1
  leaderEpoch = 0
  #batches: Buffer[] = []
  #start = 0
  #end = 0
  readonly #producers = new Map<number, ProducerState>()
  /** First offset of each open transaction, by producer id. */
  readonly #open = new Map<number, number>()
  readonly #aborted: Aborted[] = []

  constructor(topic: string, index: number) {
    this.topic = topic
    this.index = index
  }

  get start(): number {
    return this.#start
  }

  get end(): number {
    return this.#end
  }

  /** Up to here readers of committed records see. */
  get lastStable(): number {
    return Math.min(this.#end, ...this.#open.values())
  }

  hasOpen(producerId: number): boolean {
    return this.#open.has(producerId)
  }

  /** What a leader does with a client's batch. */
  append(given: Buffer): Appended {
    if (!hasValidCrc(given)) return refused(errorCodes.CORRUPT_MESSAGE)
    if (lastOffsetDeltaOf(given) !== recordCountOf(given) - 1 || baseOffsetOf(given) !== 0)
      return refused(errorCodes.INVALID_RECORD)
    const producerId = producerIdOf(given)
    if (producerId === NO_PRODUCER_ID)
      return { errorCode: errorCodes.NONE, baseOffset: this.#store(Buffer.from(given)) }
    const epoch = producerEpochOf(given)
    const base = baseSequenceOf(given)
    const last = base + recordCountOf(given) - 1
    const known = this.#producers.get(producerId)
    if (known !== undefined && epoch < known.epoch) return refused(errorCodes.INVALID_PRODUCER_EPOCH)
    const isSameEpoch = known?.epoch === epoch
    const repeated = isSameEpoch ? known.recent.find(one => one.base === base && one.last === last) : undefined
    if (repeated !== undefined) return { errorCode: errorCodes.NONE, baseOffset: repeated.offset }
    const isNext = known === undefined || base === (isSameEpoch ? known.lastSequence + 1 : 0)
    if (!isNext) return refused(errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER)

    const baseOffset = this.#store(Buffer.from(given))
    const recent = [...(isSameEpoch ? known.recent : []), { base, last, offset: baseOffset }].slice(-rememberedBatches)
    this.#producers.set(producerId, { epoch, lastSequence: last, recent })
    if (isTransactional(given) && !this.#open.has(producerId)) this.#open.set(producerId, baseOffset)
    return { errorCode: errorCodes.NONE, baseOffset }
  }

  /** The end of a producer's transaction. From then on only this epoch and later ones may write. */
  mark(producerId: number, epoch: number, committed: boolean): void {
    const firstOffset = this.#open.get(producerId)
    const known = this.#producers.get(producerId)
    const lastOffset = this.#end
    this.#store(controlBatch(producerId, epoch, committed))
    this.#open.delete(producerId)
    if (firstOffset !== undefined && !committed) this.#aborted.push({ producerId, firstOffset, lastOffset })
    const goesOn = known?.epoch === epoch
    this.#producers.set(producerId, goesOn ? known : { epoch, lastSequence: -1, recent: [] })
  }

  /** As a fetch answers; records only up to the last stable offset when `committed`. */
  read(offset: number, maxBytes: number, committed: boolean) {
    const limit = committed ? this.lastStable : this.#end
    const found: Buffer[] = []
    let bytes = 0
    for (const batch of this.#batches) {
      if (nextOffsetOf(batch) <= offset || baseOffsetOf(batch) >= limit) continue
      if (bytes > 0 && bytes + batch.length > maxBytes) break
      found.push(batch)
      bytes += batch.length
    }
    const end = found.length === 0 ? offset : nextOffsetOf(found.at(-1)!)
    const abortedTransactions = this.#aborted
      .filter(({ firstOffset, lastOffset }) => lastOffset >= offset && firstOffset < end)
      .map(({ producerId, firstOffset }) => ({ producerId, firstOffset }))
    return { records: Buffer.concat(found), abortedTransactions: committed ? abortedTransactions : null }
  }

  /** Batches that count, in order: below the last stable offset, and of no aborted transaction. */
  committed(): Buffer[] {
    return this.#batches.filter(
      batch =>
        lastOffsetOf(batch) < this.lastStable &&
        !isControl(batch) &&
        !this.#aborted.some(
          ({ producerId, firstOffset, lastOffset }) =>
            producerId === producerIdOf(batch) &&
            baseOffsetOf(batch) >= firstOffset &&
            lastOffsetOf(batch) <= lastOffset,
        ),
    )
  }

  /** What retention may do: the batches that end below the offset go, but for those of open transactions. */
  evict(below: number): void {
    const limit = Math.min(below, this.lastStable)
    this.#batches = this.#batches.filter(batch => nextOffsetOf(batch) > limit)
    this.#start = this.#batches.length === 0 ? limit : Math.max(this.#start, baseOffsetOf(this.#batches[0]!))
  }

  /** What the log cleaner may do: whole batches go whose records `isSuperseded` names, the newest batch stays. */
  compact(isSuperseded: (batch: Buffer) => boolean): void {
    const committed = new Set(this.committed())
    const newest = this.#batches.at(-1)
    this.#batches = this.#batches.filter(batch => batch === newest || !committed.has(batch) || !isSuperseded(batch))
  }

  /** Its base offset. */
  #store(batch: Buffer): number {
    const baseOffset = this.#end
    stamp(batch, baseOffset, this.leaderEpoch)
    this.#batches.push(batch)
    this.#end = nextOffsetOf(batch)
    return baseOffset
  }
}

const controlBatch = (producerId: number, epoch: number, committed: boolean): Buffer => {
  const key = Buffer.from([0, 0, 0, committed ? 1 : 0])
  const producer = { producerId, producerEpoch: epoch, baseSequence: -1 }
  const record = { timestampMs: 0, key, value: Buffer.alloc(6) }
  const batch = Buffer.from(encodeBatch([record], { producer, transactional: true }))
  batch.writeInt16BE(attributesOf(batch) | CONTROL_BIT, AT.attributes)
  seal(batch)
  return batch
}

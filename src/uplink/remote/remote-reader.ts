import type { Cluster } from '../../client/cluster.ts'
import { fetchBatches } from '../../client/fetch-batches.ts'
import { Abortions } from '../../client/fetched-records.ts'
import { KafkaError } from '../../client/kafka-error.ts'
import { earliestOffset, offsetFor, type TopicPartition } from '../../client/partition-offsets.ts'
import { errorCodes } from '../../wire/kafka/error-codes.ts'
import { nextOffsetOf } from '../../wire/kafka/record-batch.ts'
import type { Backoff } from '../backoff.ts'
import type { Lane } from '../lane.ts'
import { type LocalBatch, localBatches } from './local-batches.ts'
import { NamedRecords } from './named-records.ts'
import type { Stretch } from './stretch.ts'

/** Where a reader begins, or goes on: all of the partition from offset `local` on stands at `central` or behind it. */
export interface Begin {
  /** Undefined: the first record that is there decides, for what stood before it may be gone. */
  readonly local: number | undefined
  readonly central: number
}

/** A batch, and where what answers for its offsets begins. */
interface ReadyBatch extends LocalBatch {
  /** Offsets from here to `first` are of no record that is upstream. */
  readonly from: number
  /** Offset of the batch upstream that it is of. */
  readonly central: number
}

interface ReaderParts {
  readonly logId: string
  readonly backoff: Backoff
  /** Monotonic. */
  readonly nowMs: number
}

/** Room for an answer of the central cluster, which gives at least one batch. */
export const fetchBytes = 256 << 10
const maxWaitMs = 500
const noTopicId = '0'.repeat(32)

/** Reads what one local partition has in one central partition, in order, some of it ahead of who asks. */
export class RemoteReader {
  readonly lane: Lane
  readonly stretch: Stretch
  /** Monotonic time at which somebody last asked for what it reads. */
  askedMs: number
  /** It gave something: whoever waits for a reader may have its place. */
  hasServed = false
  /** Monotonic time before which it does not try again. */
  restUntilMs = 0
  readonly backoff: Backoff
  readonly #names: NamedRecords
  readonly #ready: ReadyBatch[] = []
  /** As they came, not unpacked. */
  #fetched: readonly Buffer[] = []
  #abortions = new Abortions([])
  /** Central offset behind what was unpacked. */
  #position: number
  /** Offset here behind what was unpacked; undefined: none was found yet. */
  #next: number | undefined

  constructor(lane: Lane, stretch: Stretch, { local, central }: Begin, { logId, backoff, nowMs }: ReaderParts) {
    const { topic, topicId, partition } = lane
    this.lane = lane
    this.stretch = stretch
    this.askedMs = nowMs
    this.backoff = backoff
    this.#names = new NamedRecords({ logId, topic, topicId, partition })
    this.#position = central
    this.#next = local
  }

  get source(): TopicPartition {
    return { topic: this.stretch.target, partition: this.stretch.central }
  }

  /** The first offset that it can answer for; undefined: it looks for the first record that is left. */
  get from(): number | undefined {
    return this.#ready[0]?.from ?? this.#next
  }

  /** Does it have this offset, or come to it next? */
  covers(offset: number): boolean {
    return this.#next !== undefined && this.from! <= offset && offset <= this.#next
  }

  /** The first offset that it has not come to; undefined: as `from`. */
  get next(): number | undefined {
    return this.#next
  }

  /** All that is known to be upstream of the partition was read. */
  get isAtEnd(): boolean {
    return this.#position > (this.lane.ledger.central[this.stretch.central]?.last ?? -1)
  }

  get readyBytes(): number {
    return this.#ready.reduce((sum, { batch }) => sum + batch.length, 0)
  }

  get heldBytes(): number {
    return this.#fetched.reduce((sum, { length }) => sum + length, this.readyBytes)
  }

  /** From where another reader could go on. */
  get place(): Begin {
    const [head] = this.#ready
    return head === undefined
      ? { local: this.#next, central: this.#position }
      : { local: head.from, central: head.central }
  }

  /** Nothing is at hand to be unpacked. */
  get mustFetch(): boolean {
    return this.#fetched.length === 0
  }

  /** Asks the central cluster for more; returns the bytes that came. Throws what the client throws. */
  async fetch(cluster: Cluster): Promise<number> {
    const { target, targetId } = this.stretch
    const { id } = await cluster.topic(target)
    if (targetId !== noTopicId && id !== targetId)
      throw new KafkaError(errorCodes.UNKNOWN_TOPIC_ID, `topic ${target}`, 'it was deleted there and made anew')
    try {
      const options = { maxBytes: fetchBytes, maxWaitMs, readCommitted: true }
      const { batches, aborted } = await fetchBatches(cluster, this.source, this.#position, options)
      this.#fetched = batches
      this.#abortions = new Abortions(aborted)
    } catch (error) {
      if (!(error instanceof KafkaError) || error.code !== errorCodes.OFFSET_OUT_OF_RANGE) throw error
      await this.#resume(cluster, error)
    }
    return this.#fetched.reduce((sum, { length }) => sum + length, 0)
  }

  /** Takes the records of this partition out of the next batch of the last answer. Throws `UnreadableBatch`. */
  async unpack(): Promise<void> {
    const [batch, ...others] = this.#fetched
    if (batch === undefined) return
    const end = nextOffsetOf(batch)
    if (this.#abortions.counts(batch) && end > this.#position) await this.#take(batch)
    this.#fetched = others
    this.#position = Math.max(this.#position, end)
  }

  /**
   * Batches from the one that answers for `offset` on, below `limit`; whoever asks has all before it. Undefined: they are to come, or at the end there is
   * none. Only of an offset that it `covers`.
   */
  take(offset: number, limit: number, maxBytes: number): readonly Buffer[] | undefined {
    while (this.#ready.length > 0 && this.#ready[0]!.last < offset) this.#ready.shift()
    const taken: Buffer[] = []
    let bytes = 0
    for (const { first, batch } of this.#ready) {
      if (first >= limit || (bytes > 0 && bytes + batch.length > maxBytes)) break
      taken.push(batch)
      bytes += batch.length
    }
    if (taken.length === 0) return undefined
    this.hasServed = true
    return taken
  }

  /** The next record that it has, whatever the limit; undefined: none is read. */
  get upcoming(): number | undefined {
    return this.#ready[0]?.first
  }

  /** What was to be read next is gone there: the first record that is left says from where on all is there. */
  async #resume(cluster: Cluster, error: KafkaError): Promise<void> {
    const start = (await offsetFor(cluster, this.source, earliestOffset)) ?? 0
    if (start <= this.#position) throw error
    this.#position = start
    this.#next = undefined
    this.#ready.length = 0
  }

  async #take(batch: Buffer): Promise<void> {
    const central = this.#position
    for (const local of await localBatches(batch, this.#names, { local: this.#next ?? 0, central })) {
      this.#ready.push({ ...local, from: this.#next ?? local.first, central })
      this.#next = local.last + 1
    }
  }
}

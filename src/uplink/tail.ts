import type { TopicPartition } from '../client/partition-offsets.ts'
import type { UpstreamTail } from '../state/uplink.ts'
import {
  AT,
  baseSequenceOf,
  lastOffsetDeltaOf,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  seal,
  stamp,
  writeInt64,
} from '../wire/kafka/record-batch.ts'
import type { Lane } from './lane.ts'
import type { CentralPlace } from './outgoing-batches.ts'

const noLeaderEpoch = -1
const lastEpoch = 32_767
const none: ReadonlyMap<number, CentralPlace> = new Map()

/** Sequences wrap from 2147483647 to 0. */
const sequenceAfter = (sequence: number, count: number): number => (sequence + count) % 2 ** 31

interface Found {
  readonly places: Map<number, CentralPlace>
  /** Highest offset here. */
  last: number
}

/**
 * The end of what this log has in one partition upstream. Its next sequence makes each batch a comparison: the leader takes it only behind the
 * batch that this log believes to be its last one there, whatever earlier sessions left under way.
 */
export class Tail {
  readonly target: TopicPartition
  /** From here on it is read back. */
  start: UpstreamTail
  /** What there is behind `start` was read, or this session wrote it. */
  isRead = false
  /** No request of an earlier session can take effect any more. */
  isSettled = false
  /** The leader has lost sight of this producer. */
  isForgotten = false
  /** Of the next batch. */
  #sequence: number
  /** Central offset behind the last batch. */
  #end: number
  /** What stands upstream, by lanes whose positions do not say so yet. */
  readonly #found = new Map<Lane, Found>()

  constructor(target: TopicPartition, start: UpstreamTail) {
    this.target = target
    this.start = start
    this.#sequence = start.sequence
    this.#end = start.offset
  }

  /** Central offset up to which it was read. */
  get end(): number {
    return this.#end
  }

  /** It is to be read from `start` again. */
  doubt(): void {
    this.isRead = false
    this.isSettled = false
  }

  rewind(): void {
    this.#sequence = this.start.sequence
    this.#end = this.start.offset
    this.#found.clear()
  }

  /** What was to be read is gone, or the leader forgot what it knew: a new epoch begins anew, and ends the older ones (KIP-360). */
  beginEpoch(offset: number): void {
    this.start = { ...this.start, offset, epoch: Math.min(this.start.epoch + 1, lastEpoch), sequence: 0 }
    this.isForgotten = false
    this.rewind()
  }

  /** A batch that stands in the partition, whoever wrote it. */
  passed(batch: Buffer, nextOffset: number): void {
    const { producerId, epoch } = this.start
    if (producerIdOf(batch) === producerId && producerEpochOf(batch) === epoch)
      this.#sequence = sequenceAfter(baseSequenceOf(batch), lastOffsetDeltaOf(batch) + 1)
    this.#end = nextOffset
  }

  /** A record of the lane, by its offset here, stands at this central offset. */
  found(lane: Lane, offset: number, centralOffset: number): void {
    const known = this.#found.get(lane) ?? { places: new Map<number, CentralPlace>(), last: offset }
    known.places.set(offset, { partition: this.target.partition, offset: centralOffset })
    known.last = Math.max(known.last, offset)
    this.#found.set(lane, known)
  }

  /** Records of the lane that stand upstream, though no position says so, by their offsets here. */
  present(lane: Lane): ReadonlyMap<number, CentralPlace> {
    return this.#found.get(lane)?.places ?? none
  }

  /** Numbers the batch as the next one. */
  sign(batch: Buffer): void {
    const { producerId, epoch } = this.start
    signAs(batch, producerId, epoch, this.#sequence)
  }

  /** The batch stands at this offset. */
  stored(batch: Buffer, baseOffset: number): void {
    const count = recordCountOf(batch)
    this.#sequence = sequenceAfter(this.#sequence, count)
    this.#end = baseOffset + count
  }

  /** Positions upstream say what stands here, but what was found for lanes that are not `isPast` it. True: the start moved. */
  positioned(isPast: (lane: Lane, lastFound: number) => boolean): boolean {
    for (const [lane, { last }] of this.#found) if (isPast(lane, last)) this.#found.delete(lane)
    if (this.#found.size > 0 || !this.isRead) return false
    this.start = { ...this.start, offset: this.#end, sequence: this.#sequence }
    return true
  }

  /** Somebody waits for positions to say what stands here. */
  get isAwaited(): boolean {
    return this.#found.size > 0
  }
}

/** A batch of no producer: the leader takes it however often it comes. */
export const signAsNobody = (batch: Buffer): void => signAs(batch, NO_PRODUCER_ID, NO_PRODUCER_EPOCH, NO_SEQUENCE)

const signAs = (batch: Buffer, producerId: number, epoch: number, sequence: number): void => {
  stamp(batch, 0, noLeaderEpoch)
  writeInt64(batch, AT.producerId, producerId)
  batch.writeInt16BE(epoch, AT.producerEpoch)
  batch.writeInt32BE(sequence, AT.baseSequence)
  seal(batch)
}

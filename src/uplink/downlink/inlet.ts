import type { Cluster } from '../../client/cluster.ts'
import type { OffsetSpan } from '../../client/kafka-error.ts'
import { PartitionReader, type ReaderOptions } from '../../client/partition-reader.ts'
import type { DownlinkPosition } from '../../state/downlink.ts'
import type { Backoff } from '../backoff.ts'

/** One partition of the central cluster on its way down. */
export class Inlet {
  readonly topic: string
  readonly partition: number
  readonly reader: PartitionReader
  /** As it is in the log or on its way there, but for records that are for others: of these the log hears now and then. */
  position: DownlinkPosition
  /** As it is on the device. */
  written: DownlinkPosition & { readonly partition: number }
  /** A fetch is under way, or what it brought. */
  isBusy = false
  /** The last fetch brought something, and there is more. */
  hasMore = false
  /** Its position was not in the central log: where it was, and where that begins. */
  outOfRange: { readonly position: number; readonly logStart: number } | undefined
  /** Monotonic time at which the log heard of the position last. */
  writtenAtMs = Number.NEGATIVE_INFINITY
  /** Why nothing comes from it at present. */
  trouble: string | undefined
  /** What stands at its position and cannot be read: an operator may give it up. */
  unreadable: OffsetSpan | undefined
  /** Monotonic time before which it is not asked again. */
  retryAtMs = Number.NEGATIVE_INFINITY
  #hasFailed = false
  #receivedBefore = 0
  #unpackedBefore = 0
  #positionBefore = 0
  readonly #backoff: Backoff

  constructor(
    cluster: Cluster,
    source: { readonly topic: string; readonly partition: number },
    position: DownlinkPosition,
    options: ReaderOptions,
    backoff: Backoff,
  ) {
    this.topic = source.topic
    this.partition = source.partition
    this.position = position
    this.written = { ...position, partition: source.partition }
    this.reader = new PartitionReader(cluster, { ...source, topicId: position.topicId }, position.next, options)
    this.#backoff = backoff
  }

  /** Offsets that are not read yet; undefined before the first answer. */
  get lag(): number | undefined {
    const { highWatermark } = this.reader
    return highWatermark < 0 ? undefined : Math.max(0, highWatermark - this.position.next)
  }

  /** All below `next` was judged; the record before it was this gateway's when it has an outcome. */
  passed(next: number, outcome: 'taken' | 'expired' | 'refused' | undefined): void {
    const counted = outcome === undefined ? {} : { [outcome]: this.position[outcome] + 1 }
    this.position = { ...this.position, ...counted, next }
  }

  /** The central log went on without the records from the position up to `next`. */
  lost(next: number): void {
    this.position = { ...this.position, next, lost: this.position.lost + Math.max(0, next - this.position.next) }
  }

  /** So much of it is durable. */
  durable(position: DownlinkPosition, nowMs: number): void {
    this.written = { ...position, partition: this.partition }
    this.writtenAtMs = nowMs
  }

  /** The log here takes nothing just now. */
  waitsFor(reason: string): void {
    this.trouble = reason
  }

  /** It is asked for more now. */
  begin(): void {
    this.isBusy = true
    this.outOfRange = undefined
    this.#hasFailed = false
    this.#receivedBefore = this.reader.receivedBytes
    this.#unpackedBefore = this.reader.unpackedBytes
    this.#positionBefore = this.reader.position
  }

  /** Bytes that came since `begin`. */
  get broughtBytes(): number {
    return this.reader.receivedBytes - this.#receivedBefore
  }

  /** What they took once they were decompressed. */
  get unpackedBytes(): number {
    return this.reader.unpackedBytes - this.#unpackedBefore
  }

  /** Something went wrong since `begin`. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  failed(reason: string, nowMs: number): void {
    this.#hasFailed = true
    this.hasMore = false
    this.trouble = reason
    this.retryAtMs = nowMs + this.#backoff.pauseMs()
    // what was not taken is asked for again
    this.reader.position = this.position.next
  }

  /** What came is in the log. */
  answered(): void {
    const { position, highWatermark } = this.reader
    this.hasMore = position > this.#positionBefore && position < highWatermark
    this.trouble = undefined
    this.unreadable = undefined
    this.#backoff.reset()
  }

  /** What cannot be read is given up: it goes on behind it. */
  skip({ last }: OffsetSpan): void {
    this.lost(last + 1)
    this.reader.position = last + 1
    this.retryAtMs = Number.NEGATIVE_INFINITY
    this.trouble = undefined
    this.unreadable = undefined
    this.#backoff.reset()
  }
}

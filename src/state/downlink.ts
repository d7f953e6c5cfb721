import type { Uuid } from '../core/uuid.ts'
import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/** A topic of the central cluster as it was seen last. */
export interface CentralTopic {
  readonly topicId: Uuid
  /** Those that come later are read from their starts. */
  readonly partitions: number
}

/** How far a partition of the central cluster was read, and what became of its records since the topic was made. */
export interface DownlinkPosition {
  readonly topicId: Uuid
  /** Offset to read on from. */
  readonly next: number
  /** Records appended here. */
  readonly taken: number
  /** Records that were for this gateway and too old. */
  readonly expired: number
  /** Records that were for this gateway and could not be stored. */
  readonly refused: number
  /** Offsets that the central cluster no longer had when they were due. */
  readonly lost: number
}

const topicTag = 'topic/'
const positionTag = 'position/'

/**
 * Where the downlink stands. A position is written in the group of the records that it speaks of: both are there or neither. Keys are text,
 * values CBOR:
 *
 *     topic/TOPIC                -> `CentralTopic`
 *     position/TOPIC/PARTITION   -> `DownlinkPosition`
 */
export class DownlinkView implements View {
  readonly name = 'downlink'
  readonly partition = internalPartitions.downlink
  readonly #values = new Map<string, Buffer>()

  topic(topic: string): CentralTopic | undefined {
    return this.#get(topicTag + topic)
  }

  position(topic: string, partition: number): DownlinkPosition | undefined {
    return this.#get(positionKey(topic, partition))
  }

  putTopic(topic: string, seen: CentralTopic): StateChange {
    return this.#put(topicTag + topic, seen)
  }

  putPosition(topic: string, partition: number, position: DownlinkPosition): StateChange {
    return this.#put(positionKey(topic, partition), position)
  }

  apply(key: Buffer, value: Buffer | null): void {
    // a copy, for the value may be a piece of a large batch
    if (value === null) this.#values.delete(key.toString())
    else this.#values.set(key.toString(), Buffer.from(value))
  }

  *entries(): Iterable<StateRecord> {
    for (const [key, value] of this.#values) yield { key: Buffer.from(key), value }
  }

  clear(): void {
    this.#values.clear()
  }

  #get<Value>(key: string): Value | undefined {
    const value = this.#values.get(key)
    return value === undefined ? undefined : decodeState<Value>(value)
  }

  #put(key: string, value: unknown): StateChange {
    return { view: this, key: Buffer.from(key), value: encodeState(value) }
  }
}

const positionKey = (topic: string, partition: number): string => `${positionTag}${topic}/${partition}`

import type { OffsetMap } from '../core/offset-syncs.ts'
import type { Uuid } from '../core/uuid.ts'
import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/** The map of one partition, good for this topic and this target. */
export interface StoredOffsetMap extends OffsetMap {
  readonly topicId: Uuid
  readonly target: string
  readonly targetId: Uuid
}

/**
 * Where offsets of partitions stand in the central cluster. It may be old, which costs those who translate offsets some exactness. Keys are text, values
 * CBOR:
 *
 *     TOPIC/PARTITION -> `StoredOffsetMap`
 */
export class OffsetMapView implements View {
  readonly name = 'offset-map'
  readonly partition = internalPartitions.offsetMap
  readonly #values = new Map<string, Buffer>()

  get(topic: string, partition: number): StoredOffsetMap | undefined {
    const value = this.#values.get(keyOf(topic, partition))
    return value === undefined ? undefined : decodeState<StoredOffsetMap>(value)
  }

  put(topic: string, partition: number, map: StoredOffsetMap): StateChange {
    return { view: this, key: Buffer.from(keyOf(topic, partition)), value: encodeState(map) }
  }

  /** What is held of the topic goes with it. */
  removals(topic: string): StateChange[] {
    return [...this.#values.keys()]
      .filter(key => key.startsWith(`${topic}/`))
      .map(key => ({ view: this, key: Buffer.from(key), value: null }))
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
}

const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`

import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/** What was last published to a topic with the retain flag. */
export interface Retained {
  readonly payload: Buffer
  readonly qos: number
  /** MQTT 5 properties to forward, as mqtt-packet names them; absent when there are none. */
  readonly properties?: Record<string, unknown>
  /** Log age, seconds, from which it is not sent any more; absent when it does not expire. */
  readonly expiresLogAge?: number
}

export interface RetainedLimits {
  readonly count: number
  readonly bytes: number
}

/** Retained publishes by MQTT topic. Key: the topic; value: `Retained`. */
export class RetainedView implements View {
  readonly name = 'retained'
  readonly partition = internalPartitions.retained
  /** Decoded when somebody asks: a start replays all, and few are sent soon. */
  readonly #byTopic = new Map<string, { readonly value: Buffer; retained?: Retained }>()
  #bytes = 0

  get size(): number {
    return this.#byTopic.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get(topic: string): Retained | undefined {
    const entry = this.#byTopic.get(topic)
    if (entry === undefined) return undefined
    entry.retained ??= decodeState<Retained>(entry.value)
    return entry.retained
  }

  has(topic: string): boolean {
    return this.#byTopic.has(topic)
  }

  /** The topics of now. */
  topics(): string[] {
    return [...this.#byTopic.keys()]
  }

  /** The change that keeps `retained` for the topic, or undefined when it would go beyond the limits. */
  put(topic: string, retained: Retained, limits: RetainedLimits): StateChange | undefined {
    const value = encodeState(retained)
    const before = this.#byTopic.get(topic)
    const added = value.length + Buffer.byteLength(topic) - (before === undefined ? 0 : entryBytes(topic, before.value))
    if (before === undefined && this.size >= limits.count) return undefined
    if (added > 0 && this.#bytes + added > limits.bytes) return undefined
    return { view: this, key: Buffer.from(topic), value }
  }

  remove(topic: string): StateChange {
    return { view: this, key: Buffer.from(topic), value: null }
  }

  apply(key: Buffer, value: Buffer | null): void {
    const topic = key.toString()
    const before = this.#byTopic.get(topic)
    if (before !== undefined) this.#bytes -= entryBytes(topic, before.value)
    this.#byTopic.delete(topic)
    if (value === null) return
    this.#byTopic.set(topic, { value })
    this.#bytes += entryBytes(topic, value)
  }

  *entries(): Iterable<StateRecord> {
    for (const [topic, { value }] of this.#byTopic) yield { key: Buffer.from(topic), value }
  }

  clear(): void {
    this.#byTopic.clear()
    this.#bytes = 0
  }
}

const entryBytes = (topic: string, value: Buffer): number => Buffer.byteLength(topic) + value.length

import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/** A will as the log keeps it. */
export interface StoredWill {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** Forwarded properties as a section. */
  readonly properties: Buffer
  readonly delayMs: number
  /** How long nobody hears of a lost connection. */
  readonly silenceMs: number
  /** Log age, seconds, at which it is published; null: its client is connected. */
  readonly dueLogAge: number | null
}

/** Wills of connected clients, and of lost ones while their delay runs. Key: client id; value: `StoredWill`. */
export class MqttWillsView implements View {
  readonly name = 'mqtt-wills'
  readonly partition = internalPartitions.mqttWills
  readonly #byClient = new Map<string, Buffer>()

  /** All of them, by client id. */
  wills(): (readonly [clientId: string, will: StoredWill])[] {
    return [...this.#byClient].map(([clientId, value]) => [clientId, decodeState<StoredWill>(value)])
  }

  /** The change that keeps the will; undefined: it is there as it is. */
  put(clientId: string, will: StoredWill): StateChange | undefined {
    const value = encodeState(will)
    if (this.#byClient.get(clientId)?.equals(value)) return undefined
    return { view: this, key: Buffer.from(clientId), value }
  }

  remove(clientId: string): StateChange {
    return { view: this, key: Buffer.from(clientId), value: null }
  }

  apply(key: Buffer, value: Buffer | null): void {
    const clientId = key.toString()
    if (value === null) this.#byClient.delete(clientId)
    else this.#byClient.set(clientId, value)
  }

  *entries(): Iterable<StateRecord> {
    for (const [clientId, value] of this.#byClient) yield { key: Buffer.from(clientId), value }
  }

  clear(): void {
    this.#byClient.clear()
  }
}

import { type PartitionId, partitionId } from '../core/brand.ts'
import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/** A subscription as the log keeps it. */
export interface StoredSubscription {
  readonly filter: string
  readonly qos: 0 | 1 | 2
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** 0: none. */
  readonly identifier: number
  /** Offsets by partition: what stands below was published before the subscription was made. */
  readonly from: readonly (readonly [partition: number, offset: number])[]
}

export interface StoredSession {
  /** How long it stays after the connection, ms; null: for ever. */
  readonly expiryMs: number | null
  readonly subscriptions: readonly StoredSubscription[]
}

interface Entry {
  session: StoredSession | undefined
  readonly positions: Map<PartitionId, number>
}

/** First byte of the key of a position. */
export const positionKeyTag = 2
const sessionKeyTag = 1
const positionHeadBytes = 5

/**
 * MQTT sessions that outlive their connections, and from where in each partition they may have missed something. Keys: u8 1 and the client id,
 * value `StoredSession`; u8 2, u32 partition and the client id, value the offset.
 */
export class MqttSessionsView implements View {
  readonly name = 'mqtt-sessions'
  readonly partition = internalPartitions.mqttSessions
  readonly #byClient = new Map<string, Entry>()

  get size(): number {
    return this.#byClient.size
  }

  /** All clients of which something is kept. */
  clients(): string[] {
    return [...this.#byClient.keys()]
  }

  session(clientId: string): StoredSession | undefined {
    return this.#byClient.get(clientId)?.session
  }

  /** Offsets by partition: nothing below has to be delivered to the client any more. */
  positions(clientId: string): ReadonlyMap<PartitionId, number> {
    return this.#byClient.get(clientId)?.positions ?? new Map()
  }

  position(clientId: string, partition: PartitionId): number | undefined {
    return this.#byClient.get(clientId)?.positions.get(partition)
  }

  put(clientId: string, session: StoredSession): StateChange {
    return { view: this, key: sessionKey(clientId), value: encodeState(session) }
  }

  putPosition(clientId: string, partition: PartitionId, offset: number): StateChange {
    return { view: this, key: positionKey(clientId, partition), value: encodeState(offset) }
  }

  removePosition(clientId: string, partition: PartitionId): StateChange {
    return { view: this, key: positionKey(clientId, partition), value: null }
  }

  /** Everything of the client. */
  remove(clientId: string): StateChange[] {
    const entry = this.#byClient.get(clientId)
    if (entry === undefined) return []
    const positions = [...entry.positions.keys()].map(partition => this.removePosition(clientId, partition))
    return [...positions, { view: this, key: sessionKey(clientId), value: null }]
  }

  apply(key: Buffer, value: Buffer | null): void {
    const isPosition = key[0] === positionKeyTag
    const clientId = key.toString('utf8', isPosition ? positionHeadBytes : 1)
    let entry = this.#byClient.get(clientId)
    if (entry === undefined) {
      if (value === null) return
      this.#byClient.set(clientId, (entry = { session: undefined, positions: new Map() }))
    }
    if (!isPosition) entry.session = value === null ? undefined : decodeState<StoredSession>(value)
    else if (value === null) entry.positions.delete(partitionId(key.readUInt32BE(1)))
    else entry.positions.set(partitionId(key.readUInt32BE(1)), decodeState<number>(value))
    if (entry.session === undefined && entry.positions.size === 0) this.#byClient.delete(clientId)
  }

  *entries(): Iterable<StateRecord> {
    for (const [clientId, { session, positions }] of this.#byClient) {
      if (session !== undefined) yield this.put(clientId, session)
      for (const [partition, offset] of positions) yield this.putPosition(clientId, partition, offset)
    }
  }

  clear(): void {
    this.#byClient.clear()
  }
}

const sessionKey = (clientId: string): Buffer => Buffer.concat([Buffer.from([sessionKeyTag]), Buffer.from(clientId)])

const positionKey = (clientId: string, partition: PartitionId): Buffer => {
  const head = Buffer.alloc(positionHeadBytes)
  head[0] = positionKeyTag
  head.writeUInt32BE(partition, 1)
  return Buffer.concat([head, Buffer.from(clientId)])
}

import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/** Packet id, partition and offset of a QoS 2 publish; partition -1: it stands nowhere in the log. */
export type StoredPacketId = readonly [packetId: number, partition: number, offset: number]

/** Packet ids that were given to QoS 2 publishes together. */
export interface StoredWindow {
  /** For the client's own subscriptions: the client has received what lies below its position in the partition. */
  readonly own: readonly StoredPacketId[]
  /** Of what has no place in the log, or for a replay: no position tells of them. */
  readonly other: readonly StoredPacketId[]
  /** Packet ids of which the client has sent PUBREC, as far as no position tells. */
  readonly received: readonly number[]
  /** For shared subscriptions, by their filters as subscribed: their positions tell of them. */
  readonly shared: readonly (readonly [filter: string, ids: readonly StoredPacketId[]])[]
}

/** Key: window number (6 bytes, big endian), then the client id. */
const numberBytes = 6

/**
 * QoS 2 publishes on their way to clients whose sessions outlive their connections: which packet id belongs to which record, so that after a
 * restart the same exchange goes on. Windows of one client are numbered in the order in which they were made.
 */
export class MqttOutboundView implements View {
  readonly name = 'mqtt-outbound'
  readonly partition = internalPartitions.mqttOutbound
  readonly #byClient = new Map<string, Map<number, Buffer>>()

  /** All clients of which something is kept. */
  clients(): string[] {
    return [...this.#byClient.keys()]
  }

  /** The oldest comes first. */
  windows(clientId: string): readonly (readonly [number: number, window: StoredWindow])[] {
    const found = [...(this.#byClient.get(clientId) ?? [])].sort(([one], [other]) => one - other)
    return found.map(([number, value]) => [number, decodeWindow(value)])
  }

  put(clientId: string, number: number, window: StoredWindow): StateChange {
    const { own, other, received } = window
    const shared = window.shared.map(([filter, ids]) => [filter, ids.flat()])
    const value = encodeState([own.flat(), other.flat(), received, ...(shared.length === 0 ? [] : [shared])])
    return { view: this, key: windowKey(clientId, number), value }
  }

  remove(clientId: string, number: number): StateChange {
    return { view: this, key: windowKey(clientId, number), value: null }
  }

  /** Everything of the client. */
  removeAll(clientId: string): StateChange[] {
    return [...(this.#byClient.get(clientId)?.keys() ?? [])].map(number => this.remove(clientId, number))
  }

  apply(key: Buffer, value: Buffer | null): void {
    const number = key.readUIntBE(0, numberBytes)
    const clientId = key.toString('utf8', numberBytes)
    const windows = this.#byClient.get(clientId)
    if (value !== null) {
      if (windows === undefined) this.#byClient.set(clientId, new Map([[number, value]]))
      else windows.set(number, value)
    } else if (windows?.delete(number) && windows.size === 0) this.#byClient.delete(clientId)
  }

  *entries(): Iterable<StateRecord> {
    for (const [clientId, windows] of this.#byClient)
      for (const [number, value] of windows) yield { key: windowKey(clientId, number), value }
  }

  clear(): void {
    this.#byClient.clear()
  }
}

const windowKey = (clientId: string, number: number): Buffer => {
  const key = Buffer.allocUnsafe(numberBytes + Buffer.byteLength(clientId))
  key.writeUIntBE(number, 0, numberBytes)
  key.write(clientId, numberBytes)
  return key
}

const decodeWindow = (value: Buffer): StoredWindow => {
  const [own, other, received, shared = []] =
    decodeState<[number[], number[], number[], [filter: string, ids: number[]][]?]>(value)
  return {
    own: inThrees(own),
    other: inThrees(other),
    received,
    shared: shared.map(([filter, ids]) => [filter, inThrees(ids)]),
  }
}

const inThrees = (numbers: readonly number[]): StoredPacketId[] => {
  const found: StoredPacketId[] = []
  for (let at = 0; at < numbers.length; at += 3) found.push([numbers[at]!, numbers[at + 1]!, numbers[at + 2]!])
  return found
}

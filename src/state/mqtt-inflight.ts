import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

const held = Buffer.from([1])
const packetIdBytes = 2

/**
 * QoS 2 packet ids received but not released (PUBREL), by client: a repeat of one of them makes no second record. Key: packet id (2 bytes,
 * big endian), then the client id; the value says nothing.
 */
export class MqttInflightView implements View {
  readonly name = 'mqtt-inflight'
  readonly partition = internalPartitions.mqttInflight
  readonly #byClient = new Map<string, Set<number>>()

  has(clientId: string, packetId: number): boolean {
    return this.#byClient.get(clientId)?.has(packetId) ?? false
  }

  /** Packet ids held for the client. */
  count(clientId: string): number {
    return this.#byClient.get(clientId)?.size ?? 0
  }

  /** The one whose oldest packet id is oldest comes first. */
  get clients(): Iterable<string> {
    return this.#byClient.keys()
  }

  hold(clientId: string, packetId: number): StateChange {
    return { view: this, key: inflightKey(clientId, packetId), value: held }
  }

  release(clientId: string, packetId: number): StateChange {
    return { view: this, key: inflightKey(clientId, packetId), value: null }
  }

  /** The end of the client's session. */
  releaseAll(clientId: string): StateChange[] {
    return [...(this.#byClient.get(clientId) ?? [])].map(packetId => this.release(clientId, packetId))
  }

  apply(key: Buffer, value: Buffer | null): void {
    const packetId = key.readUInt16BE(0)
    const clientId = key.toString('utf8', packetIdBytes)
    const ids = this.#byClient.get(clientId)
    if (value !== null) {
      if (ids === undefined) this.#byClient.set(clientId, new Set([packetId]))
      else ids.add(packetId)
    } else if (ids?.delete(packetId) && ids.size === 0) this.#byClient.delete(clientId)
  }

  *entries(): Iterable<StateRecord> {
    for (const [clientId, ids] of this.#byClient) {
      for (const packetId of ids) yield { key: inflightKey(clientId, packetId), value: held }
    }
  }

  clear(): void {
    this.#byClient.clear()
  }
}

const inflightKey = (clientId: string, packetId: number): Buffer => {
  const key = Buffer.allocUnsafe(packetIdBytes + Buffer.byteLength(clientId))
  key.writeUInt16BE(packetId, 0)
  key.write(clientId, packetIdBytes)
  return key
}

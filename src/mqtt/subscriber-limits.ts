import type { AedesPublishPacket, Client, SubscribePacket } from 'aedes'
import type { Metrics } from '../core/metrics.ts'
import { encodeSuback } from '../wire/mqtt/acks.ts'
import { filterMatches, topicFilterFault } from '../wire/mqtt/topic-filter.ts'
import type { CloseLog } from './close-log.ts'
import type { MqttConnection } from './connection.ts'
import { reasonCodes } from './errors.ts'
import type { MemoryShare } from './memory-share.ts'
import type { OutboundLimit } from './outbound-limit.ts'
import { peerOf } from './publish-admission.ts'
import type { ForwardedProperties } from './record-headers.ts'

export interface SubscriberLimitsParts {
  readonly maxSubscriptions: number
  /** Subscriptions of all clients. */
  readonly subscriptionMemory: MemoryShare
  readonly outbound: OutboundLimit
  readonly closeLog: CloseLog
  readonly metrics: Metrics
  readonly connectionOf: (client: Client) => MqttConnection | undefined
}

type Forwarded = AedesPublishPacket & { properties?: ForwardedProperties }

/** SUBACK of 3.1.1 has one word for all failures. */
const failure = 0x80
const fixedBytes = 16
const propertyBytes = 5

/** What one subscriber may ask for and get. */
export class SubscriberLimits {
  readonly #parts: SubscriberLimitsParts
  /** Filters let through that the engine has not added yet: more packets may come before it has. */
  readonly #pending = new WeakMap<Client, Set<string>>()

  constructor(parts: SubscriberLimitsParts) {
    this.#parts = parts
  }

  /**
   * Refuses a SUBSCRIBE that would take the client beyond its limit, all filters of it, before the engine sees it: the engine counts
   * too late, does work for each pair of filters, and its only answer is "not authorized".
   */
  checkSubscribe(client: Client, packet: SubscribePacket): void {
    const { maxSubscriptions, subscriptionMemory, metrics, connectionOf } = this.#parts
    // malformed filters end the connection, in the engine
    if (packet.subscriptions.some(({ topic }) => topicFilterFault(topic) !== undefined)) return
    const present = subscriptionsOf(client)
    const pending = this.#pending.get(client) ?? new Set<string>()
    const filters = packet.subscriptions.map(({ topic }) => topic).filter(topic => !(topic in present))
    const added = new Set([...pending, ...filters])
    const bytes = [...added].reduce((sum, filter) => sum + subscriptionBytes(filter), 0)
    const isFull = Object.keys(present).length + added.size > maxSubscriptions
    if (filters.length === 0) return
    if (!isFull && subscriptionMemory.hasRoom(bytes)) {
      this.#pending.set(client, added)
      return
    }
    metrics.add('mqttRefused', packet.subscriptions.length, isFull ? 'subscriptions.max' : 'subscription memory')
    const reason = client.version === 5 ? reasonCodes.quotaExceeded : failure
    const count = packet.subscriptions.length
    connectionOf(client)?.write([encodeSuback(packet.messageId ?? 0, count, reason, client.version)])
    // nothing is left for the engine to do, nor to answer
    packet.subscriptions = []
    delete packet.messageId
  }

  /** The engine is done with a SUBSCRIBE. */
  subscribed(client: Client, filters: readonly string[]): void {
    const pending = this.#pending.get(client)
    for (const filter of filters) pending?.delete(filter)
  }

  /**
   * The packet as this client may get it, or null. QoS is lowered to what the client subscribed with, which the engine does only for filters without
   * wildcards. What waits for a slow subscriber is bounded: QoS 0 is dropped; with more, the connection ends, and a session keeps its queue.
   */
  forward(client: Client, packet: Forwarded): AedesPublishPacket | null {
    const { outbound, metrics, closeLog, connectionOf } = this.#parts
    const connection = connectionOf(client)
    if (connection === undefined) return packet
    // retained publishes have no broker id, and only QoS 2 can be too much for those that come live
    const granted = packet.qos === 2 || (packet.qos > 0 && !packet.brokerId) ? subscribedQos(client, packet.topic) : 2
    if (granted !== undefined && granted < packet.qos) packet.qos = granted
    const { maximumPacketSize } = client as { maximumPacketSize?: number }
    if (maximumPacketSize !== undefined && sizeAtMost(packet) > maximumPacketSize) {
      // [MQTT-3.1.2-24] [MQTT-3.1.2-25]
      metrics.add('mqttDropped', 1, 'larger than the subscriber takes')
      return null
    }
    if (!outbound.tooSlow(connection.pendingBytes)) return packet
    metrics.add('mqttDropped', 1, 'slow subscriber')
    if (packet.qos === 0 || subscribedQos(client, packet.topic) === 0) return null
    closeLog.closed('slow.subscriber', peerOf(client, connection), `${connection.pendingBytes} bytes wait for it`)
    connection.destroy()
    return packet
  }
}

/** The highest QoS with which the client subscribes to the topic; undefined when it does not. */
function subscribedQos(client: Client, topic: string): 0 | 1 | 2 | undefined {
  let highest: 0 | 1 | 2 | undefined
  for (const [filter, { qos }] of Object.entries(subscriptionsOf(client))) {
    if ((highest === undefined || qos > highest) && filterMatches(filter, topic)) highest = qos
  }
  return highest
}

/** No packet for it is larger; where properties are long, a little less would do. */
function sizeAtMost({ topic, payload, properties }: Forwarded): number {
  let size = fixedBytes + Buffer.byteLength(topic) + payload.length
  if (properties === undefined) return size
  const { contentType, responseTopic, correlationData, userProperties } = properties
  size += 4 * propertyBytes + (correlationData?.length ?? 0)
  for (const text of [contentType, responseTopic])
    if (text !== undefined) size += propertyBytes + Buffer.byteLength(text)
  for (const [name, values] of Object.entries(userProperties ?? {})) {
    for (const value of [values].flat()) size += propertyBytes + Buffer.byteLength(name) + Buffer.byteLength(value)
  }
  return size
}

const overheadBytes = 512
const bytesPerLevel = 128

/** What a subscription costs in memory, about. */
export const subscriptionBytes = (filter: string): number =>
  overheadBytes + 2 * filter.length + bytesPerLevel * filter.split('/').length

// aedes has it, its types have not
export const subscriptionsOf = (client: Client): Record<string, { readonly qos: 0 | 1 | 2 }> =>
  (client as unknown as { subscriptions: Record<string, { readonly qos: 0 | 1 | 2 }> }).subscriptions

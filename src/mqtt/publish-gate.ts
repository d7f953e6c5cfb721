import type { Broker } from '../broker/broker.ts'
import type { ClockQuality } from '../broker/clock-quality.ts'
import type { GroupNumber } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { Retained } from '../state/retained.ts'
import type { StateChange } from '../state/view.ts'
import { BatchBuilder } from '../wire/kafka/batch-builder.ts'
import { topicNameFault } from '../wire/mqtt/topic-name.ts'
import type { PublishState } from './publish-state.ts'
import { encodePublished, type ForwardedProperties } from './record-headers.ts'
import type { TopicRoutes } from './topic-routes.ts'

/** A PUBLISH or a will as the session engine gives it. */
export interface EnginePublish {
  readonly topic: string
  readonly payload: Buffer | string
  readonly qos: number
  readonly retain: boolean
  /** Absent in a will and with QoS 0. */
  readonly messageId?: number
  readonly properties?: Record<string, unknown> | undefined
}

/** `group`: it is stored once that group is durable; undefined: there is nothing to wait for. */
export interface Gated {
  readonly group: GroupNumber | undefined
}

export interface PublishGateParts {
  readonly broker: Broker
  readonly routes: TopicRoutes
  readonly state: PublishState
  readonly clock: Clock
  readonly clockQuality: () => ClockQuality
  readonly metrics: Metrics
}

const nothing: Gated = { group: undefined }

/**
 * Stores what the session engine is about to acknowledge: record, retained state and QoS 2 packet id in one group. The hot path
 * (`Ingest`) stores plain publishes by itself; both make the same record.
 */
export class PublishGate {
  readonly #parts: PublishGateParts
  readonly #builder = new BatchBuilder()

  constructor(parts: PublishGateParts) {
    this.#parts = parts
  }

  /** Throws `BrokerError`; then nothing was stored. */
  store(clientId: string, packet: EnginePublish): Gated {
    const { routes, state, broker } = this.#parts
    const fault = topicNameFault(packet.topic)
    if (fault !== undefined) throw new BrokerError('invalidTopic', fault)
    const isQos2 = packet.qos === 2 && packet.messageId !== undefined
    // the repeat waits for its original
    if (isQos2 && state.holds(clientId, packet.messageId!)) return { group: state.newestGroup }
    if (isQos2 && !state.hasRoom(clientId))
      throw new BrokerError('policyViolation', 'too many QoS 2 packet ids are not released')
    const changes: StateChange[] = []
    if (isQos2) changes.push(...this.#hold(clientId, packet.messageId!))
    if (packet.retain) changes.push(...this.#retain(packet))
    const open = routes.open(packet.topic)
    if (open === undefined && changes.length === 0) return nothing
    if (open === undefined) {
      const group = state.write(changes, [])
      if (isQos2) state.markFresh(packet)
      return { group }
    }
    const partition = routes.partitionFor(open)
    const { destination, topic } = open
    const headers = encodePublished({
      clientId,
      mqttTopic: destination.keyIsTopic ? undefined : packet.topic,
      qos: packet.qos,
      retain: packet.retain,
      routeHeaders: destination.headers,
      properties: packet.properties as ForwardedProperties | undefined,
      clock: this.#parts.clockQuality(),
    })
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload
    const timestampMs = this.#parts.clock.wallMs()
    if (changes.length === 0) {
      broker.appendRecord(topic, partition, timestampMs, destination.key, payload, 0, payload.length, headers)
      this.#parts.metrics.add('mqttStored')
      return { group: broker.openGroup }
    }
    this.#builder.reset()
    this.#builder.append(timestampMs, destination.key, payload, 0, payload.length, headers)
    const batch = this.#builder.finish(0, -1)
    const group = state.write(changes, [{ partition: topic.partitions[partition]!, batch }])
    this.#parts.metrics.add('mqttStored')
    if (isQos2) state.markFresh(packet)
    return { group }
  }

  #hold(clientId: string, packetId: number): StateChange[] {
    const { changes, evicted } = this.#parts.state.hold(clientId, packetId)
    if (evicted) this.#parts.metrics.add('mqttDropped', 1, 'session evicted')
    return changes
  }

  #retain(packet: EnginePublish): StateChange[] {
    const { state, metrics } = this.#parts
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload
    const { properties } = packet
    const expirySeconds = properties?.['messageExpiryInterval']
    const retained: Retained = {
      payload,
      qos: packet.qos,
      ...(properties !== undefined && { properties: forwarded(properties) }),
      ...(typeof expirySeconds === 'number' && { expiresLogAge: state.logAge + expirySeconds }),
    }
    const { change, isFull } = state.retain(packet.topic, retained)
    if (isFull) metrics.add('mqttDropped', 1, 'retained full')
    return change === undefined ? [] : [change]
  }
}

const forwardedNames: readonly (keyof ForwardedProperties)[] = [
  'payloadFormatIndicator',
  'messageExpiryInterval',
  'contentType',
  'responseTopic',
  'correlationData',
  'userProperties',
]

const forwarded = (properties: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(forwardedNames.flatMap(name => (properties[name] === undefined ? [] : [[name, properties[name]]])))

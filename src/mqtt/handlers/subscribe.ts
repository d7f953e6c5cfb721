import { decodeSubscribe, type SubscribePacket, type SubscriptionRequest } from '../../wire/mqtt/client-packets.ts'
import { ProtocolViolation } from '../../wire/mqtt/protocol-violation.ts'
import { encodeSuback } from '../../wire/mqtt/server-packets.ts'
import { filterCovers } from '../../wire/mqtt/topic-filter.ts'
import { levelCount } from '../../wire/mqtt/topic-name.ts'
import type { Client } from '../client.ts'
import { reasonCodes } from '../errors.ts'
import { sendRetained } from '../retained-reader.ts'
import type { MqttServices } from '../services.ts'
import { filterFault, type Subscription, sharedFilterOf } from '../subscription.ts'

/** SUBACK of 3.1.1 has one word for all failures. */
const failure = 0x80

/** SUBSCRIBE, section 3.8: each filter is granted or refused by itself, but what is too much is refused as a whole. [MQTT-3.8.4-1] */
export function handleSubscribe(client: Client, bytes: Buffer, start: number, end: number): void {
  const packet = decodeSubscribe(bytes, start, end, client.version)
  for (const request of packet.subscriptions) check(request, client.version)
  const { services } = client.connection
  const tooMuch = excess(client, packet)
  if (tooMuch !== undefined) {
    services.metrics.add('mqttRefused', packet.subscriptions.length, tooMuch)
    const codes = packet.subscriptions.map(() => codeFor(client, reasonCodes.quotaExceeded))
    client.connection.write(encodeSuback(client.version, packet.packetId, codes))
    return
  }
  const retainedFor: Subscription[] = []
  // [MQTT-3.8.4-6] [MQTT-3.9.3-1]
  const codes = packet.subscriptions.map(request => {
    const filter = sharedFilterOf(request.filter)?.filter ?? request.filter
    const isDeep = levelCount(filter) > services.limits.maxTopicLevels
    const denied = isDeep ? reasonCodes.topicFilterInvalid : deniedReason(services, filter)
    if (denied !== undefined) {
      services.metrics.add('mqttRefused', 1, isDeep ? 'topic.levels.max' : 'subscribe denied')
      return codeFor(client, denied)
    }
    const { subscription, isNew } = subscribe(client, request, packet.properties.subscriptionIdentifiers?.[0] ?? 0)
    if (wantsRetained(request, isNew)) retainedFor.push(subscription)
    // [MQTT-3.8.4-7] [MQTT-3.9.3-2]
    return request.qos
  })
  // a session that outlives its connection is on the device before it is acknowledged
  client.connection.whenDurable(services.sessionLog.save(client.session), () => {
    // [MQTT-3.8.4-5]
    client.connection.write(encodeSuback(client.version, packet.packetId, codes))
    if (retainedFor.length > 0) sendRetained(client, retainedFor)
  })
}

const codeFor = (client: Client, reasonCode: number): number => (client.version === 5 ? reasonCode : failure)

function check({ filter, noLocal }: SubscriptionRequest, version: number): void {
  const fault = filterFault(filter)
  if (fault !== undefined) throw new ProtocolViolation('topicFilterInvalid', `cannot subscribe: ${fault}`)
  // [MQTT-3.8.3-4]
  if (version === 5 && noLocal && sharedFilterOf(filter) !== undefined)
    throw new ProtocolViolation('protocolError', 'No Local with a shared subscription')
}

/** Which limit the packet goes beyond. */
function excess(client: Client, { subscriptions }: SubscribePacket): string | undefined {
  const { services } = client.connection
  const present = client.session.subscriptions
  const added = new Set(subscriptions.map(({ filter }) => filter).filter(filter => !present.has(filter)))
  if (present.size + added.size > services.limits.maxSubscriptions) return 'subscriptions.max'
  return services.subscriptions.hasRoom(added) ? undefined : 'subscription memory'
}

/** A rule denies the filters that it covers. */
function deniedReason({ denied }: MqttServices, filter: string): number | undefined {
  return denied.find(({ mqtt }) => filterCovers(mqtt, filter))?.reason
}

function subscribe(
  client: Client,
  request: SubscriptionRequest,
  identifier: number,
): { subscription: Subscription; isNew: boolean } {
  const { session, isBridge } = client
  const { sessions, broker } = client.connection.services
  const { filter, qos } = request
  const before = session.subscriptions.get(filter)
  const subscription: Subscription = {
    session,
    filter,
    qos,
    // what a bridge of 3.1 and 3.1.1 says with one bit for all its subscriptions
    noLocal: client.version === 5 ? request.noLocal : isBridge,
    retainAsPublished: client.version === 5 ? request.retainAsPublished : isBridge,
    identifier,
    from:
      before?.from ??
      new Map([...session.backlog.expected].map(partition => [partition, broker.offsets(partition).logEnd])),
  }
  // [MQTT-3.8.4-4]
  return { subscription, isNew: sessions.subscribe(session, subscription) }
}

/** [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]; none for shared subscriptions, section 4.8.2. */
function wantsRetained({ filter, retainHandling }: SubscriptionRequest, isNew: boolean): boolean {
  if (retainHandling === 2 || (retainHandling === 1 && !isNew)) return false
  return sharedFilterOf(filter) === undefined
}

import type { Broker } from '../../broker/broker.ts'
import type { PartitionId } from '../../core/brand.ts'
import { decodeSubscribe, type SubscribePacket, type SubscriptionRequest } from '../../wire/mqtt/client-packets.ts'
import { ProtocolViolation } from '../../wire/mqtt/protocol-violation.ts'
import { encodeSuback, filterAckBytes } from '../../wire/mqtt/server-packets.ts'
import { filterCovers } from '../../wire/mqtt/topic-filter.ts'
import { levelCount } from '../../wire/mqtt/topic-name.ts'
import type { Client } from '../client.ts'
import { reasonCodes } from '../errors.ts'
import { Replay } from '../replay.ts'
import { isReplay, replayFilterOf } from '../replay-filter.ts'
import { sendRetained } from '../retained-reader.ts'
import type { MqttServices } from '../services.ts'
import { filterFault, type Subscription, sharedFilterOf } from '../subscription.ts'

/** SUBACK of 3.1.1 has one word for all failures. */
const failure = 0x80

/** SUBSCRIBE, section 3.8: each filter is granted or refused by itself, but what is too much is refused as a whole. [MQTT-3.8.4-1] */
export function handleSubscribe(client: Client, bytes: Buffer, start: number, end: number): void {
  const packet = decodeSubscribe(bytes, start, end, client.version)
  for (const request of packet.subscriptions) check(request, client.version)
  // [MQTT-3.1.2-24]
  if (!client.takes(filterAckBytes(packet.subscriptions.length)))
    throw new ProtocolViolation('packetTooLarge', 'its SUBACK would be larger than the client takes')
  const { services } = client.connection
  const tooMuch = excess(client, packet)
  if (tooMuch !== undefined) {
    const { subscriptions } = packet
    tellRefused(client, tooMuch, subscriptions[0]!.filter, subscriptions.length)
    const codes = packet.subscriptions.map(() => codeFor(client, reasonCodes.quotaExceeded))
    client.connection.write(encodeSuback(client.version, packet.packetId, codes))
    return
  }
  const identifier = packet.properties.subscriptionIdentifiers?.[0] ?? 0
  const retainedFor: Subscription[] = []
  const begun: Replay[] = []
  // [MQTT-3.8.4-6] [MQTT-3.9.3-1]
  const codes = packet.subscriptions.map(request => {
    const refusal = refusalOf(services, request.filter)
    if (refusal !== undefined) return refuse(client, refusal, request)
    if (isReplay(request.filter)) {
      const replay = replayOf(client, request, identifier)
      if (!services.replays.add(client, replay)) return refuse(client, noRoomForReplay, request)
      begun.push(replay)
    } else {
      const { subscription, isNew } = subscribe(client, request, identifier)
      if (wantsRetained(request, isNew)) retainedFor.push(subscription)
    }
    // [MQTT-3.8.4-7] [MQTT-3.9.3-2]
    return request.qos
  })
  // a session that outlives its connection is on the device before it is acknowledged
  client.connection.whenDurable(services.sessionLog.save(client.session), () => {
    // [MQTT-3.8.4-5]
    client.connection.write(encodeSuback(client.version, packet.packetId, codes))
    if (retainedFor.length > 0) sendRetained(client, retainedFor)
    for (const replay of begun) replay.start()
    services.sessions.joined(client.session)
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

interface Refusal {
  readonly why: string
  readonly reasonCode: number
}

const noRoomForReplay: Refusal = { why: 'replays', reasonCode: reasonCodes.quotaExceeded }

/** Why one filter is refused; limits and rules are those of the filter within a shared one or a replay. */
function refusalOf(services: MqttServices, text: string): Refusal | undefined {
  const wanted = isReplay(text) ? replayFilterOf(text) : (sharedFilterOf(text) ?? { filter: text })
  if (wanted === undefined) return { why: 'replay filter', reasonCode: reasonCodes.topicFilterInvalid }
  if (levelCount(wanted.filter) > services.limits.maxTopicLevels)
    return { why: 'topic.levels.max', reasonCode: reasonCodes.topicFilterInvalid }
  const denied = deniedReason(services, wanted.filter) ?? (isReplay(text) ? deniedReason(services, text) : undefined)
  if (denied !== undefined) return { why: 'subscribe denied', reasonCode: denied }
  return undefined
}

/** Counted and told here, too: most clients do not look at SUBACK. `filter`: the first of so many. */
const tellRefused = ({ clientId, connection }: Client, reason: string, filter: string, count: number): void =>
  connection.services.subscriptionRefusals.refused(reason, { remote: connection.remote, clientId, filter, count })

function refuse(client: Client, { why, reasonCode }: Refusal, { filter }: SubscriptionRequest): number {
  tellRefused(client, why, filter, 1)
  return codeFor(client, reasonCode)
}

/** Which limit the packet goes beyond. */
function excess(client: Client, { subscriptions }: SubscribePacket): string | undefined {
  const { services } = client.connection
  const { session, replays } = client
  const isAdded = (filter: string): boolean => !session.subscriptions.has(filter) && !replays.has(filter)
  const added = new Set(subscriptions.map(({ filter }) => filter).filter(isAdded))
  if (session.subscriptions.size + replays.size + added.size > services.limits.maxSubscriptions)
    return 'subscriptions.max'
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
  const { session } = client
  const { sessions, broker } = client.connection.services
  const { filter, qos } = request
  const before = session.subscriptions.get(filter)
  const subscription: Subscription = {
    session,
    filter,
    qos,
    ...optionsOf(client, request),
    identifier,
    from: before?.from ?? endsOf(broker, session.backlog.expected),
  }
  // [MQTT-3.8.4-4]
  return { subscription, isNew: sessions.subscribe(session, subscription) }
}

const noOffsets: ReadonlyMap<PartitionId, number> = new Map()

/** Where what is published from now on will stand. */
const endsOf = (broker: Broker, partitions: ReadonlySet<PartitionId>): ReadonlyMap<PartitionId, number> =>
  partitions.size === 0
    ? noOffsets
    : new Map([...partitions].map(partition => [partition, broker.offsets(partition).logEnd]))

function replayOf(client: Client, request: SubscriptionRequest, identifier: number): Replay {
  const { filter: text, qos } = request
  return new Replay({ client, text, wanted: replayFilterOf(text)!, qos, ...optionsOf(client, request), identifier })
}

/** What a bridge of 3.1 and 3.1.1 says with one bit for all its subscriptions. */
const optionsOf = (
  { version, isBridge }: Client,
  { noLocal, retainAsPublished }: SubscriptionRequest,
): Pick<Subscription, 'noLocal' | 'retainAsPublished'> =>
  version === 5 ? { noLocal, retainAsPublished } : { noLocal: isBridge, retainAsPublished: isBridge }

/** [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]; none for shared subscriptions, section 4.8.2. */
function wantsRetained({ filter, retainHandling }: SubscriptionRequest, isNew: boolean): boolean {
  if (retainHandling === 2 || (retainHandling === 1 && !isNew)) return false
  return sharedFilterOf(filter) === undefined
}

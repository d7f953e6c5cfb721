import type { Topic } from '../../broker/topics.ts'
import type { GroupNumber } from '../../core/brand.ts'
import { BrokerError } from '../../core/errors.ts'
import type { Metrics } from '../../core/metrics.ts'
import type { StateChange } from '../../state/view.ts'
import { ackTypes } from '../../wire/mqtt/acks.ts'
import { ProtocolViolation } from '../../wire/mqtt/protocol-violation.ts'
import { PublishProperties } from '../../wire/mqtt/publish-properties.ts'
import type { PublishScanner } from '../../wire/mqtt/publish-scanner.ts'
import type { Client } from '../client.ts'
import { pubackReason, reasonCodes } from '../errors.ts'
import type { PublishPlan } from '../ingest.ts'
import { Publication } from '../publication.ts'
import type { Retention } from '../publish-state.ts'
import { endsOf, type PartitionEnd } from '../upstream-acks.ts'

// nothing yields while a PUBLISH is handled, so that one reader and one set of counters serve all connections
const properties = new PublishProperties()
const received = [0, 0, 0]
let stored = 0
const noChanges: readonly StateChange[] = []

/**
 * Takes the PUBLISH of `client` on which the scanner stands: stores it, has it acknowledged and handed to subscribers once it is durable.
 * False: the log has no room for it just now, nothing has happened.
 */
export function handlePublish(client: Client, bytes: Buffer, scanner: PublishScanner): boolean {
  const { services } = client.connection
  const { qos } = scanner
  properties.read(bytes, scanner.propertiesStart, scanner.propertiesEnd)
  // [MQTT-3.3.4-7]; before MQTT 5 what goes beyond it is not read
  if (
    qos > 0 &&
    client.version === 5 &&
    client.unacknowledged >= services.limits.maxInflight &&
    !isRepeat(client, scanner)
  )
    throw new ProtocolViolation('receiveMaximumExceeded', 'more publishes than Receive Maximum are not acknowledged')
  const plan = planOf(client, bytes, scanner)
  try {
    if (qos === 2 && !mayBegin(client, scanner)) {
      // the repeat waits for its original [MQTT-4.3.3-10]
      repeat(client, plan, scanner)
    } else if (plan.open !== undefined && services.hotPath) append(client, plan, bytes, scanner)
    else store(client, plan, bytes, scanner)
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    if (error.waits) return false
    refuse(client, scanner, error)
  }
  received[qos]!++
  services.traffic.payloadBytesReceived += scanner.frameEnd - scanner.payloadStart
  return true
}

/** Adds up what was taken since the last call. */
export function countPublishes(metrics: Metrics): void {
  for (const [qos, count] of received.entries()) {
    if (count === 0) continue
    metrics.add('mqttReceived', count, String(qos))
    received[qos] = 0
  }
  if (stored === 0) return
  metrics.add('mqttStored', stored)
  stored = 0
}

/** How publishes to this topic are stored; the topic is that of the packet or of its alias. */
function planOf(client: Client, bytes: Buffer, scanner: PublishScanner): PublishPlan {
  const { ingest } = client.connection.services
  const { topicStart, topicEnd } = scanner
  const { topicAlias } = properties
  let plan: PublishPlan
  if (topicAlias >= 0) {
    const topic = client.inboundAliases.resolve(topicAlias, bytes, topicStart, topicEnd)
    plan = ingest.planFor(client.plans, topic, 0, topic.length)
  } else {
    if (topicStart === topicEnd) throw new ProtocolViolation('protocolError', 'a PUBLISH without a topic')
    plan = ingest.planFor(client.plans, bytes, topicStart, topicEnd)
  }
  if (plan.isMalformed) {
    // [MQTT-3.3.2-2] [MQTT-1.5.4-1]
    throw new ProtocolViolation(plan.topic === '' ? 'malformedPacket' : 'topicNameInvalid', plan.fault ?? '')
  }
  return plan
}

/** A repeat of a QoS 2 publish whose packet id is held already. */
const isRepeat = (client: Client, { qos, packetId }: PublishScanner): boolean =>
  qos === 2 && client.connection.services.state.holds(client.clientId, packetId)

/** False: it repeats a QoS 2 publish that is not released. */
function mayBegin(client: Client, scanner: PublishScanner): boolean {
  if (isRepeat(client, scanner)) return false
  if (!client.connection.services.state.hasRoom(client.clientId))
    throw new ProtocolViolation('receiveMaximumExceeded', 'too many QoS 2 packet ids are not released')
  return true
}

function repeat(client: Client, { replicated }: PublishPlan, scanner: PublishScanner): void {
  const { broker, state } = client.connection.services
  const ends = replicated && endsOf(replicated, partition => broker.offsets(partition).logEnd)
  acknowledge(client, scanner, state.newestGroup ?? broker.durableGroup, ends)
}

/** Before MQTT 5 there is no word for it: there the publish is stored, and its acknowledgement waits. */
function demandReplica({ version, connection }: Client, topic: Topic, qos: number): void {
  const { replica } = connection.services.broker
  if (version === 5 && qos > 0) for (const partition of topic.partitions) replica.demand(topic, partition)
}

function append(client: Client, plan: PublishPlan, bytes: Buffer, scanner: PublishScanner): void {
  const { services } = client.connection
  const { ingest } = services
  const { replicated } = plan
  if (replicated !== undefined) demandReplica(client, replicated, scanner.qos)
  const retention = scanner.retain ? retentionOf(client, plan, bytes, scanner) : undefined
  const changes = scanner.qos === 2 || scanner.retain ? changesOf(client, scanner, retention) : noChanges
  const group = ingest.append(client.plans, plan, bytes, scanner, properties, changes)
  stored++
  if (retention?.isFull) services.store.notRetained(plan.topic)
  if (replicated === undefined) acknowledge(client, scanner, group)
  else acknowledge(client, scanner, group, [{ partition: ingest.lastPartition, end: ingest.lastOffset + 1 }])
  if (plan.audience.size === 0) return
  const payload = Buffer.from(payloadOf(bytes, scanner))
  const publication = publicationOf(client, plan, payload, forwarded(bytes, scanner), scanner)
  publication.placed(ingest.lastPartition, ingest.lastOffset)
  services.distribution.publish(publication, group)
}

function retentionOf(client: Client, { topic }: PublishPlan, bytes: Buffer, scanner: PublishScanner): Retention {
  const [payload, section] = [payloadOf(bytes, scanner), forwarded(bytes, scanner)]
  const { store } = client.connection.services
  return store.retention({ topic, payload, qos: scanner.qos as 0 | 1 | 2, properties: section })
}

/** QoS 2 packet id and retained state. */
function changesOf(
  { clientId, connection }: Client,
  { qos, packetId }: PublishScanner,
  retention: Retention | undefined,
): StateChange[] {
  const held = qos === 2 ? [connection.services.state.hold(clientId, packetId)] : []
  return retention?.change === undefined ? held : [...held, retention.change]
}

// [MQTT-3.3.4-1] [MQTT-4.3.2-4] [MQTT-4.3.2-5] [MQTT-4.3.3-8]
function acknowledge(
  client: Client,
  { qos, packetId }: PublishScanner,
  group: GroupNumber | undefined,
  upstream?: readonly PartitionEnd[],
): void {
  if (qos === 0) return
  const type = qos === 1 ? ackTypes.puback : ackTypes.pubrec
  if (upstream === undefined || group === undefined) client.acknowledge(type, packetId, reasonCodes.success, group)
  else client.acknowledgeUpstream(type, packetId, group, upstream)
}

function store(client: Client, plan: PublishPlan, bytes: Buffer, scanner: PublishScanner): void {
  const { services } = client.connection
  const { clientId } = client
  const { packetId, retain } = scanner
  const { topic, replicated } = plan
  const qos = scanner.qos as 0 | 1 | 2
  if (plan.fault !== undefined) throw new BrokerError('invalidTopic', plan.fault)
  if (replicated !== undefined) demandReplica(client, replicated, qos)
  const payload = Buffer.from(payloadOf(bytes, scanner))
  const section = forwarded(bytes, scanner)
  const { group, partition, offset } = services.store.store({
    clientId,
    topic,
    payload,
    qos,
    retain,
    packetId,
    properties: section,
  })
  // of one publish there may be records in several partitions
  const ends = replicated && endsOf(replicated, one => services.broker.offsets(one).logEnd)
  acknowledge(client, scanner, group, ends)
  if (plan.audience.size === 0) return
  const publication = publicationOf(client, plan, payload, section, scanner)
  if (partition !== undefined) publication.placed(partition, offset)
  services.distribution.publish(publication, group)
}

const publicationOf = (
  { clientId, nowMs }: Client,
  { topic }: PublishPlan,
  payload: Buffer,
  section: Buffer,
  { qos, retain }: PublishScanner,
): Publication =>
  new Publication({
    topic,
    payload,
    qos: qos as 0 | 1 | 2,
    retain,
    properties: section,
    publisher: clientId,
    receivedMs: nowMs,
  })

/**
 * What is not stored is not acknowledged: MQTT 5 has a word for it, before that the connection ends. QoS 0 is dropped. Only what a client
 * may not publish is acknowledged before MQTT 5, as other brokers do: bridges of Mosquitto tell their state under $SYS.
 */
function refuse(client: Client, { qos, packetId }: PublishScanner, error: BrokerError): void {
  const { metrics } = client.connection.services
  metrics.add('mqttRefused', 1, error.kind)
  if (qos === 0) metrics.add('mqttDropped', 1, 'not stored')
  else if (client.version === 5 || error.kind === 'notAuthorized') {
    const type = qos === 1 ? ackTypes.puback : ackTypes.pubrec
    // [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-4.3.3-9]
    const reason = client.version === 5 ? pubackReason(error.kind) : reasonCodes.success
    client.acknowledge(type, packetId, reason, undefined)
  } else client.connection.close('not.stored', error.message)
}

const payloadOf = (bytes: Buffer, { payloadStart, frameEnd }: PublishScanner): Buffer =>
  bytes.subarray(payloadStart, frameEnd)

const forwarded = (bytes: Buffer, { propertiesStart, propertiesEnd }: PublishScanner): Buffer =>
  properties.forwarded(bytes, propertiesStart, propertiesEnd)

import type { PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import { sleep } from '../platform/clock.ts'
import { baseOffsetOf, nextOffsetOf } from '../wire/kafka/record-batch.ts'
import { decompressRecords, type LogRecord } from '../wire/kafka/records.ts'
import { filterMatches } from '../wire/mqtt/topic-filter.ts'
import { type Grant, grantOf } from './audience.ts'
import { PassedOver, passOverBytes } from './backlog-retention.ts'
import type { Client } from './client.ts'
import { originOf, publicationOf } from './logged-publication.ts'
import { lowerQos, sharedFilterOf } from './subscription.ts'

const readBytes = 256 * 1024
/** What one batch may decompress to. */
const decompressedBytes = 16 * 1024 * 1024
const waitMs = 20

/** Clients that are reading: one reader each. */
const reading = new WeakSet<Client>()

/** The client has come back: hands it what its session has missed, as far as a session may have missed something. */
export function catchUpAfterReturn(client: Client): void {
  const passedOver = new PassedOver(client)
  passOverBytes(client, passedOver)
  passedOver.log()
  catchUp(client)
}

/** Hands the client what its session has missed, from the log, in order, no faster than it takes it. Ends with the connection. */
export function catchUp(client: Client): void {
  if (client.session.backlog.isEmpty || reading.has(client)) return
  reading.add(client)
  void read(client).finally(() => {
    reading.delete(client)
    // something may have been missed in the moment in which it ended
    if (isHere(client)) catchUp(client)
  })
}

const isHere = (client: Client): boolean => client.session.client === client

async function read(client: Client): Promise<void> {
  const { broker } = client.connection.services
  const { backlog } = client.session
  const passedOver = new PassedOver(client)
  for (let next = backlog.next(); next !== undefined && isHere(client); next = backlog.next()) {
    const { partition, offset } = next
    const { logStart, highWatermark } = broker.offsets(partition)
    if (offset < logStart) {
      passedOver.add(logStart - offset, 'left the log before it was read')
      backlog.proceed(partition, logStart)
    } else if (offset >= highWatermark) backlog.caughtUp(partition, offset)
    else await readOn(client, partition, offset, passedOver)
  }
  passedOver.log()
}

async function readOn(client: Client, partition: PartitionId, offset: number, passedOver: PassedOver): Promise<void> {
  const { broker, metrics, clock, limits } = client.connection.services
  const { backlog } = client.session
  try {
    const { batches, logAges, nextOffset } = await broker.read(partition, offset, readBytes)
    for (const [index, batch] of batches.entries()) {
      if ((broker.logAge - logAges[index]!) * 1000 > limits.sessionRetentionMs) {
        passedOver.add(nextOffsetOf(batch) - Math.max(offset, baseOffsetOf(batch)), 'beyond mqtt.session.retention.ms')
        continue
      }
      if (!(await deliverBatch(client, partition, batch, logAges[index]!))) return
    }
    if (!isHere(client) || backlog.missedFrom(partition) === undefined) return
    backlog.proceed(partition, nextOffset)
    backlog.yieldTurn(partition)
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    // the topic was deleted meanwhile, or the log start has moved
    metrics.add('mqttDropped', 1, 'log not read')
    await sleep(clock, waitMs)
  }
}

/** False: the client has gone, or the partition has. */
async function deliverBatch(client: Client, partition: PartitionId, batch: Buffer, logAge: number): Promise<boolean> {
  const { backlog } = client.session
  try {
    const cursor = await decompressRecords(batch, decompressedBytes)
    while (cursor.next()) {
      if (!isHere(client)) return false
      const from = backlog.missedFrom(partition)
      if (from === undefined) return false
      if (cursor.offset < from) continue
      if (!(await deliverRecord(client, partition, cursor.offset, cursor.record(), logAge))) return false
      backlog.proceed(partition, cursor.offset + 1)
    }
  } catch (error) {
    if (!(error instanceof MalformedFrame)) throw error
    client.connection.services.metrics.add('mqttDropped', 1, 'batch not readable')
  }
  return isHere(client)
}

/** What was published over MQTT and the session has subscribed to goes to the client. False: the client has gone. */
async function deliverRecord(
  client: Client,
  partition: PartitionId,
  offset: number,
  record: LogRecord,
  logAge: number,
): Promise<boolean> {
  const { session, connection } = client
  const origin = originOf(record)
  // one that an exchange from before the start has goes on with that
  if (origin === undefined || origin.qos === 0 || session.windows.has(partition, offset)) return true
  const { topic, publisher, qos } = origin
  const grant = grantFor(client, topic, publisher, partition, offset)
  if (grant === undefined || grant.qos === 0) return true
  const publication = publicationOf(connection.services, record, origin, { partition, offset }, logAge)
  const retain = grant.retainAsPublished && publication.retain
  const { identifiers } = grant
  const lowered = lowerQos(grant.qos, qos) as 1 | 2
  const outgoing = { publication, qos: lowered, retain, identifiers, shared: undefined }
  while (session.flow.isHalfFull || client.isSlow || !session.flow.add(outgoing)) {
    await sleep(connection.services.clock, waitMs)
    if (!isHere(client)) return false
  }
  return true
}

/** The subscriptions of the session that were there when it was published. */
function grantFor(
  { session }: Client,
  topic: string,
  publisher: string,
  partition: PartitionId,
  offset: number,
): Grant | undefined {
  const matching = [...session.subscriptions.values()].filter(
    ({ filter, noLocal, from }) =>
      offset >= (from.get(partition) ?? 0) &&
      !(noLocal && publisher === session.clientId) &&
      sharedFilterOf(filter) === undefined &&
      filterMatches(filter, topic),
  )
  return matching.length === 0 ? undefined : grantOf(matching)
}

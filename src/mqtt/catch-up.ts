import { sleep } from '../platform/clock.ts'
import type { LogRecord } from '../wire/kafka/records.ts'
import { filterMatches } from '../wire/mqtt/topic-filter.ts'
import { type Grant, grantOf } from './audience.ts'
import { readBacklog, waitMs } from './backlog-reader.ts'
import { PassedOver, passOverBytes } from './backlog-retention.ts'
import type { Client } from './client.ts'
import type { Place } from './exchange.ts'
import { originOf, publicationOf } from './logged-publication.ts'
import { lowerQos, sharedFilterOf } from './subscription.ts'

/** Clients that are reading: one reader each. */
const reading = new WeakSet<Client>()

/** The client has come back: hands it what its session has missed, as far as a session may have missed something. */
export function catchUpAfterReturn(client: Client): void {
  const passedOver = new PassedOver(client.connection.services, { client: client.clientId })
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
  const { services } = client.connection
  const { broker, limits } = services
  const passedOver = new PassedOver(services, { client: client.clientId })
  await readBacklog(services, {
    backlog: client.session.backlog,
    get isHere() {
      return isHere(client)
    },
    take: (record, place, logAge) => deliverRecord(client, record, place, logAge),
    refusal: logAge =>
      (broker.logAge - logAge) * 1000 > limits.sessionRetentionMs ? 'beyond mqtt.session.retention.ms' : undefined,
    passedOver: (records, reason) => passedOver.add(records, reason),
  })
  passedOver.log()
}

/** What was published over MQTT and the session has subscribed to goes to the client. */
async function deliverRecord(client: Client, record: LogRecord, place: Place, logAge: number): Promise<void> {
  const { session, connection } = client
  const origin = originOf(record)
  // one that an exchange from before the start has goes on with that
  if (origin === undefined || origin.qos === 0 || session.windows.has(place.partition, place.offset)) return
  const { topic, publisher, qos } = origin
  const grant = grantFor(client, topic, publisher, place)
  if (grant === undefined || grant.qos === 0) return
  const publication = publicationOf(connection.services, record, origin, place, logAge)
  const retain = grant.retainAsPublished && publication.retain
  const { identifiers } = grant
  const lowered = lowerQos(grant.qos, qos) as 1 | 2
  const outgoing = { publication, qos: lowered, retain, identifiers, shared: undefined }
  while (session.flow.isHalfFull || client.isSlow || !session.flow.add(outgoing)) {
    await sleep(connection.services.clock, waitMs)
    if (!isHere(client)) return
  }
}

/** The subscriptions of the session that were there when it was published. */
function grantFor(
  { session }: Client,
  topic: string,
  publisher: string,
  { partition, offset }: Place,
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

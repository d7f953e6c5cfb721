import { BrokerError } from '../core/errors.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import { decompressRecords } from '../wire/kafka/records.ts'
import { filterMatches } from '../wire/mqtt/topic-filter.ts'
import { type Grant, grantOf } from './audience.ts'
import type { Client } from './client.ts'
import type { Exchange, Outgoing, Place } from './exchange.ts'
import { originOf, publicationOf } from './logged-publication.ts'
import type { Publication } from './publication.ts'
import type { MqttServices } from './services.ts'
import type { Session } from './session.ts'
import { sharedFilterOf } from './subscription.ts'

/** What one batch may decompress to. */
const decompressedBytes = 16 * 1024 * 1024

/**
 * QoS 2 exchanges that began before the start of the broker: their publications are read from the log again, so that they go on with their packet
 * ids. One that has left the log ends with PUBREL, in case that the client has it.
 */
export async function resumeExchanges(client: Client): Promise<void> {
  const { session, connection } = client
  for (const exchange of session.flow.unread) {
    const publication = await publicationAgain(connection.services, session, exchange)
    if (session.client !== client) return
    session.flow.resume(exchange, publication && outgoingOf(session, exchange, publication))
    // who reads what was missed counts what is missing there
    if (publication === undefined && !isMissed(session, exchange.place!))
      connection.services.metrics.add('mqttDropped', 1, 'left the log before it was read')
  }
}

const isMissed = ({ backlog }: Session, { partition, offset }: Place): boolean =>
  (backlog.missedFrom(partition) ?? Number.POSITIVE_INFINITY) <= offset

/** What a deliver rule had made of a record is not what was published. */
async function publicationAgain(
  services: MqttServices,
  session: Session,
  { isOwn, place }: Exchange,
): Promise<Publication | undefined> {
  const filters = [...session.subscriptions.keys()].map(filter => sharedFilterOf(filter)?.filter ?? filter)
  // that of another rule for the record may have gone on already
  const isWanted = (topic: string): boolean =>
    !session.flow.knows(place!, topic) && filters.some(filter => filterMatches(filter, topic))
  const command = isOwn ? undefined : await services.commands.publicationAt(place!, isWanted)
  return command ?? readAgain(services, place!)
}

async function readAgain(services: MqttServices, place: Place): Promise<Publication | undefined> {
  try {
    const { batches, logAges } = await services.broker.read(place.partition, place.offset, 1)
    if (batches[0] === undefined) return undefined
    const cursor = await decompressRecords(batches[0], decompressedBytes)
    while (cursor.next()) {
      if (cursor.offset !== place.offset) continue
      const record = cursor.record()
      const origin = originOf(record)
      return origin && publicationOf(services, record, origin, place, logAges[0]!)
    }
  } catch (error) {
    if (!(error instanceof BrokerError) && !(error instanceof MalformedFrame)) throw error
  }
  return undefined
}

function outgoingOf(session: Session, exchange: Exchange, publication: Publication): Outgoing {
  const { identifiers, retainAsPublished } = grantFor(session, exchange, publication.topic)
  return { publication, qos: 2, retain: retainAsPublished && publication.retain, identifiers, shared: undefined }
}

/** By the subscriptions of now: those that it was sent for may be gone, which does not end it. [MQTT-3.10.4-3] */
function grantFor(session: Session, { isOwn, share }: Exchange, topic: string): Grant {
  const member = share && session.subscriptions.get(share.filter)
  if (member !== undefined) return grantOf([member])
  const matching = [...session.subscriptions.values()].filter(({ filter }) => {
    const shared = sharedFilterOf(filter)
    return (shared === undefined) === isOwn && filterMatches(shared?.filter ?? filter, topic)
  })
  return grantOf(isOwn ? matching : matching.slice(0, 1))
}

import type { LogRecord } from '../wire/kafka/records.ts'
import { encodeForwarded } from '../wire/mqtt/publish-properties.ts'
import type { Place } from './exchange.ts'
import { Publication } from './publication.ts'
import { headerNames, propertiesOf } from './record-headers.ts'
import type { MqttServices } from './services.ts'
import type { Qos } from './subscription.ts'

/** How a record was published over MQTT. */
export interface Origin {
  readonly topic: string
  readonly publisher: string
  readonly qos: Qos
}

/** Undefined: it was not published over MQTT. */
export function originOf(record: LogRecord): Origin | undefined {
  const publisher = headerOf(record, headerNames.client)
  if (publisher === undefined) return undefined
  const topic = headerOf(record, headerNames.topic) ?? record.key?.toString() ?? ''
  return { topic, publisher, qos: Number(headerOf(record, headerNames.qos) ?? '1') as Qos }
}

/** The publication as it was; `logAge`: of its batch, seconds. */
export function publicationOf(
  { broker, clock }: MqttServices,
  record: LogRecord,
  origin: Origin,
  { partition, offset }: Place,
  logAge: number,
): Publication {
  const publication = new Publication({
    ...origin,
    payload: Buffer.from(record.value ?? []),
    retain: headerOf(record, headerNames.retain) === '1',
    properties: encodeForwarded(propertiesOf(record)),
    // its own timestamp is of a wall clock that may have jumped since
    receivedMs: clock.monotonicMs() - Math.max(0, broker.logAge - logAge) * 1000,
  })
  publication.placed(partition, offset)
  return publication
}

const headerOf = (record: LogRecord, name: string): string | undefined =>
  record.headers.find(({ key }) => key === name)?.value?.toString()

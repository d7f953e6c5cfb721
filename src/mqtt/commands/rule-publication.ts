import type { Topic } from '../../broker/topics.ts'
import { type DeliverRule, headerPlaceholder } from '../../config/deliver.ts'
import type { LogRecord } from '../../wire/kafka/records.ts'
import { encodeForwarded } from '../../wire/mqtt/publish-properties.ts'
import { isSystemTopic, topicNameFault } from '../../wire/mqtt/topic-name.ts'
import type { Place } from '../exchange.ts'
import { Publication } from '../publication.ts'
import { propertiesOf } from '../record-headers.ts'
import { fill } from '../routes.ts'
import type { Receipt } from './receipt.ts'

/** The MQTT topic that a deliver rule gives a record; undefined: none that can be published to. Topics of the broker are not for records either. */
export const mqttTopicOf = (
  rule: DeliverRule,
  topic: Topic,
  record: LogRecord,
  gatewayId: string,
): string | undefined => {
  const names = new Map([
    ['key', record.key?.toString() ?? ''],
    ['topic', topic.name],
    ['gateway', gatewayId],
  ])
  for (const part of rule.mqtt.parts) {
    const header = 'name' in part ? headerPlaceholder.exec(part.name)?.[1] : undefined
    if (header === undefined || !('name' in part)) continue
    names.set(part.name, record.headers.find(one => one.key === header)?.value?.toString() ?? '')
  }
  const mqttTopic = fill(rule.mqtt, names)
  return topicNameFault(mqttTopic) !== undefined || isSystemTopic(mqttTopic) ? undefined : mqttTopic
}

/** `receivedMs`: monotonic time at which its Message Expiry Interval began to run. */
export const rulePublication = (
  { qos }: DeliverRule,
  mqttTopic: string,
  record: LogRecord,
  receivedMs: number,
  awaited: { readonly receipt?: Receipt; readonly source?: Place } = {},
): Publication =>
  new Publication({
    topic: mqttTopic,
    // a copy: it may wait for long, and what it was unpacked with would stay with it
    payload: Buffer.from(record.value ?? []),
    qos,
    retain: false,
    properties: encodeForwarded(propertiesOf(record)),
    publisher: '',
    receivedMs,
    ...awaited,
  })

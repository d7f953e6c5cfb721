import { topicNameFault } from '../broker/topic-name.ts'

/** Takes everything that has no topic of its own. */
export const otherTopic = 'mqtt.other'

export interface DefaultName {
  readonly topic: string
  /** The level of the MQTT topic that the name was made of; '' when there is none. */
  readonly level: string
  /** Why it is not the level as it stands. */
  readonly note?: string
}

/** The topic that the default route gives an MQTT topic: its first level that is not empty, in characters that Kafka allows. */
export function defaultName(mqttTopic: string): DefaultName {
  const level = mqttTopic.split('/').find(text => text !== '') ?? ''
  return legalName(level)
}

/** `text` as a topic name: forbidden characters become `_`; what cannot be a name at all is `mqtt.other`. */
export function legalName(text: string): DefaultName {
  const topic = text.replaceAll(/[^A-Za-z0-9._-]/gu, '_')
  const fault = text === '' ? 'it has no level that is not empty' : reservedFault(topic)
  if (fault !== undefined) return { topic: otherTopic, level: text, note: fault }
  if (topic !== text) return { topic, level: text, note: `"${text}" has characters that Kafka forbids` }
  return { topic, level: text }
}

function reservedFault(topic: string): string | undefined {
  if (topic.startsWith('__')) return `names that begin with "__", like "${topic.slice(0, 80)}", belong to the broker`
  return topicNameFault(topic)
}

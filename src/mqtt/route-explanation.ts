import type { RouteExplanation } from '../broker/route-explanation.ts'
import type { Topic } from '../broker/topics.ts'
import { partitionOfKey } from '../core/murmur2.ts'
import { topicNameFault } from '../wire/mqtt/topic-name.ts'
import { destinationOf } from './routes.ts'
import type { TopicRoutes } from './topic-routes.ts'

/** The topics that exist; those of a broker, or none where only the settings are known. */
export interface KnownTopics {
  readonly topics: { find(name: string): Pick<Topic, 'partitions'> | undefined }
}

/** Explains without changing anything: no topic is made. */
export function explainRoute(
  routes: Pick<TopicRoutes, 'routes' | 'placeFor' | 'sharedWith'>,
  broker: KnownTopics,
  defaultPartitions: number,
  mqttTopic: string,
): RouteExplanation {
  const fault = topicNameFault(mqttTopic)
  if (fault !== undefined) return { mqttTopic, rule: 'refused', stored: false, notes: [fault] }
  const destination = destinationOf(routes.routes, mqttTopic)
  const { rule } = destination
  if (!destination.store) {
    const why = rule.kind === 'system' ? 'topics that begin with $ are never stored' : 'this route says store: false'
    const name = rule.kind === 'configured' ? rule.route.mqtt : 'topics of the broker'
    return { mqttTopic, rule: name, stored: false, notes: [why] }
  }
  const topic = routes.placeFor(destination)
  const existing = broker.topics.find(topic)
  const partitions = existing?.partitions.length ?? defaultPartitions
  const sharedWith = routes.sharedWith(topic, destination.level)
  const notes = destination.note === undefined ? [] : [destination.note]
  if (destination.sparkplug !== undefined)
    notes.push('Sparkplug: a record for each metric, under keys of their own; this key is of what cannot be decoded')
  if (topic !== destination.topic) notes.push('the default route makes no more topics (mqtt.auto.topics.max)')
  if (sharedWith.length > 0)
    notes.push(`shares the topic with ${sharedWith.map(name => JSON.stringify(name)).join(', ')}`)
  return {
    mqttTopic,
    rule: rule.kind === 'configured' ? rule.route.mqtt : 'default route',
    stored: true,
    topic,
    topicExists: existing !== undefined,
    key: destination.key === null ? null : destination.key.toString(),
    partition: destination.key === null ? null : partitionOfKey(destination.key, partitions),
    partitions,
    headers: {
      ...Object.fromEntries(destination.headers),
      ...(destination.keyIsTopic ? {} : { 'mqtt.topic': mqttTopic }),
    },
    sharedWith,
    notes,
  }
}

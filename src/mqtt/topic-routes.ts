import type { Broker } from '../broker/broker.ts'
import type { Topic } from '../broker/topics.ts'
import type { Route } from '../config/routes.ts'
import type { GroupNumber } from '../core/brand.ts'
import { partitionOfKey } from '../core/murmur2.ts'
import { otherTopic } from './default-route.ts'
import { type Destination, destinationOf, type StoredDestination } from './routes.ts'

/** A destination with its topic at hand: what an append needs. */
export interface OpenRoute {
  readonly destination: StoredDestination
  readonly topic: Topic
  /** Undefined: spread batch by batch. */
  readonly partition: number | undefined
}

export interface TopicRoutesParts {
  readonly broker: Broker
  readonly routes: readonly Route[]
  /** The default route makes no topic while there are this many that it made. */
  readonly maxAutoTopics: number
  /** MQTT topics whose route is remembered. */
  readonly cacheSize?: number
}

const defaultCacheSize = 16_384
/** Characters of the MQTT topics that are remembered; each costs about four bytes, key and headers included. */
const maxCacheLength = 2 << 20
/** Of the names for `routes test`. */
const maxNameLength = 256
/** Names that share one topic, remembered for `routes test`. */
const sharedNamesMax = 8

interface Spread {
  group: GroupNumber
  partition: number
}

/**
 * From MQTT topics to topics of the log, compiled once and remembered; the least recently used is forgotten. `generation` rises when any
 * topic is made, changed or deleted: an open route is good as long as it stands.
 */
export class TopicRoutes {
  generation = 0
  readonly #parts: TopicRoutesParts
  readonly #cacheSize: number
  readonly #cache = new Map<string, OpenRoute | { readonly destination: Destination & { store: false } }>()
  #cacheLength = 0
  readonly #spread = new Map<string, Spread>()
  readonly #names = new Map<string, Set<string>>()
  readonly #keyed = new Set<string>()

  constructor(parts: TopicRoutesParts) {
    this.#parts = parts
    this.#cacheSize = parts.cacheSize ?? defaultCacheSize
    parts.broker.topics.onChange((topic, change) => {
      this.generation++
      this.#cache.clear()
      this.#cacheLength = 0
      this.#spread.delete(topic.name)
      if (change !== 'deleted') return
      this.#names.delete(topic.name)
      this.#keyed.delete(topic.name)
    })
  }

  get routes(): readonly Route[] {
    return this.#parts.routes
  }

  /** Has a publish since the start gone to a partition of the topic by its key? Then more partitions would move keys. */
  isKeyed(topic: string): boolean {
    return this.#keyed.has(topic)
  }

  /** The open route, its topic made when it was missing; undefined when the topic is not stored. Throws what `Topics.create` throws. */
  open(mqttTopic: string): OpenRoute | undefined {
    const cached = this.#cache.get(mqttTopic)
    if (cached !== undefined) {
      this.#cache.delete(mqttTopic)
      this.#cache.set(mqttTopic, cached)
      return 'topic' in cached ? cached : undefined
    }
    const destination = destinationOf(this.#parts.routes, mqttTopic)
    if (!destination.store) {
      this.#remember(mqttTopic, { destination })
      return undefined
    }
    const name = this.placeFor(destination)
    const topic = this.#parts.broker.topics.ensure(
      name,
      destination.rule.kind === 'default' ? { isAutomatic: true as const } : {},
    )
    const partition = destination.key === null ? undefined : partitionOfKey(destination.key, topic.partitions.length)
    const open = { destination, topic, partition }
    if (partition !== undefined) this.#keyed.add(name)
    this.#remember(mqttTopic, open)
    this.#rememberName(name, destination.level)
    return open
  }

  /** The topic's name, or `mqtt.other` when it is missing and the default route may not make more. */
  placeFor(destination: StoredDestination): string {
    const { topics } = this.#parts.broker
    if (destination.rule.kind !== 'default' || topics.find(destination.topic) !== undefined) return destination.topic
    let made = 0
    for (const { isAutomatic, name } of topics.all()) if (isAutomatic && name !== otherTopic) made++
    return made < this.#parts.maxAutoTopics ? destination.topic : otherTopic
  }

  /** The partition for the next record: without a key all records of one group go to one partition, those of the next to the next. */
  partitionFor(open: OpenRoute): number {
    if (open.partition !== undefined) return open.partition
    const group = this.#parts.broker.openGroup
    const spread = this.#spread.get(open.topic.name)
    if (spread === undefined) {
      this.#spread.set(open.topic.name, { group, partition: 0 })
      return 0
    }
    if (spread.group !== group) {
      spread.group = group
      spread.partition = (spread.partition + 1) % open.topic.partitions.length
    }
    return spread.partition
  }

  /** Other first levels that were seen since the start and share the topic. */
  sharedWith(topic: string, level: string): readonly string[] {
    return [...(this.#names.get(topic) ?? [])].filter(name => name !== level)
  }

  #remember(mqttTopic: string, open: OpenRoute | { readonly destination: Destination & { store: false } }): void {
    while (this.#cache.size >= this.#cacheSize || this.#cacheLength + mqttTopic.length > maxCacheLength) {
      const oldest = this.#cache.keys().next().value!
      this.#cache.delete(oldest)
      this.#cacheLength -= oldest.length
    }
    this.#cache.set(mqttTopic, open)
    this.#cacheLength += mqttTopic.length
  }

  #rememberName(topic: string, fullLevel: string): void {
    const level = fullLevel.slice(0, maxNameLength)
    const names = this.#names.get(topic)
    if (names === undefined) this.#names.set(topic, new Set([level]))
    else if (names.size < sharedNamesMax) names.add(level)
  }
}

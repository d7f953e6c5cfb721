import type { Uuid } from '../core/uuid.ts'
import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/** A topic of the central cluster as it was seen last. */
export interface CentralTopic {
  /** `ZERO_UUID`: it was missing. */
  readonly topicId: Uuid
  /** Those that come later are read from their starts. */
  readonly partitions: number
  /** Log id of who has seen it; absent in data of before. Another log was restored or forked from that one. */
  readonly logId?: string
}

/** How far a partition of the central cluster was read, and what became of its records since the topic was made. */
export interface DownlinkPosition {
  readonly topicId: Uuid
  /** Offset to read on from. */
  readonly next: number
  /** Records appended here. */
  readonly taken: number
  /** Records that were for this gateway and too old. */
  readonly expired: number
  /** Records that were for this gateway and could not be stored. */
  readonly refused: number
  /** Offsets that the central cluster no longer had when they were due. */
  readonly lost: number
}

/** A partition of a topic here as a deliver rule reads it. */
export interface DeliveryPlace {
  /** Name of the rule, as that of the group of rules without acknowledgements. It has no slash. */
  readonly rule: string
  readonly topicId: Uuid
  readonly partition: number
}

const topicTag = 'topic/'
const positionTag = 'position/'
const deliveryTag = 'delivery/'
const waitingTag = 'waiting/'
const formerTag = 'former/'

/**
 * Where the downlink stands, and deliver rules that wait for acknowledgements. A position is written in the group of the records that it speaks
 * of: both are there or neither. Keys are text, values CBOR:
 *
 *     topic/TOPIC                -> `CentralTopic`
 *     position/TOPIC/PARTITION   -> `DownlinkPosition`
 *     delivery/RULE/TOPIC_ID/PARTITION         -> offset; devices have what lies below, but for what waits
 *     waiting/RULE/TOPIC_ID/PARTITION/OFFSET   -> log age in seconds; below the offset above, and no device has it
 *     former/RULE                -> log age in seconds when the settings were first without the rule
 */
export class DownlinkView implements View {
  readonly name = 'downlink'
  readonly partition = internalPartitions.downlink
  readonly #values = new Map<string, Buffer>()
  /** Offsets by the key of their delivery. */
  readonly #waiting = new Map<string, Set<number>>()

  topic(topic: string): CentralTopic | undefined {
    return this.#get(topicTag + topic)
  }

  position(topic: string, partition: number): DownlinkPosition | undefined {
    return this.#get(positionKey(topic, partition))
  }

  putTopic(topic: string, seen: CentralTopic): StateChange {
    return this.#put(topicTag + topic, seen)
  }

  putPosition(topic: string, partition: number, position: DownlinkPosition): StateChange {
    return this.#put(positionKey(topic, partition), position)
  }

  /** How far the rule has delivered a partition; undefined: it has not begun. */
  delivered(place: DeliveryPlace): number | undefined {
    return this.#get(deliveryKey(place))
  }

  /** Offsets below that no device has, ascending. */
  waiting(place: DeliveryPlace): number[] {
    return [...(this.#waiting.get(waitingKey(place)) ?? [])].sort((one, other) => one - other)
  }

  isWaiting(place: DeliveryPlace, offset: number): boolean {
    return this.#waiting.get(waitingKey(place))?.has(offset) ?? false
  }

  putDelivered(place: DeliveryPlace, offset: number): StateChange {
    return this.#put(deliveryKey(place), offset)
  }

  putWaiting(place: DeliveryPlace, offset: number, logAge: number): StateChange {
    return this.#put(waitingKey(place) + offset, logAge)
  }

  removeWaiting(place: DeliveryPlace, offset: number): StateChange {
    return { view: this, key: Buffer.from(waitingKey(place) + offset), value: null }
  }

  /** All that rules have begun to deliver. */
  deliveries(): DeliveryPlace[] {
    return [...this.#values.keys()].filter(key => key.startsWith(deliveryTag)).map(placeOf)
  }

  /** All that is kept of deliveries but of those that are wanted. */
  removeDeliveries(isWanted: (place: DeliveryPlace) => boolean): StateChange[] {
    const kept = [...this.#values.keys()].filter(key => key.startsWith(deliveryTag) || key.startsWith(waitingTag))
    const gone = kept.filter(key => !isWanted(placeOf(key)))
    return gone.map(key => ({ view: this, key: Buffer.from(key), value: null }))
  }

  /** Log age at which the settings were first without the rule, of which something is kept; undefined: they have it. */
  formerSince(rule: string): number | undefined {
    return this.#get(formerTag + rule)
  }

  /** Rules with a `formerSince`. */
  formerRules(): string[] {
    return [...this.#values.keys()].filter(key => key.startsWith(formerTag)).map(key => key.slice(formerTag.length))
  }

  putFormer(rule: string, logAge: number): StateChange {
    return this.#put(formerTag + rule, logAge)
  }

  removeFormer(rule: string): StateChange {
    return { view: this, key: Buffer.from(formerTag + rule), value: null }
  }

  apply(key: Buffer, value: Buffer | null): void {
    const name = key.toString()
    // a copy, for the value may be a piece of a large batch
    if (value === null) this.#values.delete(name)
    else this.#values.set(name, Buffer.from(value))
    if (name.startsWith(waitingTag)) this.#applyWaiting(name, value !== null)
  }

  *entries(): Iterable<StateRecord> {
    for (const [key, value] of this.#values) yield { key: Buffer.from(key), value }
  }

  clear(): void {
    this.#values.clear()
    this.#waiting.clear()
  }

  #applyWaiting(name: string, isThere: boolean): void {
    const end = name.lastIndexOf('/') + 1
    const [place, offset] = [name.slice(0, end), Number(name.slice(end))]
    const offsets = this.#waiting.get(place) ?? new Set()
    if (isThere) this.#waiting.set(place, offsets.add(offset))
    else if (offsets.delete(offset) && offsets.size === 0) this.#waiting.delete(place)
  }

  #get<Value>(key: string): Value | undefined {
    const value = this.#values.get(key)
    return value === undefined ? undefined : decodeState<Value>(value)
  }

  #put(key: string, value: unknown): StateChange {
    return { view: this, key: Buffer.from(key), value: encodeState(value) }
  }
}

const positionKey = (topic: string, partition: number): string => `${positionTag}${topic}/${partition}`

const deliveryKey = ({ rule, topicId, partition }: DeliveryPlace): string =>
  `${deliveryTag}${rule}/${topicId}/${partition}`

const waitingKey = ({ rule, topicId, partition }: DeliveryPlace): string =>
  `${waitingTag}${rule}/${topicId}/${partition}/`

/** Of a delivery, or of what waits in it. */
const placeOf = (key: string): DeliveryPlace => {
  const [, rule = '', topicId = '', partition] = key.split('/')
  return { rule, topicId, partition: Number(partition) }
}

import type { PartitionId } from '../core/brand.ts'
import { topicFilterFault } from '../wire/mqtt/topic-filter.ts'
import type { Session } from './session.ts'

export type Qos = 0 | 1 | 2

/** What a session has subscribed with; a SUBSCRIBE with the same filter replaces it. [MQTT-3.8.4-3] */
export interface Subscription {
  readonly session: Session
  /** As the client wrote it, `$share/...` included. */
  readonly filter: string
  readonly qos: 0 | 1 | 2
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** 0: none. */
  readonly identifier: number
  /** Offsets in partitions of which the session had a position when it was made: what stands below was published before. */
  readonly from: ReadonlyMap<PartitionId, number>
}

/** The parts of a filter `$share/{name}/{filter}`. */
export interface SharedFilter {
  readonly shareName: string
  readonly filter: string
}

const sharePrefix = '$share/'

/** Undefined: the filter is not a shared one. A malformed one has an empty name or filter, see `filterFault`. */
export function sharedFilterOf(text: string): SharedFilter | undefined {
  if (!text.startsWith(sharePrefix)) return undefined
  const end = text.indexOf('/', sharePrefix.length)
  if (end < 0) return { shareName: text.slice(sharePrefix.length), filter: '' }
  return { shareName: text.slice(sharePrefix.length, end), filter: text.slice(end + 1) }
}

/** Why a text is no topic filter, shared or not, or undefined. [MQTT-4.8.2-1] [MQTT-4.8.2-2] */
export function filterFault(text: string): string | undefined {
  const shared = sharedFilterOf(text)
  if (shared === undefined) return topicFilterFault(text)
  if (shared.shareName === '' || /[+#]/.test(shared.shareName))
    return 'a share name has at least one character, no wildcards'
  return topicFilterFault(shared.filter)
}

const none: readonly number[] = []

/** The subscription identifiers of one subscription. */
export const identifiersOf = (identifier: number): readonly number[] => (identifier === 0 ? none : [identifier])

/** What is delivered has at most the QoS that was subscribed with. [MQTT-3.8.4-8] */
export const lowerQos = (one: Qos, other: Qos): Qos => (one < other ? one : other)

const overheadBytes = 512
const bytesPerLevel = 128

/** What a subscription costs in memory, about. */
export const subscriptionBytes = (filter: string): number =>
  overheadBytes + 2 * filter.length + bytesPerLevel * filter.split('/').length

import { ByteReader } from '../../core/byte-reader.ts'
import { MalformedFrame } from '../../core/malformed-frame.ts'
import type { Group } from './group.ts'

/** The protocol type whose metadata is known to be a consumer's subscription. */
export const consumerProtocolType = 'consumer'

/**
 * Topics that the members of a consumer group subscribe to. Undefined when they cannot be known: another protocol type, no protocol
 * chosen yet, or metadata that does not decode.
 */
export function subscribedTopics(group: Group): ReadonlySet<string> | undefined {
  if (group.protocolType !== consumerProtocolType) return undefined
  const topics = new Set<string>()
  if (group.members.size > 0 && group.protocolName === null) return undefined
  for (const member of group.members.values()) {
    const subscription = decodeSubscription(member.metadataOf(group.protocolName))
    if (subscription === undefined) return undefined
    for (const topic of subscription) topics.add(topic)
  }
  return topics
}

/**
 * Topic names of `ConsumerProtocolSubscription`. Every version begins as version 0 does, so that later ones need not be known here:
 *
 *     int16 version | int32 count | count x (int16 length, name) | ...
 */
function decodeSubscription(metadata: Buffer): string[] | undefined {
  const reader = new ByteReader(metadata, 'ConsumerProtocolSubscription')
  try {
    reader.int16()
    const count = reader.int32()
    if (count < 0) return undefined
    reader.claimElements(count, 2)
    return Array.from({ length: count }, () => reader.text(reader.uint16()))
  } catch (error) {
    if (error instanceof MalformedFrame) return undefined
    throw error
  }
}

/** Levels that a topic name or filter may have; the matcher's depth. */
export const MAX_TOPIC_LEVELS = 100
const MAX_BYTES = 65_535

/** Why a text is no topic name that can be published to, or undefined. MQTT 5, sections 3.3.2.1 and 4.7. */
export function topicNameFault(topic: string, maxLevels = MAX_TOPIC_LEVELS): string | undefined {
  if (topic === '') return 'a topic name cannot be empty'
  // [MQTT-4.7.0-1]
  if (topic.includes('+') || topic.includes('#')) return 'a topic name has no wildcards'
  return commonFault(topic, maxLevels)
}

/** What holds for names and filters alike. [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3] */
export function commonFault(text: string, maxLevels: number): string | undefined {
  if (text.includes('\0')) return 'a topic cannot contain the character U+0000'
  // U+FFFD is what a decoder makes of bytes that are not UTF-8
  if (text.includes('\uFFFD')) return 'a topic must be well-formed UTF-8'
  if (text.length > MAX_BYTES / 3 && Buffer.byteLength(text) > MAX_BYTES) return 'a topic has at most 65,535 bytes'
  if (levelCount(text) > maxLevels) return `a topic has at most ${maxLevels} levels`
  return undefined
}

export function levelCount(topic: string): number {
  let count = 1
  for (let at = topic.indexOf('/'); at >= 0; at = topic.indexOf('/', at + 1)) count++
  return count
}

/** Topics of the broker itself; never stored, not matched by a leading wildcard. [MQTT-4.7.2-1] */
export const isSystemTopic = (topic: string): boolean => topic.startsWith('$')

import { BrokerError } from '../core/errors.ts'

const maxNameLength = 249
const legal = /^[a-zA-Z0-9._-]+$/

/** Kafka's rule for topic names (`Topic.validate`). Returns why a name is not legal, or undefined. */
export const topicNameFault = (name: string): string | undefined => {
  if (name === '') return 'a topic name cannot be empty'
  if (name === '.' || name === '..') return `a topic cannot be named "${name}"`
  if (name.length > maxNameLength)
    return `a topic name has at most ${maxNameLength} characters, this one has ${name.length}`
  if (!legal.test(name)) return `topic name "${name}" has characters other than letters, digits, ".", "_" and "-"`
  return undefined
}

/** Throws `invalidTopic` unless Kafka would take the name. */
export const checkTopicName = (name: string): void => {
  const fault = topicNameFault(name)
  if (fault !== undefined) throw new BrokerError('invalidTopic', fault)
}

import type { Topic } from '../../broker/topics.ts'
import { BrokerError } from '../../core/errors.ts'
import { type Uuid, ZERO_UUID } from '../../core/uuid.ts'
import { deleteTopics } from '../../wire/kafka/contracts/index.ts'
import { duplicatesOf } from '../duplicates.ts'
import { whenDurable } from '../durable-answers.ts'
import { defineHandler, type RequestContext } from '../handler.ts'
import { findTopic } from '../topic-lookup.ts'

interface Wanted {
  readonly name: string | null
  readonly topicId: Uuid
}

interface TopicAnswer {
  readonly name: string | null
  readonly topicId: Uuid
  readonly errorCode: number
  readonly errorMessage: string | null
}

/**
 * DeleteTopics (20), versions 1-6. Deletes topics with their data and the offsets committed for them; answered once that is durable.
 * - v5: error message
 * - v6: by name or by id, never by both
 */
export const handleDeleteTopics = defineHandler(deleteTopics, async (request, context) => {
  const wanted: readonly Wanted[] =
    context.version >= 6 ? request.topics : request.topicNames.map(name => ({ name, topicId: ZERO_UUID }))
  const duplicates = duplicatesOf(wanted.map(keyOf))
  const answers = new Map<string, TopicAnswer>()
  for (const topic of wanted) answers.set(keyOf(topic), remove(topic, duplicates.has(keyOf(topic)), context))
  return { responses: await whenDurable([...answers.values()], context) }
})

const keyOf = ({ name, topicId }: Wanted): string => name ?? `/${topicId}`

function remove(wanted: Wanted, isDuplicate: boolean, context: RequestContext): TopicAnswer {
  const { topics } = context.services.broker
  try {
    if (isDuplicate) throw new BrokerError('invalidRequest', 'the topic is named twice in the request')
    const topic = find(wanted, context)
    topics.delete(topic.name)
    return { name: topic.name, topicId: topic.id, errorCode: 0, errorMessage: null }
  } catch (error) {
    return { ...wanted, ...context.refusal(error) }
  }
}

function find({ name, topicId }: Wanted, { services }: RequestContext): Topic {
  if (name === null) return findTopic(services, { id: topicId })
  if (topicId === ZERO_UUID) return findTopic(services, { name })
  throw new BrokerError('invalidRequest', 'a topic is deleted by name or by id, not by both')
}

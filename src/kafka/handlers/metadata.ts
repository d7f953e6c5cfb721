import { checkTopicName } from '../../broker/topic-name.ts'
import type { Topic } from '../../broker/topics.ts'
import { BrokerError } from '../../core/errors.ts'
import { ZERO_UUID } from '../../core/uuid.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/kafka/api.ts'
import { metadata } from '../../wire/kafka/contracts/index.ts'
import { isInternalTopic, onlyBroker, onlyReplica } from '../brokers.ts'
import { distinctBy } from '../duplicates.ts'
import { defineHandler, type RequestContext } from '../handler.ts'
import { nodeId } from '../services.ts'

type Wanted = NonNullable<RequestOf<typeof metadata>['topics']>[number]
type TopicAnswer = ResponseInputOf<typeof metadata>['topics'][number]

/**
 * Metadata (3), versions 0-13. This gateway is the only broker, controller, leader and replica; the cluster id is the log id. A topic
 * that is missing is created when `auto.create.topics.enable` and the request allow it, never for "all topics"; it is answered
 * only once it is durable. A topic named twice is answered once, as Kafka does.
 * - v0: an empty list means all topics; from v1 on null does, and an empty list means none
 * - v4: the client chooses auto-creation
 * - v8-v10: authorized operations, always "not known"
 * - v10: topic ids in the answer
 * - v12: topics may be asked by id; an id never creates a topic
 * - v13: top-level error code
 */
export const handleMetadata = defineHandler(metadata, async (request, context) => {
  const { broker } = context.services
  const all = request.topics === null || (context.version === 0 && request.topics.length === 0)
  const topics = all
    ? [...broker.topics.all()].map(topic => present(topic, context))
    : distinctBy(request.topics ?? [], keyOf).map(wanted => describe(wanted, request.allowAutoTopicCreation, context))
  return {
    brokers: [{ nodeId, ...onlyBroker(context), rack: null }],
    clusterId: broker.logId,
    controllerId: nodeId,
    topics: await whenDurable(topics, context),
  }
})

const keyOf = ({ name, topicId }: Wanted): string => `${topicId}/${name ?? ''}`

function describe(wanted: Wanted, mayCreate: boolean, context: RequestContext): TopicAnswer {
  try {
    if (wanted.topicId !== ZERO_UUID) return present(topicById(wanted, context), context)
    if (wanted.name === null) throw new BrokerError('invalidRequest', 'a topic needs a name or an id')
    return present(topicByName(wanted.name, mayCreate, context), context)
  } catch (error) {
    return absent(wanted, context.refusal(error).errorCode, context)
  }
}

function topicById({ topicId, name }: Wanted, { services }: RequestContext): Topic {
  const topic = services.broker.topics.findById(topicId)
  if (name !== null && name !== '')
    throw new BrokerError('invalidRequest', 'a topic is asked by name or by id, not by both')
  if (topic === undefined) throw new BrokerError('unknownTopicId', `there is no topic with id ${topicId}`)
  return topic
}

function topicByName(name: string, mayCreate: boolean, { services }: RequestContext): Topic {
  const { topics } = services.broker
  if (mayCreate && services.loaded.settings['auto.create.topics.enable']) return topics.ensure(name)
  const topic = topics.find(name)
  if (topic !== undefined) return topic
  // an illegal name is said to be one
  checkTopicName(name)
  throw new BrokerError('unknownTopic', `there is no topic "${name}"`)
}

function present(topic: Topic, { services }: RequestContext): TopicAnswer {
  const { leaderEpoch } = services.broker
  return {
    errorCode: 0,
    name: topic.name,
    topicId: topic.id,
    isInternal: isInternalTopic(topic.name),
    partitions: topic.partitions.map((_, partitionIndex) => ({
      errorCode: 0,
      partitionIndex,
      leaderEpoch,
      ...onlyReplica,
    })),
  }
}

function absent({ name, topicId }: Wanted, errorCode: number, { version }: RequestContext): TopicAnswer {
  // a topic asked by id has no name, which only v12 can say
  const shown = topicId === ZERO_UUID ? name : null
  return { errorCode, name: version >= 12 ? shown : (shown ?? ''), topicId, partitions: [] }
}

/** A topic that a power cut could take back is not shown. */
async function whenDurable(topics: TopicAnswer[], context: RequestContext): Promise<TopicAnswer[]> {
  try {
    await context.services.broker.topics.durable()
    return topics
  } catch (error) {
    const { errorCode } = context.refusal(error)
    return topics.map(topic =>
      absent({ name: topic.name, topicId: topic.topicId ?? ZERO_UUID }, topic.errorCode || errorCode, context),
    )
  }
}

import type { NewTopic, Topic } from '../../broker/topics.ts'
import { configSourceCodes, describeTopic } from '../../config/describe-configs.ts'
import { BrokerError } from '../../core/errors.ts'
import { ZERO_UUID } from '../../core/uuid.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/kafka/api.ts'
import { createTopics } from '../../wire/kafka/contracts/index.ts'
import { duplicatesOf } from '../duplicates.ts'
import { whenDurable } from '../durable-answers.ts'
import { defineHandler, type RequestContext } from '../handler.ts'
import { checkAssignments } from '../replica-assignment.ts'

type Wanted = RequestOf<typeof createTopics>['topics'][number]
type TopicAnswer = ResponseInputOf<typeof createTopics>['topics'][number]

const brokerDefault = -1

/**
 * CreateTopics (19), versions 2-7. A result for each topic, valid ones beside refused ones; answered once they are durable. Partitions
 * and replication factor -1 are the gateway's defaults. A factor above 1 is taken and reported as 1 while `replication.factor.accept`
 * is true, as Connect and Streams ask for 3. Manual assignments may name node 1 only.
 * - v5: partitions, factor and configs in the answer
 * - v7: topic id in the answer
 */
export const handleCreateTopics = defineHandler(createTopics, async (request, context) => {
  const duplicates = duplicatesOf(request.topics.map(({ name }) => name))
  const answers = new Map<string, TopicAnswer>()
  for (const wanted of request.topics) {
    answers.set(wanted.name, create(wanted, duplicates.has(wanted.name), request.validateOnly, context))
  }
  return {
    topics: await whenDurable([...answers.values()], context, ({ name }) => ({
      name,
      errorCode: 0,
      errorMessage: null,
    })),
  }
})

function create(wanted: Wanted, isDuplicate: boolean, validateOnly: boolean, context: RequestContext): TopicAnswer {
  const { topics } = context.services.broker
  try {
    if (isDuplicate) throw new BrokerError('invalidRequest', `topic "${wanted.name}" is named twice in the request`)
    const plan = topics.plan(newTopic(wanted, context))
    const topic: Pick<Topic, 'name' | 'configs'> & { id?: string } = validateOnly ? plan : topics.create(plan)
    return created(topic.name, topic.id ?? ZERO_UUID, plan.partitions, topic.configs, context)
  } catch (error) {
    return { name: wanted.name, ...context.refusal(error) }
  }
}

function newTopic(wanted: Wanted, { services }: RequestContext): NewTopic {
  checkReplicationFactor(wanted, services.loaded.settings['replication.factor.accept'])
  const configs = services.topicConfigs.normalize(configsOf(wanted))
  if (wanted.assignments.length > 0) return { name: wanted.name, partitions: assignedPartitions(wanted), configs }
  if (wanted.numPartitions === brokerDefault) return { name: wanted.name, configs }
  return { name: wanted.name, partitions: wanted.numPartitions, configs }
}

function checkReplicationFactor({ replicationFactor, assignments }: Wanted, acceptMore: boolean): void {
  const isLegal = replicationFactor === brokerDefault || replicationFactor === 1
  if (isLegal || assignments.length > 0 || (replicationFactor > 1 && acceptMore)) return
  throw new BrokerError(
    'invalidReplicationFactor',
    replicationFactor < 1
      ? `replication factor ${replicationFactor} is not above 0`
      : `replication factor ${replicationFactor} needs as many brokers, a gateway is one (replication.factor.accept=true takes it as 1)`,
  )
}

function assignedPartitions({ numPartitions, replicationFactor, assignments }: Wanted): number {
  if (numPartitions !== brokerDefault || replicationFactor !== brokerDefault) {
    throw new BrokerError('invalidRequest', 'with manual assignments, partitions and replication factor must be -1')
  }
  const indexes = new Set(assignments.map(({ partitionIndex }) => partitionIndex))
  const isDense = assignments.every((_, index) => indexes.has(index))
  if (!isDense)
    throw new BrokerError('invalidReplicaAssignment', 'partitions of an assignment are numbered from 0 without a gap')
  checkAssignments(assignments)
  return assignments.length
}

function configsOf({ configs }: Wanted): Map<string, string> {
  const values = new Map<string, string>()
  for (const { name, value } of configs) {
    if (value === null) throw new BrokerError('invalidConfig', `topic config ${name} has no value`)
    values.set(name, value)
  }
  return values
}

function created(
  name: string,
  topicId: string,
  numPartitions: number,
  overrides: ReadonlyMap<string, string>,
  { services }: RequestContext,
): TopicAnswer {
  const configs = describeTopic(services.topicConfigs, overrides, services.loaded)
  return {
    name,
    topicId,
    errorCode: 0,
    errorMessage: null,
    numPartitions,
    replicationFactor: 1,
    configs: configs.map(({ name, value, readOnly, source, sensitive }) => ({
      name,
      value,
      readOnly,
      configSource: configSourceCodes[source],
      isSensitive: sensitive,
    })),
  }
}

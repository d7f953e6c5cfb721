import { BrokerError } from '../../core/errors.ts'
import type { RequestOf } from '../../wire/kafka/api.ts'
import { createPartitions } from '../../wire/kafka/contracts/index.ts'
import { duplicatesOf } from '../duplicates.ts'
import { whenDurable } from '../durable-answers.ts'
import { defineHandler, type RequestContext } from '../handler.ts'
import { checkAssignments } from '../replica-assignment.ts'

type Wanted = RequestOf<typeof createPartitions>['topics'][number]

interface TopicAnswer {
  readonly name: string
  readonly errorCode: number
  readonly errorMessage: string | null
}

/**
 * CreatePartitions (37), versions 0-3. Brings topics to `count` partitions in all, never fewer; answered once that is durable. Where an
 * MQTT route chooses partitions by key, the log says that keys move. All versions are alike.
 */
export const handleCreatePartitions = defineHandler(createPartitions, async (request, context) => {
  const duplicates = duplicatesOf(request.topics.map(({ name }) => name))
  const answers = new Map<string, TopicAnswer>()
  for (const wanted of request.topics) {
    answers.set(wanted.name, extend(wanted, duplicates.has(wanted.name), request.validateOnly, context))
  }
  return { results: await whenDurable([...answers.values()], context) }
})

function extend(wanted: Wanted, isDuplicate: boolean, validateOnly: boolean, context: RequestContext): TopicAnswer {
  const { name, count } = wanted
  const { broker, hasKeyedRoute, logger } = context.services
  try {
    if (isDuplicate) throw new BrokerError('invalidRequest', `topic "${name}" is named twice in the request`)
    const present = broker.topics.get(name).partitions.length
    if (wanted.assignments !== null) checkAdded(wanted.assignments, count - present)
    broker.topics.addPartitions(name, count, { validateOnly })
    if (!validateOnly && hasKeyedRoute(name)) {
      logger.warn({ topic: name, before: present, after: count }, 'more partitions: keys of MQTT routes move to others')
    }
    return { name, errorCode: 0, errorMessage: null }
  } catch (error) {
    return { name, ...context.refusal(error) }
  }
}

function checkAdded(assignments: NonNullable<Wanted['assignments']>, added: number): void {
  checkAssignments(assignments)
  if (added <= 0 || assignments.length === added) return
  throw new BrokerError(
    'invalidReplicaAssignment',
    `${added} partitions would be added, ${assignments.length} are assigned`,
  )
}

import type { Topic } from '../broker/topics.ts'
import { BrokerError } from '../core/errors.ts'
import { type ConfigResource, refuseBrokerChange, resolveResource, resourceKey } from './config-resources.ts'
import { duplicatesOf } from './duplicates.ts'
import type { RequestContext } from './handler.ts'
import type { Services } from './services.ts'

interface Change extends ConfigResource {
  readonly configs: readonly { readonly name: string }[]
}

interface ResourceAnswer extends ConfigResource {
  readonly errorCode: number
  readonly errorMessage: string | null
}

/**
 * What AlterConfigs and IncrementalAlterConfigs have in common: a result for each resource, resources named twice refused, and the
 * answer once all is durable. `configsAfter` gives all overrides of the topic after the change, or throws.
 */
export async function alterResources<C extends Change>(
  changes: readonly C[],
  validateOnly: boolean,
  configsAfter: (change: C, topic: Topic, services: Services) => ReadonlyMap<string, string>,
  context: RequestContext,
): Promise<ResourceAnswer[]> {
  const duplicates = duplicatesOf(changes.map(resourceKey))
  const answers = new Map<string, ResourceAnswer>()
  for (const change of changes) {
    const key = resourceKey(change)
    answers.set(key, alter(change, duplicates.has(key), validateOnly, configsAfter, context))
  }
  return whenDurable([...answers.values()], context)
}

function alter<C extends Change>(
  change: C,
  isDuplicate: boolean,
  validateOnly: boolean,
  configsAfter: (change: C, topic: Topic, services: Services) => ReadonlyMap<string, string>,
  context: RequestContext,
): ResourceAnswer {
  const { resourceType, resourceName } = change
  try {
    if (isDuplicate) throw new BrokerError('invalidRequest', 'the resource is named twice in the request')
    const resource = resolveResource(change, context)
    if (resource.type !== 'topic') {
      refuseBrokerChange(
        resource.type,
        change.configs.map(({ name }) => name),
      )
    }
    const configs = configsAfter(change, resource.topic, context.services)
    context.services.broker.topics.setConfigs(resource.topic.name, configs, { validateOnly })
    return { errorCode: 0, errorMessage: null, resourceType, resourceName }
  } catch (error) {
    return { ...context.refusal(error), resourceType, resourceName }
  }
}

async function whenDurable(answers: ResourceAnswer[], context: RequestContext): Promise<ResourceAnswer[]> {
  try {
    await context.services.broker.topics.durable()
    return answers
  } catch (error) {
    const refusal = context.refusal(error)
    return answers.map(answer => (answer.errorCode === 0 ? { ...answer, ...refusal } : answer))
  }
}

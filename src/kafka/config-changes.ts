import type { Topic } from '../broker/topics.ts'
import type { SettingOverrides } from '../config/live-settings.ts'
import type { SettingKey } from '../config/settings.ts'
import { BrokerError } from '../core/errors.ts'
import { type ConfigResource, liveKeys, resolveResource, resourceKey } from './config-resources.ts'
import { duplicatesOf } from './duplicates.ts'
import { whenDurable } from './durable-answers.ts'
import type { RequestContext } from './handler.ts'
import type { Services } from './services.ts'

interface Change extends ConfigResource {
  readonly configs: readonly { readonly name: string }[]
}

interface ResourceAnswer extends ConfigResource {
  readonly errorCode: number
  readonly errorMessage: string | null
}

/** What a request makes of the configs of a resource; both throw what is wrong with it. */
export interface ConfigOperation<C extends Change> {
  /** All overrides of the topic after the change. */
  topic(change: C, topic: Topic, services: Services): ReadonlyMap<string, string>
  /** All settings changed at run time after the change; `keys` are those of its configs. */
  broker(change: C, keys: readonly SettingKey[], services: Services): SettingOverrides
}

/**
 * What AlterConfigs and IncrementalAlterConfigs have in common: a result for each resource, resources named twice refused, and the
 * answer once all is durable.
 */
export async function alterResources<C extends Change>(
  changes: readonly C[],
  validateOnly: boolean,
  operation: ConfigOperation<C>,
  context: RequestContext,
): Promise<ResourceAnswer[]> {
  const duplicates = duplicatesOf(changes.map(resourceKey))
  const answers = new Map<string, ResourceAnswer>()
  for (const change of changes) {
    const key = resourceKey(change)
    const { resourceType, resourceName } = change
    try {
      if (duplicates.has(key)) throw new BrokerError('invalidRequest', 'the resource is named twice in the request')
      await alter(change, validateOnly, operation, context)
      answers.set(key, { errorCode: 0, errorMessage: null, resourceType, resourceName })
    } catch (error) {
      answers.set(key, { ...context.refusal(error), resourceType, resourceName })
    }
  }
  return whenDurable([...answers.values()], context)
}

async function alter<C extends Change>(
  change: C,
  validateOnly: boolean,
  operation: ConfigOperation<C>,
  context: RequestContext,
): Promise<void> {
  const { services } = context
  const resource = resolveResource(change, context)
  switch (resource.type) {
    case 'topic': {
      const configs = operation.topic(change, resource.topic, services)
      services.broker.topics.setConfigs(resource.topic.name, configs, { validateOnly })
      return
    }
    case 'broker': {
      const keys = liveKeys(change.configs.map(({ name }) => name))
      await services.live.alter(operation.broker(change, keys, services), validateOnly)
      return
    }
    case 'brokerLogger':
      throw new BrokerError('invalidRequest', 'log levels cannot be changed here: set log.level and restart')
  }
}

import type { Topic } from '../broker/topics.ts'
import { settingKeys, settingRow } from '../config/settings.ts'
import { BrokerError } from '../core/errors.ts'
import type { RequestContext } from './handler.ts'
import { nodeId } from './services.ts'

/** Codes of ConfigResource.Type. */
export const resourceTypes = { topic: 2, broker: 4, brokerLogger: 8 } as const

export interface ConfigResource {
  readonly resourceType: number
  readonly resourceName: string
}

/** What configs can be asked of or set for. */
export type ResolvedResource =
  | { readonly type: 'topic'; readonly topic: Topic }
  /** This gateway, or the defaults of its cluster, which are the same settings. */
  | { readonly type: 'broker' }
  | { readonly type: 'brokerLogger' }

/** Throws `unknownTopic`, `invalidTopic`, `invalidRequest`. */
export function resolveResource(resource: ConfigResource, { services }: RequestContext): ResolvedResource {
  const { resourceType, resourceName } = resource
  switch (resourceType) {
    case resourceTypes.topic:
      return { type: 'topic', topic: services.broker.topics.get(resourceName) }
    case resourceTypes.broker:
      if (resourceName !== '') checkNode(resourceName)
      return { type: 'broker' }
    case resourceTypes.brokerLogger:
      checkNode(resourceName)
      return { type: 'brokerLogger' }
    default:
      throw new BrokerError('invalidRequest', `configs of resource type ${resourceType} are not served`)
  }
}

/** For answers and for finding duplicates. */
export const resourceKey = ({ resourceType, resourceName }: ConfigResource): string => `${resourceType}/${resourceName}`

/** Why the gateway's own settings cannot be changed through Kafka: always thrown. */
export function refuseBrokerChange(type: 'broker' | 'brokerLogger', names: readonly string[]): never {
  if (type === 'brokerLogger') {
    throw new BrokerError('invalidRequest', 'log levels cannot be changed here: set log.level and restart')
  }
  const known = new Set(settingKeys.flatMap(key => [key, settingRow(key).kafka ?? key]))
  const unknown = names.find(name => !known.has(name))
  if (unknown !== undefined) throw new BrokerError('invalidConfig', `there is no broker config "${unknown}"`)
  throw new BrokerError(
    'invalidRequest',
    `${names.join(', ')}: settings of the gateway are changed in its file, environment or flags, and take effect at a restart`,
  )
}

function checkNode(resourceName: string): void {
  if (resourceName === String(nodeId)) return
  throw new BrokerError('invalidRequest', `there is no broker "${resourceName}", only ${nodeId}`)
}

import type { Topic } from '../broker/topics.ts'
import { type SettingKey, settingKeys, settingRow } from '../config/settings.ts'
import { BrokerError } from '../core/errors.ts'
import type { RequestContext } from './handler.ts'
import { nodeId } from './services.ts'

/** Codes of ConfigResource.Type. */
const resourceTypes = { topic: 2, broker: 4, brokerLogger: 8 } as const

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

/** The live settings of these names. Throws `invalidConfig` for unknown ones, `invalidRequest` for those that take effect at a restart. */
export function liveKeys(names: readonly string[]): SettingKey[] {
  return names.map(name => {
    const key = settingKeys.find(known => (settingRow(known).kafka ?? known) === name || known === name)
    if (key === undefined) throw new BrokerError('invalidConfig', `there is no broker config "${name}"`)
    if (settingRow(key).live) return key
    throw new BrokerError(
      'invalidRequest',
      `${name}: this setting of the gateway is changed in its file, environment or flags, and takes effect at a restart`,
    )
  })
}

function checkNode(resourceName: string): void {
  if (resourceName === String(nodeId)) return
  throw new BrokerError('invalidRequest', `there is no broker "${resourceName}", only ${nodeId}`)
}

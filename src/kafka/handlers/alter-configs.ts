import { liveSettingText } from '../../config/live-settings.ts'
import { BrokerError } from '../../core/errors.ts'
import type { RequestOf } from '../../wire/kafka/api.ts'
import { alterConfigs } from '../../wire/kafka/contracts/index.ts'
import { alterResources } from '../config-changes.ts'
import { defineHandler } from '../handler.ts'

type Configs = RequestOf<typeof alterConfigs>['resources'][number]['configs']

/**
 * AlterConfigs (33), versions 0-2. Replaces everything that is set for a topic, or was changed of the gateway at run time (of its settings
 * those that are live); answered once it is durable. All versions are alike.
 */
export const handleAlterConfigs = defineHandler(alterConfigs, async (request, context) => ({
  responses: await alterResources(
    request.resources,
    request.validateOnly,
    {
      topic: ({ configs }, _topic, { topicConfigs }) => topicConfigs.normalize(replacement(configs)),
      broker: ({ configs }, keys) =>
        new Map(
          [...replacement(configs).values()].map((text, index) => [keys[index]!, liveSettingText(keys[index]!, text)]),
        ),
    },
    context,
  ),
}))

function replacement(configs: Configs): Map<string, string> {
  const values = new Map<string, string>()
  for (const { name, value } of configs) {
    if (value === null) throw new BrokerError('invalidConfig', `config ${name} has no value`)
    values.set(name, value)
  }
  return values
}

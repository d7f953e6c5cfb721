import { liveSettingText, type SettingOverrides } from '../../config/live-settings.ts'
import type { SettingKey } from '../../config/settings.ts'
import type { ConfigChange } from '../../config/topic-configs.ts'
import { BrokerError } from '../../core/errors.ts'
import type { RequestOf } from '../../wire/kafka/api.ts'
import { incrementalAlterConfigs } from '../../wire/kafka/contracts/index.ts'
import { alterResources } from '../config-changes.ts'
import { duplicatesOf } from '../duplicates.ts'
import { defineHandler } from '../handler.ts'

type Configs = RequestOf<typeof incrementalAlterConfigs>['resources'][number]['configs']

/** By the code of AlterConfigOp.OpType. */
const operations: readonly ConfigChange['operation'][] = ['SET', 'DELETE', 'APPEND', 'SUBTRACT']

/**
 * IncrementalAlterConfigs (44), versions 0-1. Sets, deletes, appends to or subtracts from single configs of a topic, sets or deletes
 * live settings of the gateway; all changes of a resource or none; answered once they are durable. Both versions are alike.
 */
export const handleIncrementalAlterConfigs = defineHandler(incrementalAlterConfigs, async (request, context) => ({
  responses: await alterResources(
    request.resources,
    request.validateOnly,
    {
      topic: ({ configs }, topic, { topicConfigs }) => topicConfigs.alter(topic.configs, changesOf(configs)),
      broker: ({ configs }, keys, { live }) => overridesAfter(live.overrides, keys, changesOf(configs)),
    },
    context,
  ),
}))

function changesOf(configs: Configs): ConfigChange[] {
  const [twice] = duplicatesOf(configs.map(({ name }) => name))
  if (twice !== undefined) throw new BrokerError('invalidRequest', `config ${twice} is changed twice in the request`)
  return configs.map(({ name, configOperation, value }) => {
    const operation = operations[configOperation]
    if (operation === undefined) throw new BrokerError('invalidRequest', `there is no operation ${configOperation}`)
    return { name, operation, value }
  })
}

function overridesAfter(
  before: SettingOverrides,
  keys: readonly SettingKey[],
  changes: readonly ConfigChange[],
): SettingOverrides {
  const after = new Map(before)
  for (const [index, { name, operation, value }] of changes.entries()) {
    const key = keys[index]!
    if (operation === 'DELETE') after.delete(key)
    else if (operation === 'SET' && value !== null) after.set(key, liveSettingText(key, value))
    else throw new BrokerError('invalidConfig', `config ${name} can be set to a value or deleted, it is no list`)
  }
  return after
}

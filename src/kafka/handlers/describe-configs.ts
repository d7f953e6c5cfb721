import {
  configSourceCodes,
  configTypeCodes,
  type DescribedConfig,
  describeBroker,
  describeTopic,
} from '../../config/describe-configs.ts'
import { settingRow } from '../../config/settings.ts'
import { BrokerError } from '../../core/errors.ts'
import type { RequestOf, ResponseInputOf } from '../../wire/kafka/api.ts'
import { describeConfigs } from '../../wire/kafka/contracts/index.ts'
import { resolveResource, resourceKey } from '../config-resources.ts'
import { distinctBy, duplicatesOf } from '../duplicates.ts'
import { defineHandler, type RequestContext } from '../handler.ts'

type Request = RequestOf<typeof describeConfigs>
type Result = ResponseInputOf<typeof describeConfigs>['results'][number]

/** Source of a logger's level in DescribeConfigs. */
const brokerLoggerSource = 6
const rootLogger = 'root'

/**
 * DescribeConfigs (32), versions 1-4. All configs of topics (2), of this gateway (4) and its log level (8), defaults included; an
 * empty list of keys means all, as null does. Secrets have no value. A resource named twice is refused, once.
 * - v1: source, and on request the synonyms: what would be in force otherwise
 * - v3: type, and on request the documentation
 */
export const handleDescribeConfigs = defineHandler(describeConfigs, (request, context) => {
  const duplicates = duplicatesOf(request.resources.map(resourceKey))
  return {
    results: distinctBy(request.resources, resourceKey).map(resource =>
      describe(resource, duplicates.has(resourceKey(resource)), request, context),
    ),
  }
})

function describe(
  resource: Request['resources'][number],
  isDuplicate: boolean,
  request: Request,
  context: RequestContext,
): Result {
  const { resourceType, resourceName, configurationKeys } = resource
  try {
    if (isDuplicate) throw new BrokerError('invalidRequest', 'the resource is named twice in the request')
    const names = configurationKeys === null || configurationKeys.length === 0 ? undefined : configurationKeys
    const configs = configsOf(resource, names, request, context)
    return { errorCode: 0, errorMessage: null, resourceType, resourceName, configs }
  } catch (error) {
    return { ...context.refusal(error), resourceType, resourceName, configs: [] }
  }
}

function configsOf(
  resource: Request['resources'][number],
  names: readonly string[] | undefined,
  request: Request,
  context: RequestContext,
): Result['configs'] {
  const { loaded, live, topicConfigs } = context.services
  const resolved = resolveResource(resource, context)
  if (resolved.type === 'brokerLogger') return loggersOf(names, context)
  const described =
    resolved.type === 'topic'
      ? describeTopic(topicConfigs, resolved.topic.configs, loaded, names)
      : describeBroker(live.given, live.overrides, names)
  return described.map(config => shown(config, request))
}

function shown(config: DescribedConfig, { includeSynonyms, includeDocumentation }: Request): Result['configs'][number] {
  const synonyms = includeSynonyms ? config.synonyms : []
  return {
    name: config.name,
    value: config.value,
    readOnly: config.readOnly,
    configSource: configSourceCodes[config.source],
    isSensitive: config.sensitive,
    synonyms: synonyms.map(({ name, value, source }) => ({ name, value, source: configSourceCodes[source] })),
    configType: configTypeCodes[config.type],
    documentation: includeDocumentation ? config.docs : null,
  }
}

/** One logger, whose level is the setting `log.level` in Kafka's words. */
function loggersOf(names: readonly string[] | undefined, { services }: RequestContext): Result['configs'] {
  if (names !== undefined && !names.includes(rootLogger)) return []
  const row = settingRow('log.level')
  return [
    {
      name: rootLogger,
      value: services.loaded.settings['log.level'].toUpperCase(),
      readOnly: true,
      configSource: brokerLoggerSource,
      isSensitive: false,
      synonyms: [],
      configType: configTypeCodes[row.type.configType],
      documentation: null,
    },
  ]
}

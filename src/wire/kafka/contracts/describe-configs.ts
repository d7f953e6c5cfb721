import { defineApi } from '../api.ts'
import { array, boolean, int8, int16, int32, nullableArray, nullableString, string, struct } from '../fields.ts'

/**
 * DescribeConfigs (32): settings of topics and brokers. Versions 1-4.
 * - 1 config source and synonyms (KIP-226)
 * - 2 throttled answers are sent at once
 * - 3 type and documentation (KIP-569)
 * - 4 flexible
 */
export const describeConfigs = defineApi({
  key: 32,
  name: 'DescribeConfigs',
  versions: [1, 4],
  flexible: 4,
  request: {
    resources: array(
      struct({
        resourceType: int8(),
        resourceName: string(),
        configurationKeys: nullableArray(string()),
      }),
    ),
    includeSynonyms: boolean({ default: false }),
    includeDocumentation: boolean({ since: 3, default: false }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: array(
      struct({
        errorCode: int16(),
        errorMessage: nullableString(),
        resourceType: int8(),
        resourceName: string(),
        configs: array(
          struct({
            name: string(),
            value: nullableString(),
            readOnly: boolean(),
            configSource: int8({ default: -1, ignorable: true }),
            isSensitive: boolean(),
            synonyms: array(
              struct({
                name: string(),
                value: nullableString(),
                source: int8(),
              }),
              { ignorable: true },
            ),
            configType: int8({ since: 3, default: 0, ignorable: true }),
            documentation: nullableString({ since: 3, ignorable: true }),
          }),
        ),
      }),
    ),
  },
})

import { defineApi } from '../api.ts'
import { array, boolean, int8, int16, int32, nullableString, string, struct } from '../fields.ts'

/**
 * AlterConfigs (33): replaces all settings of a resource; deprecated for IncrementalAlterConfigs. Versions 0-2.
 * - 0 resources and their settings
 * - 1 throttled answers are sent at once
 * - 2 flexible
 */
export const alterConfigs = defineApi({
  key: 33,
  name: 'AlterConfigs',
  versions: [0, 2],
  flexible: 2,
  request: {
    resources: array(
      struct({
        resourceType: int8(),
        resourceName: string(),
        configs: array(
          struct({
            name: string(),
            value: nullableString(),
          }),
        ),
      }),
    ),
    validateOnly: boolean(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    responses: array(
      struct({
        errorCode: int16(),
        errorMessage: nullableString(),
        resourceType: int8(),
        resourceName: string(),
      }),
    ),
  },
})

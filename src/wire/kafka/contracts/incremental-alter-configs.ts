import { defineApi } from '../api.ts'
import { array, boolean, int8, int16, int32, nullableString, string, struct } from '../fields.ts'

/**
 * IncrementalAlterConfigs (44): sets, deletes, appends to or subtracts from single settings (KIP-339). Versions 0-1.
 * - 0 operation 0 set, 1 delete, 2 append, 3 subtract
 * - 1 flexible
 */
export const incrementalAlterConfigs = defineApi({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: [0, 1],
  flexible: 1,
  request: {
    resources: array(
      struct({
        resourceType: int8(),
        resourceName: string(),
        configs: array(
          struct({
            name: string(),
            configOperation: int8(),
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

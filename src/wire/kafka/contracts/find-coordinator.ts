import { defineApi } from '../api.ts'
import { array, int8, int16, int32, nullableString, string, struct } from '../fields.ts'

/**
 * FindCoordinator (10): the broker that coordinates a group or transactional id. Versions 0-6.
 * - 0 groups only
 * - 1 key type, throttle time, error message
 * - 2 throttled answers are sent at once
 * - 3 flexible
 * - 4 several keys in one request (KIP-699)
 * - 5 TRANSACTION_ABORTABLE may be answered (KIP-890)
 * - 6 key type 2, share groups (KIP-932)
 */
export const findCoordinator = defineApi({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  flexible: 3,
  request: {
    key: string({ until: 3 }),
    keyType: int8({ since: 1, default: 0 }),
    coordinatorKeys: array(string(), { since: 4 }),
  },
  response: {
    throttleTimeMs: int32({ since: 1, ignorable: true }),
    errorCode: int16({ until: 3 }),
    errorMessage: nullableString({ since: 1, until: 3, ignorable: true }),
    nodeId: int32({ until: 3 }),
    host: string({ until: 3 }),
    port: int32({ until: 3 }),
    coordinators: array(
      struct({
        key: string(),
        nodeId: int32(),
        host: string(),
        port: int32(),
        errorCode: int16(),
        errorMessage: nullableString({ ignorable: true }),
      }),
      { since: 4 },
    ),
  },
})

import { defineApi } from '../api.ts'
import { array, boolean, int8, int16, int32, nullableString, string, struct } from '../fields.ts'

/**
 * DescribeCluster (60): brokers, controller and cluster id (KIP-700). Versions 0-2, flexible from the first.
 * - 0 brokers
 * - 1 endpoint type: brokers or controllers (KIP-919)
 * - 2 fenced brokers (KIP-1073)
 */
export const describeCluster = defineApi({
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 2],
  flexible: 0,
  request: {
    includeClusterAuthorizedOperations: boolean(),
    endpointType: int8({ since: 1, default: 1 }),
    includeFencedBrokers: boolean({ since: 2 }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16(),
    errorMessage: nullableString({ default: null }),
    endpointType: int8({ since: 1, default: 1 }),
    clusterId: string(),
    controllerId: int32({ default: -1 }),
    brokers: array(
      struct({
        brokerId: int32(),
        host: string(),
        port: int32(),
        rack: nullableString({ default: null }),
        isFenced: boolean({ since: 2 }),
      }),
    ),
    clusterAuthorizedOperations: int32({ default: -2147483648 }),
  },
})

import { describeCluster } from '../../wire/kafka/contracts/index.ts'
import { errorCodes } from '../../wire/kafka/error-codes.ts'
import { onlyBroker } from '../brokers.ts'
import { defineHandler } from '../handler.ts'
import { nodeId } from '../services.ts'

const brokers = 1
const controllers = 2

/**
 * DescribeCluster (60), versions 0-2. One broker, which is the controller; the cluster id is the log id.
 * - v1: endpoint type: controllers cannot be asked at a broker's listener
 * - v2: fenced brokers may be asked for; there are none
 */
export const handleDescribeCluster = defineHandler(describeCluster, (request, context) => {
  const clusterId = context.services.broker.logId
  const { endpointType } = request
  if (endpointType !== brokers) {
    const isController = endpointType === controllers
    return {
      errorCode: isController ? errorCodes.MISMATCHED_ENDPOINT_TYPE : errorCodes.UNSUPPORTED_ENDPOINT_TYPE,
      errorMessage: isController ? 'this is a broker endpoint' : `there is no endpoint type ${endpointType}`,
      endpointType,
      clusterId,
      brokers: [],
    }
  }
  return {
    errorCode: 0,
    clusterId,
    controllerId: nodeId,
    brokers: [{ brokerId: nodeId, ...onlyBroker(context) }],
  }
})

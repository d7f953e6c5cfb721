import { apiVersions } from '../../wire/kafka/contracts/index.ts'
import { errorCodes } from '../../wire/kafka/error-codes.ts'
import { defineHandler } from '../handler.ts'

const softwarePattern = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

/**
 * ApiVersions (18), versions 0-4. Says what is registered; the router answers versions that are newer than ours.
 * - v3: name and version of the client's software must look like such (KIP-511). No feature is listed: `transaction.version`,
 *   `group.version` and `metadata.version` are not finalized, so clients use what they have without them.
 */
export const handleApiVersions = defineHandler(apiVersions, (request, { version, served }) => {
  const isNamed = [request.clientSoftwareName, request.clientSoftwareVersion].every(text => softwarePattern.test(text))
  if (version >= 3 && !isNamed) return { errorCode: errorCodes.INVALID_REQUEST, apiKeys: [] }
  return { errorCode: errorCodes.NONE, apiKeys: [...served] }
})

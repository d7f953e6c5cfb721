import { defineApi } from '../api.ts'
import { array, boolean, int16, int32, int64, string, struct } from '../fields.ts'

/**
 * ApiVersions (18): what this broker serves. Versions 0-4. The answer always has the old header; see api.ts.
 * - 0 keys and ranges
 * - 1 throttle time
 * - 2 throttled answers are sent at once
 * - 3 flexible; client software name and version, features (KIP-511, KIP-584)
 * - 4 a supported feature may start at 0 (KAFKA-17011)
 */
export const apiVersions = defineApi({
  key: 18,
  name: 'ApiVersions',
  versions: [0, 4],
  flexible: 3,
  request: {
    clientSoftwareName: string({ since: 3, ignorable: true }),
    clientSoftwareVersion: string({ since: 3, ignorable: true }),
  },
  response: {
    errorCode: int16(),
    apiKeys: array(
      struct({
        apiKey: int16(),
        minVersion: int16(),
        maxVersion: int16(),
      }),
    ),
    throttleTimeMs: int32({ since: 1, ignorable: true }),
    supportedFeatures: array(
      struct({
        name: string(),
        minVersion: int16(),
        maxVersion: int16(),
      }),
      { tagged: { tag: 0, since: 3 }, ignorable: true },
    ),
    finalizedFeaturesEpoch: int64({ tagged: { tag: 1, since: 3 }, default: -1, ignorable: true }),
    finalizedFeatures: array(
      struct({
        name: string(),
        maxVersionLevel: int16(),
        minVersionLevel: int16(),
      }),
      { tagged: { tag: 2, since: 3 }, ignorable: true },
    ),
    zkMigrationReady: boolean({ tagged: { tag: 3, since: 3 }, default: false, ignorable: true }),
  },
})

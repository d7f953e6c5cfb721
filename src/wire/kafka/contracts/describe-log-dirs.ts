import { defineApi } from '../api.ts'
import { array, boolean, int16, int32, int64, nullableArray, string, struct } from '../fields.ts'

/**
 * DescribeLogDirs (35): directories of a broker and the bytes of each partition in them. Versions 1-5.
 * - 1 throttled answers are sent at once
 * - 2 flexible
 * - 3 an error code for all of the answer (KIP-784)
 * - 4 bytes of the volume, and what of it can be used (KIP-827)
 * - 5 directories that take no new partitions (KIP-1066)
 */
export const describeLogDirs = defineApi({
  key: 35,
  name: 'DescribeLogDirs',
  versions: [1, 5],
  flexible: 2,
  request: {
    topics: nullableArray(struct({ topic: string(), partitions: array(int32()) })),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16({ since: 3, ignorable: true }),
    results: array(
      struct({
        errorCode: int16(),
        logDir: string(),
        topics: array(
          struct({
            name: string(),
            partitions: array(
              struct({
                partitionIndex: int32(),
                partitionSize: int64(),
                offsetLag: int64(),
                isFutureKey: boolean(),
              }),
            ),
          }),
        ),
        totalBytes: int64({ since: 4, default: -1, ignorable: true }),
        usableBytes: int64({ since: 4, default: -1, ignorable: true }),
        isCordoned: boolean({ since: 5, ignorable: true }),
      }),
    ),
  },
})

import { defineApi } from '../api.ts'
import { bytes, int16, int64, nullableString } from '../fields.ts'

/**
 * SaslAuthenticate (36): one step of a SASL exchange. Versions 0-2.
 * - 0 bytes each way
 * - 1 session lifetime (KIP-368)
 * - 2 flexible
 */
export const saslAuthenticate = defineApi({
  key: 36,
  name: 'SaslAuthenticate',
  versions: [0, 2],
  flexible: 2,
  request: {
    authBytes: bytes(),
  },
  response: {
    errorCode: int16(),
    errorMessage: nullableString(),
    authBytes: bytes(),
    sessionLifetimeMs: int64({ since: 1, default: 0, ignorable: true }),
  },
})

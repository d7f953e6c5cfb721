import { defineApi } from '../api.ts'
import { array, int16, string } from '../fields.ts'

/**
 * SaslHandshake (17): chooses the SASL mechanism. Versions 0-1, never flexible.
 * - 0 raw SASL tokens follow
 * - 1 SaslAuthenticate requests follow (KIP-152)
 */
export const saslHandshake = defineApi({
  key: 17,
  name: 'SaslHandshake',
  versions: [0, 1],
  request: {
    mechanism: string(),
  },
  response: {
    errorCode: int16(),
    mechanisms: array(string()),
  },
})

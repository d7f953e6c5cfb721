import type { EnhancedAuthentication } from '../../src/mqtt/enhanced-authentication.ts'

/** The authentication method `ask-once`: whatever comes first is answered with `password?`, and only `right` is right then. */
export const askOnce: EnhancedAuthentication = {
  begin(method) {
    if (method !== 'ask-once') return undefined
    let asked = false
    return {
      async step(data) {
        if (!asked) {
          asked = true
          return { kind: 'continue', data: Buffer.from('password?') }
        }
        if (data?.toString() === 'right') return { kind: 'success', data: Buffer.from('welcome') }
        return { kind: 'failure', reason: 'that is not the password' }
      },
    }
  },
}

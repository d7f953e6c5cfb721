import { type SaslExchange, SaslFault } from './sasl.ts'

const separator = '\x01'

/** RFC 7628. `wallMs` is only for the error: a token is shown whatever the clock says. */
export const oauthBearerExchange = (token: string, wallMs: () => number): SaslExchange => {
  return {
    mechanism: 'OAUTHBEARER',
    who: '',
    start: () => Buffer.from(`n,,${separator}auth=Bearer ${token}${separator}${separator}`),
    // what comes back is why not (section 3.2.2): there is nothing left to ask for
    async next(answer) {
      if (answer.length === 0) return undefined
      throw new SaslFault(`the broker does not accept the token: ${statusOf(answer)}${expiryOf(token, wallMs())}`)
    },
  }
}

const statusOf = (answer: Buffer): string => {
  const { status } = parseObject(answer.toString())
  return typeof status === 'string' ? status : answer.toString()
}

/** When a JSON Web Token ended (RFC 7519), if it did. */
const expiryOf = (token: string, wallMs: number): string => {
  const { exp } = parseObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  if (typeof exp !== 'number' || exp < 0 || exp * 1000 > wallMs) return ''
  return `; it expired at ${new Date(exp * 1000).toISOString()}, or the clock here is wrong: it says ${new Date(wallMs).toISOString()}`
}

/** The members of a JSON object; none when it is not one. */
export const parseObject = (text: string): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

import type { AnyApi, RequestInputOf, ResponseOf } from '../wire/kafka/api.ts'
import { saslAuthenticate } from '../wire/kafka/contracts/sasl-authenticate.ts'
import { saslHandshake } from '../wire/kafka/contracts/sasl-handshake.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import { checkCode, KafkaError } from './kafka-error.ts'

/** The client's side of one SASL exchange (RFC 4422). */
export interface SaslExchange {
  readonly mechanism: string
  /** Who logs in, for errors. */
  readonly who: string
  /** What to say first. */
  start(): Buffer
  /** What to say to that; undefined: all is said. Throws `SaslFault`. */
  next(answer: Buffer): Promise<Buffer | undefined>
}

/** Why the exchange cannot go on, in words for the user. */
export class SaslFault extends Error {
  override name = 'SaslFault'
}

type Ask = <A extends AnyApi>(api: A, body: RequestInputOf<A>) => Promise<ResponseOf<A>>

/**
 * Logs in (KIP-43, KIP-152). Milliseconds after which the broker wants it again (KIP-368); 0: never. Rejects with `KafkaError`
 * SASL_AUTHENTICATION_FAILED, UNSUPPORTED_SASL_MECHANISM or ILLEGAL_SASL_STATE, naming user and mechanism.
 */
export const logIn = async (ask: Ask, exchange: SaslExchange, address: string): Promise<number> => {
  const { mechanism, who } = exchange
  const about = `login at ${address}${who === '' ? '' : ` as ${who}`} with ${mechanism}`
  const handshake = await ask(saslHandshake, { mechanism })
  if (handshake.errorCode === errorCodes.UNSUPPORTED_SASL_MECHANISM)
    throw new KafkaError(handshake.errorCode, about, `the broker has ${handshake.mechanisms.join(', ') || 'none'}`)
  if (handshake.errorCode === errorCodes.ILLEGAL_SASL_STATE)
    throw new KafkaError(handshake.errorCode, about, 'this listener of the broker has no logins: security.protocol')
  checkCode(handshake.errorCode, about)
  try {
    for (let authBytes = exchange.start(); ; ) {
      const answer = await ask(saslAuthenticate, { authBytes })
      checkCode(answer.errorCode, about, answer.errorMessage)
      const next = await exchange.next(answer.authBytes)
      if (next === undefined) return answer.sessionLifetimeMs
      authBytes = next
    }
  } catch (error) {
    if (error instanceof SaslFault) throw new KafkaError(errorCodes.SASL_AUTHENTICATION_FAILED, about, error.message)
    throw error
  }
}

/** RFC 4616. */
export const plainExchange = (username: string, password: string): SaslExchange => ({
  mechanism: 'PLAIN',
  who: username,
  start: () => Buffer.from(`\0${username}\0${password}`),
  next: async () => undefined,
})

import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { type SaslExchange, SaslFault } from './sasl.ts'
import type { ScramMechanism } from './security.ts'

const hashes = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512' } as const
/** No channel binding, no authorization identity. */
const header = 'n,,'
const leastIterations = 4096
/** Some seconds on a Raspberry Pi; a broker that asks for more is not to be believed. */
const mostIterations = 1_000_000

const derive = promisify(pbkdf2)

export interface ScramLogin {
  readonly mechanism: ScramMechanism
  readonly username: string
  readonly password: string
  /** Printable characters without comma, fresh for each exchange. */
  readonly nonce: string
}

/** RFC 5802 and 7677. As in Kafka, user and password are taken as they are, without SASLprep. */
export const scramExchange = ({ mechanism, username, password, nonce }: ScramLogin): SaslExchange => {
  const hash = hashes[mechanism]
  const hmac = (key: Uint8Array, text: Uint8Array | string): Buffer => createHmac(hash, key).update(text).digest()
  const clientFirst = `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  let serverSignature: Buffer | undefined

  const prove = async (serverFirst: string): Promise<Buffer> => {
    const { serverNonce, salt, iterations } = parseServerFirst(serverFirst, nonce)
    const salted = await derive(password, salt, iterations, createHash(hash).digest().length, hash)
    const clientFinal = `c=${Buffer.from(header).toString('base64')},r=${serverNonce}`
    const signed = `${clientFirst},${serverFirst},${clientFinal}`
    const clientKey = hmac(salted, 'Client Key')
    const signature = hmac(createHash(hash).update(clientKey).digest(), signed)
    const proof = clientKey.map((byte, index) => byte ^ signature[index]!)
    serverSignature = hmac(hmac(salted, 'Server Key'), signed)
    return Buffer.from(`${clientFinal},p=${Buffer.from(proof).toString('base64')}`)
  }

  const verify = (serverFinal: string, expected: Buffer): void => {
    const { v: verifier, e: refusal } = attributes(serverFinal)
    if (refusal !== undefined) throw new SaslFault(`the broker says: ${refusal}`)
    const shown = Buffer.from(verifier ?? '', 'base64')
    if (shown.length !== expected.length || !timingSafeEqual(shown, expected))
      throw new SaslFault('the broker does not prove that it knows the password: it may not be the one it says it is')
  }

  return {
    mechanism,
    who: username,
    start: () => Buffer.from(header + clientFirst),
    async next(answer) {
      if (serverSignature === undefined) return prove(answer.toString())
      verify(answer.toString(), serverSignature)
      return undefined
    },
  }
}

/** `r=...,s=...` by letter. */
const attributes = (text: string): Record<string, string | undefined> =>
  Object.fromEntries(text.split(',').map(part => [part.slice(0, 1), part.slice(2)]))

const parseServerFirst = (text: string, nonce: string) => {
  const { r: serverNonce = '', s: salt, i: count, e: refusal, m: extension } = attributes(text)
  if (refusal !== undefined) throw new SaslFault(`the broker says: ${refusal}`)
  if (extension !== undefined) throw new SaslFault('the broker asks for an extension of SCRAM that is not known')
  if (!serverNonce.startsWith(nonce) || serverNonce === nonce) throw new SaslFault('the broker answers somebody else')
  const iterations = /^\d{1,9}$/.test(count ?? '') ? Number(count) : 0
  if (salt === undefined || iterations < leastIterations || iterations > mostIterations)
    throw new SaslFault(`the broker asks for ${count ?? 'no'} iterations, not ${leastIterations} to ${mostIterations}`)
  return { serverNonce, salt: Buffer.from(salt, 'base64'), iterations }
}

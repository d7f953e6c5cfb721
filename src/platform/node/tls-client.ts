import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { ListenAddress } from '../network.ts'
import type { TlsTrust } from '../tls-trust.ts'

export const trustOptions = ({ ca, own, checkHostName }: TlsTrust): ConnectionOptions => ({
  ...(ca === undefined ? {} : { ca }),
  ...(own === undefined ? {} : { cert: own.cert, key: own.key }),
  ...(own === undefined || own.passphrase === '' ? {} : { passphrase: own.passphrase }),
  ...(checkHostName ? {} : { checkServerIdentity: () => undefined }),
})

/** Begins; `secureConnect` says that it is through. Throws when the credentials cannot be used. `attemptMs`: for each address of the name. */
export const connectTls = ({ host, port }: ListenAddress, trust: TlsTrust, attemptMs: number): TLSSocket => {
  const name = isIP(host) === 0 ? { servername: host } : {}
  try {
    // handed on to the socket below, of whose options the types of TLS list some
    const below = { autoSelectFamilyAttemptTimeout: attemptMs }
    const socket = connect({ host, port, ...below, ...name, ...trustOptions(trust) })
    socket.setNoDelay(true)
    socket.setKeepAlive(true)
    return socket
  } catch (error) {
    const { code, reason, message } = error as OpenSslError
    const known = credentialFaults.get(code ?? '') ?? reason ?? message
    throw new Error(`the certificate or key of this client cannot be used: ${known}`)
  }
}

interface OpenSslError extends NodeJS.ErrnoException {
  /** OpenSSL's own words, inside a long message. */
  readonly reason?: string
}

const credentialFaults: ReadonlyMap<string, string> = new Map([
  ['ERR_OSSL_X509_KEY_VALUES_MISMATCH', 'the key is not that of the certificate'],
  ['ERR_OSSL_BAD_DECRYPT', 'the passphrase of the key is wrong'],
  ['ERR_MISSING_PASSPHRASE', 'the key has a passphrase, and none was given'],
])

const unknownCa = 'comes from a CA that this client does not trust'

/** What is wrong with the certificate of the server (verify(1) of OpenSSL). */
const certificateFaults: ReadonlyMap<string, string> = new Map([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', unknownCa],
  ['SELF_SIGNED_CERT_IN_CHAIN', unknownCa],
  ['UNABLE_TO_GET_ISSUER_CERT', unknownCa],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', unknownCa],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', unknownCa],
  ['CERT_SIGNATURE_FAILURE', unknownCa],
  ['CERT_REVOKED', 'was revoked'],
])

/** The cause of a TLS connection that failed or broke, in words of whoever has to mend it. */
export const tlsFault = (error: Error): Error => {
  const { code = '', reason, message } = error as OpenSslError
  const now = new Date().toISOString()
  const certificate = certificateFaults.get(code)
  if (certificate !== undefined) return new Error(`the certificate of the server ${certificate}`)
  if (code === 'CERT_HAS_EXPIRED')
    return new Error(`the certificate of the server has expired, or the clock here is wrong: it says ${now}`)
  if (code === 'CERT_NOT_YET_VALID')
    return new Error(`the certificate of the server is not valid yet, or the clock here is wrong: it says ${now}`)
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return new Error(`the certificate of the server is for another host: ${altNameDetail(message)}`)
  if (code.includes('ALERT') && /CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED/.test(code))
    return new Error(`the server does not accept the certificate of this client, or misses one: ${reason ?? code}`)
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/.test(code))
    return new Error('the server does not speak TLS there')
  if (code === 'ECONNRESET' && message.includes('before secure TLS'))
    return new Error('the server closed the connection in the TLS handshake; does it speak TLS there?')
  if (code.startsWith('ERR_SSL')) return new Error(`the TLS handshake failed: ${reason ?? message}`)
  return error
}

/** Node says: Hostname/IP does not match certificate's altnames: Host: a. is not in the cert's altnames: DNS:b. */
const altNameDetail = (message: string): string => message.replace(/^.*altnames: (?=Host|IP)/, '')

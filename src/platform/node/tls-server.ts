import type { Socket } from 'node:net'
import { createSecureContext, createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import type { TlsCredentials, TlsIdentity, TlsRules, TryCredentials } from '../tls-identity.ts'
import type { Arrival } from './arrival.ts'

export const contextOptions = ({ cert, key, ca }: TlsCredentials, { minVersion }: TlsRules): TlsOptions => ({
  cert,
  key,
  minVersion,
  ...(ca === undefined ? {} : { ca }),
})

/** Options of a server whose connections are judged by `clientFault` as well. */
export const serverOptions = ({ credentials, rules }: TlsIdentity): TlsOptions => ({
  ...contextOptions(credentials, rules),
  requestCert: rules.clientAuth !== 'none',
  rejectUnauthorized: rules.clientAuth === 'required',
})

export const tryNodeCredentials: TryCredentials = (credentials, rules) => {
  createSecureContext(contextOptions(credentials, rules))
}

/** What is wrong with the certificate of a client, or with its absence. Node before 24 takes a resumed session without one for authorized. */
export const clientFault = (socket: TLSSocket, { clientAuth }: TlsRules): string | undefined => {
  if (clientAuth === 'none') return undefined
  if (Object.keys(socket.getPeerCertificate()).length === 0)
    return clientAuth === 'required' ? 'the client shows no certificate' : undefined
  return socket.authorized ? undefined : `the certificate of the client is not accepted: ${socket.authorizationError}`
}

/** Errors of OpenSSL carry a `reason` in words, inside a long message. */
const handshakeFault = (error: Error & { readonly reason?: string }): string =>
  `the TLS handshake failed: ${error.reason ?? error.message}`

/** The same for the socket and for the TLS socket around it. */
const pairOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

/** The handshakes of one listener. A connection that is through goes to `onSecure`. */
export class Handshakes {
  readonly #server
  readonly #underWay = new Map<string, Arrival>()
  readonly #whyClosed: string

  constructor(identity: TlsIdentity, onSecure: (socket: TLSSocket, arrival: Arrival) => void) {
    this.#server = createServer(serverOptions(identity))
    // Node itself closes those whose certificate is not accepted, and does not say for whom
    this.#whyClosed =
      identity.rules.clientAuth === 'required'
        ? 'the client closed the connection in its TLS handshake, or its certificate is not of tls.ca'
        : 'the client closed the connection in its TLS handshake'
    identity.onRenewal(credentials => this.#server.setSecureContext(contextOptions(credentials, identity.rules)))
    this.#server.on('tlsClientError', (error, socket) => {
      this.#underWay.get(pairOf(socket))?.refuse('tls', handshakeFault(error))
    })
    this.#server.on('secureConnection', socket => {
      const arrival = this.#take(pairOf(socket))
      // its errors are those of the connection, once there is one
      socket.on('error', () => undefined)
      if (arrival === undefined) {
        socket.destroy()
        return
      }
      const fault = clientFault(socket, identity.rules)
      if (fault === undefined) onSecure(socket, arrival)
      else arrival.refuse('tls', fault)
    })
  }

  /** Of a connection that is no longer in its handshake. */
  #take(pair: string): Arrival | undefined {
    const arrival = this.#underWay.get(pair)
    this.#underWay.delete(pair)
    return arrival
  }

  begin(arrival: Arrival): void {
    const { socket } = arrival
    arrival.stage = 'tls'
    arrival.whyClosed = this.#whyClosed
    const pair = pairOf(socket)
    this.#underWay.set(pair, arrival)
    socket.once('close', () => {
      if (this.#underWay.get(pair) === arrival) this.#underWay.delete(pair)
    })
    this.#server.emit('connection', socket)
  }
}

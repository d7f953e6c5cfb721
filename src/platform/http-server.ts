import type { ListenAddress, Listener } from './network.ts'
import type { TlsIdentity } from './tls-identity.ts'

/** One request, read to its end. Bodies are not kept: nothing served here takes one. */
export interface HttpRequest {
  readonly method: string
  /** As sent, with the query: `/api/v1/topics?x=1`. */
  readonly target: string
  /** Headers by which a browser is told from a command. */
  readonly contentType: string | undefined
  readonly origin: string | undefined
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Never rejects: what goes wrong is an answer of status 500. */
export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>

export interface HttpOptions {
  /** Absent: plain HTTP. */
  readonly tls?: TlsIdentity | undefined
  readonly maxConnections: number
  /** Time for a TLS handshake, and for a request to arrive, headers and body. */
  readonly requestTimeoutMs: number
  /** Largest body that is read and thrown away; a larger one ends the connection. */
  readonly maxBodyBytes: number
}

/** Counts what is refused below the handler, so that nothing is lost silently. */
export type HttpRefusal = (reason: 'tls' | 'malformed' | 'timeout' | 'too large' | 'too many connections') => void

/** Binds and serves. Rejects with Node's `code` when it cannot bind. `close` ends idle connections and waits for answers under way. */
export type ListenHttp = (
  address: ListenAddress,
  options: HttpOptions,
  handler: HttpHandler,
  onRefusal: HttpRefusal,
) => Promise<Listener>

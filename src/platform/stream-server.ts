import type { Connection, ListenAddress, Listener } from './network.ts'
import type { TlsIdentity } from './tls-identity.ts'

/** Where to listen: at a TCP address, or at the path of a Unix socket that the owner and its group may connect to. */
export type StreamAddress = ListenAddress | { readonly path: string }

export interface WebSocketOptions {
  /** The only subprotocol offered; a client that names none of it is refused. */
  readonly subprotocol: string
  /** A larger frame closes the connection. */
  readonly maxFrameBytes: number
}

/** Why a connection was closed before its protocol began. */
export type SetupRefusal = 'tls' | 'websocket' | 'setup.timeout'

/** What stands between the sockets of a listener and its protocol. */
export interface StreamOptions {
  /** Absent: the bytes are not encrypted. */
  readonly tls?: TlsIdentity | undefined
  /** The stream comes in binary frames, whose boundaries mean nothing. Absent: without frames. */
  readonly webSocket?: WebSocketOptions | undefined
  /** For all of that together; a connection that is not through is closed. */
  readonly setupTimeoutMs: number
  /** Told of each connection that is closed for it, so that nothing is lost silently. */
  readonly onRefused: (reason: SetupRefusal, remote: string, why: string) => void
}

/**
 * Listens for streams of bytes. Rejects with Node's `code` when it cannot bind; a Unix socket that nobody listens at any more is replaced. Closing
 * the listener removes its Unix socket, and cuts what is not through with `StreamOptions`.
 */
export type ListenStream = (
  address: StreamAddress,
  options: StreamOptions,
  onConnection: (connection: Connection) => void,
) => Promise<Listener>

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

/** The ends of a connection as a proxy names them. */
export interface ProxiedEnds {
  readonly source: ListenAddress
  readonly destination: ListenAddress
}

/**
 * Reads what a proxy sends before the bytes of its client: its length and, unless it speaks for itself, the ends. Undefined while more bytes are
 * needed, which is a bounded number. Throws when it is something else.
 */
export type ReadProxyHeader = (
  bytes: Buffer,
) => { readonly length: number; readonly ends: ProxiedEnds | undefined } | undefined

/** Why a connection was closed before its protocol began. */
export type SetupRefusal =
  | 'connections.max'
  | 'address.connections.max'
  | 'connection.rate.max'
  | 'proxy.header'
  | 'tls'
  | 'websocket'
  | 'setup.timeout'

export interface ConnectionRefusal {
  readonly reason: SetupRefusal
  readonly why: string
  /** The client may be told, which costs what its setup costs. */
  readonly mayBeTold: boolean
}

/** Asked for each connection when the address of its client is known, before anything more is spent on it. */
export interface ConnectionGate {
  /** Undefined: it may come in, and `leave` follows when it is closed. `host` is empty for clients of a Unix socket. */
  enter(host: string): ConnectionRefusal | undefined
  leave(host: string): void
}

/** What stands between the sockets of a listener and its protocol. */
export interface StreamOptions {
  /** All connections begin with the header of a proxy, before TLS. Absent: clients connect themselves. */
  readonly proxyHeader?: ReadProxyHeader | undefined
  /** Absent: the bytes are not encrypted. */
  readonly tls?: TlsIdentity | undefined
  /** The stream comes in binary frames, whose boundaries mean nothing. Absent: without frames. [MQTT-6.0.0-2] */
  readonly webSocket?: WebSocketOptions | undefined
  /** For all of that together; a connection that is not through is closed. */
  readonly setupTimeoutMs: number
  readonly gate: ConnectionGate
  /** Refused connections at a time that are set up all the same, so that their protocol can say why; 0: all are closed at once. */
  readonly maxTold: number
  /** Told of each connection that is closed for one of these, so that nothing is lost silently. */
  readonly onRefused: (reason: SetupRefusal, remote: string, why: string) => void
}

/** With a refusal: a connection that the gate has refused, which is only here to be told and closed. */
export type OnConnection = (connection: Connection, refusal?: ConnectionRefusal) => void

/**
 * Listens for streams of bytes. Rejects with Node's `code` when it cannot bind; a Unix socket that nobody listens at any more is replaced. Closing
 * the listener removes its Unix socket, and cuts what is not through with `StreamOptions`.
 */
export type ListenStream = (
  address: StreamAddress,
  options: StreamOptions,
  onConnection: OnConnection,
) => Promise<Listener>

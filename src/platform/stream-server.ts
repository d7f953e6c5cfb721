import type { Connection, ListenAddress, Listener } from './network.ts'

export interface WebSocketOptions {
  /** The only subprotocol offered; a client that names none of it is refused. */
  readonly subprotocol: string
  /** A larger frame closes the connection. */
  readonly maxFrameBytes: number
}

/** Listens for WebSocket connections that carry a stream of bytes in binary frames, whose boundaries mean nothing. */
export type ListenWebSocket = (
  address: ListenAddress,
  options: WebSocketOptions,
  onConnection: (connection: Connection) => void,
) => Promise<Listener>

import type { TlsTrust } from './tls-trust.ts'

/** One accepted or dialled stream. The real one wraps a socket; the simulated one loses, delays and cuts. */
export interface Connection {
  /** `address:port` of the other side, for logs. */
  readonly remote: string
  /** Address and port that the other side connected to (what a wildcard listener advertises). */
  readonly local: { readonly host: string; readonly port: number }
  /** Called with every chunk read. The callee owns the chunk. */
  onData(callback: (chunk: Buffer) => void): void
  /** Called once, when both directions are done, with the error that ended it if there was one. */
  onClose(callback: (error?: Error) => void): void
  /** Hands bytes to the socket; none is changed afterwards by the caller. False: the bytes wait in memory, see `onDrain`. */
  write(chunks: readonly Uint8Array[]): boolean
  /** Called whenever all waiting bytes have gone to the kernel. */
  onDrain(callback: () => void): void
  /** Bytes handed to `write` that the kernel has not taken yet. */
  readonly pendingBytes: number
  /** Stops and resumes reading. */
  pause(): void
  resume(): void
  /** Sends what waits, then closes. */
  end(): void
  /** Closes at once. */
  destroy(): void
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

export interface Listener {
  /** The address bound, with the real port when 0 was asked for. */
  readonly address: ListenAddress
  /** Stops accepting; connections live on. */
  close(): Promise<void>
}

export interface Network {
  /** Rejects with Node's `code` (EADDRINUSE, EACCES, EADDRNOTAVAIL) when it cannot bind. */
  listen(address: ListenAddress, onConnection: (connection: Connection) => void): Promise<Listener>
  /** Rejects with Node's `code` when it cannot connect within `timeoutMs`; with `tls`, TLS is spoken, and its faults are said in words. */
  connect(address: ListenAddress, timeoutMs: number, tls?: TlsTrust): Promise<Connection>
}

/** The other end of a socket in a directory: lines of text both ways. */
export interface LocalPeer {
  /** Sends one line; `line` has no line break. */
  send(line: string): void
  /** Called with every line of the peer, without its end; lines that came before are kept for it. A peer that sends a line of more than 16 MiB is cut. */
  onLine(listener: (line: string) => void): void
  /** Called once, when the connection has ended, however it did; at once when it has already. */
  onClose(listener: () => void): void
  close(): void
}

/**
 * Listens at a socket file in a directory that this process has the lock of; a socket that a dead process left there is replaced. Who may
 * connect is who may enter the directory.
 */
export type ListenLocal = (
  directory: string,
  name: string,
  onPeer: (peer: LocalPeer) => void,
) => Promise<{ close(): Promise<void> }>

/** Undefined: nobody listens there. Rejects with Node's `code` when it cannot be known (no right, no such directory). */
export type ConnectLocal = (directory: string, name: string) => Promise<LocalPeer | undefined>

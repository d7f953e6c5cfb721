import { Duplex } from 'node:stream'

/** The other side of a session stream. */
export interface SessionStreamOwner {
  /** The engine has handled everything that it was given. */
  engineIdle(): void
  /** Bytes for the client, whole packets. */
  engineWrites(chunks: readonly Uint8Array[]): void
  /** The engine closes the connection. */
  engineCloses(): void
}

// writes never wait: what a slow client may pile up is bounded by `OutboundLimit`
const unbounded = 2 ** 30

/**
 * What the session engine (aedes) takes for the socket of a client. It is given whole packets, and only while it is idle: the engine reads
 * again once every packet of the last read is done, which is the only sign it gives, and it miscounts packets in hand when it is woken
 * up in between.
 */
export class SessionStream extends Duplex {
  readonly #owner: SessionStreamOwner

  constructor(owner: SessionStreamOwner) {
    super({ writableHighWaterMark: unbounded, readableHighWaterMark: unbounded, decodeStrings: true })
    this.#owner = owner
  }

  /** The engine asks with `read(null)`, the stream machinery itself with a size or none. */
  override read(size?: number | null): unknown {
    const chunk: unknown = super.read(size ?? undefined)
    if (size === null && chunk === null) this.#owner.engineIdle()
    return chunk
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#owner.engineWrites([chunk])
    done()
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#owner.engineWrites(chunks.map(({ chunk }) => chunk))
    done()
  }

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    this.#owner.engineCloses()
    done()
  }
}

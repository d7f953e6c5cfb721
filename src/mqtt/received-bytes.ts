const empty = Buffer.alloc(0)

/** What was read from a socket and is not handled yet: `bytes` from `at`, then chunks that wait to be joined to it. */
export class ReceivedBytes {
  bytes: Buffer = empty
  at = 0
  readonly #chunks: Buffer[] = []
  #chunkBytes = 0

  /** Bytes that are not handled. */
  get length(): number {
    return this.bytes.length - this.at + this.#chunkBytes
  }

  push(chunk: Buffer): void {
    if (this.at === this.bytes.length && this.#chunks.length === 0) {
      this.bytes = chunk
      this.at = 0
    } else {
      this.#chunks.push(chunk)
      this.#chunkBytes += chunk.length
    }
  }

  /** Joins the chunks once all together are `needBytes`, so that a large packet is copied once; false when they are not. */
  join(needBytes: number): boolean {
    if (this.#chunks.length === 0 || this.length < needBytes) return false
    const rest = this.bytes.subarray(this.at)
    this.bytes =
      rest.length === 0 && this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat([rest, ...this.#chunks])
    this.at = 0
    this.#chunks.length = this.#chunkBytes = 0
    return true
  }

  /** What is handled is not kept: most connections are silent most of the time. */
  forgetHandled(): void {
    if (this.at < this.bytes.length) return
    this.bytes = empty
    this.at = 0
  }

  /** Takes everything out. */
  takeAll(): Buffer[] {
    const all = [this.bytes.subarray(this.at), ...this.#chunks].filter(chunk => chunk.length > 0)
    this.#chunks.length = this.#chunkBytes = 0
    this.bytes = empty
    this.at = 0
    return all
  }
}

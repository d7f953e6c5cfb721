/** Content of a file: zeros wherever nothing was written. */
export class GrowingBytes {
  #bytes = Buffer.alloc(0)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Valid until the next change. */
  read(position: number, length: number): Buffer {
    return this.#bytes.subarray(position, Math.max(position, Math.min(this.#length, position + length)))
  }

  write(position: number, bytes: Uint8Array): void {
    this.#reserve(position + bytes.length)
    this.#bytes.set(bytes, position)
    this.#length = Math.max(this.#length, position + bytes.length)
  }

  truncate(length: number): void {
    this.#reserve(length)
    if (length < this.#length) this.#bytes.fill(0, length, this.#length)
    this.#length = length
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return
    const grown = Buffer.alloc(Math.max(length, this.#bytes.length * 2, 4096))
    grown.set(this.#bytes)
    this.#bytes = grown
  }
}

/** Smallest and largest buffers that are kept, as powers of two. */
const leastBits = 12
const mostBits = 20

/**
 * Buffers for work that comes again and again: what is given back is handed out again, so that a busy broker does not make the engine collect
 * hundreds of MiB of them a second. Keeps at most `keepBytes`; the rest is the engine's.
 */
export class BufferPool {
  readonly #keepBytes: number
  readonly #free: Buffer[][] = Array.from({ length: mostBits - leastBits + 1 }, () => [])
  #keptBytes = 0

  constructor(keepBytes: number) {
    this.#keepBytes = keepBytes
  }

  /** At least so many bytes, of any content. */
  take(byteCount: number): Buffer {
    const bits = Math.max(leastBits, 32 - Math.clz32(byteCount - 1))
    if (bits > mostBits) return Buffer.allocUnsafeSlow(byteCount)
    const buffer = this.#free[bits - leastBits]!.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(1 << bits)
    this.#keptBytes -= buffer.length
    return buffer
  }

  /** `buffer` came from `take`, and nobody refers to it any more. */
  give(buffer: Buffer): void {
    if (buffer.length > 1 << mostBits || this.#keptBytes + buffer.length > this.#keepBytes) return
    this.#free[31 - Math.clz32(buffer.length) - leastBits]!.push(buffer)
    this.#keptBytes += buffer.length
  }
}

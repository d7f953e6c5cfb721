import type { RandomAccessFile } from '../platform/files.ts'

const windowBytes = 1024 * 1024

/** Reads a slot from front to back in large pieces, for scans. Bytes past the end of the file do not exist. */
export class SlotReader {
  readonly length: number
  readonly #file: RandomAccessFile
  #buffer: Buffer = Buffer.alloc(0)
  #start = 0

  constructor(file: RandomAccessFile, length: number) {
    this.#file = file
    this.length = length
  }

  /** `[position, position + length)`, shorter at the end of the slot. Views stay unchanged. */
  async bytes(position: number, length: number): Promise<Buffer> {
    const end = Math.min(this.length, position + length)
    if (position >= end) return Buffer.alloc(0)
    const have = position >= this.#start && end <= this.#start + this.#buffer.length
    if (!have) {
      const wanted = Math.min(this.length - position, Math.max(windowBytes, length))
      const buffer = Buffer.allocUnsafe(wanted)
      const count = await this.#file.read(buffer, position)
      this.#buffer = buffer.subarray(0, count)
      this.#start = position
    }
    return this.#buffer.subarray(position - this.#start, end - this.#start)
  }
}

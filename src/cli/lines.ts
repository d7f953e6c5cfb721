import { StartError } from '../core/errors.ts'

const newline = 0x0a
const carriageReturn = 0x0d
const maxLineBytes = 32 << 20

/** Cuts bytes into lines, without their ends; what a line holds is not touched. A last line needs no end. */
export class LineSplitter {
  #rest: Buffer[] = []
  #restBytes = 0

  /** The lines that end in `chunk`. Throws `StartError` when one is longer than 32 MiB. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = []
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      lines.push(this.#line(chunk.subarray(start, end)))
      start = end + 1
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start))
    return lines
  }

  /** The line that had no end. */
  finish(): Buffer[] {
    return this.#restBytes === 0 ? [] : [this.#line(Buffer.alloc(0))]
  }

  #line(last: Buffer): Buffer {
    const line = this.#rest.length === 0 ? last : Buffer.concat([...this.#rest, last])
    this.#rest = []
    this.#restBytes = 0
    return line.at(-1) === carriageReturn ? line.subarray(0, -1) : line
  }

  #keep(bytes: Buffer): void {
    this.#rest.push(bytes)
    this.#restBytes += bytes.length
    if (this.#restBytes > maxLineBytes) throw new StartError(64, 'a line of standard input is longer than 32 MiB')
  }
}

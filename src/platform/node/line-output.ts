import { writeSync } from 'node:fs'

const retries = 50
const retryMs = 1

/** Lends the thread to the kernel: a pipe that is full for the moment may be read by then. */
const pause = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs)

/**
 * Lines to a file descriptor, written when `write` returns. What cannot be written (the reader has gone, the file system is full, a pipe that
 * nobody reads stays full) is lost, and never an error; once writing works again, `reportLost` says in a line of its own how many there were.
 */
export class LineOutput {
  readonly #descriptor: number
  readonly #reportLost: (lines: number) => string
  #lost = 0

  constructor(descriptor: number, reportLost: (lines: number) => string) {
    this.#descriptor = descriptor
    this.#reportLost = reportLost
  }

  write(line: string): void {
    // the line that was lost first may have been cut
    const report = this.#lost === 0 ? '' : `\n${this.#reportLost(this.#lost)}`
    if (this.#tryWrite(Buffer.from(report + line))) this.#lost = 0
    else this.#lost += 1
  }

  /** False when not all of it could be written. */
  #tryWrite(bytes: Buffer): boolean {
    for (let written = 0, retry = 0; written < bytes.length; ) {
      try {
        written += writeSync(this.#descriptor, bytes, written)
      } catch (error) {
        // who did not read a moment ago is not waited for again
        const isFull = (error as NodeJS.ErrnoException).code === 'EAGAIN'
        if (!isFull || this.#lost > 0 || ++retry > retries) return false
        pause()
      }
    }
    return true
  }
}

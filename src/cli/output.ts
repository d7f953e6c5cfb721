import { once } from 'node:events'
import { nodeClock } from '../platform/node/clock.ts'
import { host } from '../platform/node/host.ts'

const progressEveryMs = 200
const clearLine = '\r\u001b[K'

/**
 * Standard output of a command that prints much: waits for a slow reader, and shows progress on a terminal.
 */
export class Output {
  #progressAtMs = Number.NEGATIVE_INFINITY
  #progressShown = false
  readonly #release = host.stayAlive()

  /** Resolves when more may be written. */
  async line(text: string): Promise<void> {
    this.#clearProgress()
    if (!process.stdout.write(`${text}\n`)) await once(process.stdout, 'drain')
  }

  /** Shows how far the work is, a few times a second, where stderr is a terminal. */
  progress(text: () => string): void {
    const nowMs = nodeClock.monotonicMs()
    if (!host.stderrIsTerminal || nowMs - this.#progressAtMs < progressEveryMs) return
    this.#progressAtMs = nowMs
    this.#progressShown = true
    process.stderr.write(`${clearLine}${text()}`)
  }

  /** The work is done: the process may end. */
  end(): void {
    this.#clearProgress()
    this.#release()
  }

  #clearProgress(): void {
    if (this.#progressShown) process.stderr.write(clearLine)
    this.#progressShown = false
  }
}

/** Runs `work` with an output that is closed after it, also when it throws. */
export const withOutput = async (work: (output: Output) => Promise<void>): Promise<void> => {
  const output = new Output()
  try {
    await work(output)
  } finally {
    output.end()
  }
}

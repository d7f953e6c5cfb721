import { host } from '../platform/node/host.ts'

const toLineEnd = '\u001b[K'
const toScreenEnd = '\u001b[J'
const upTo = (lines: number): string => (lines === 0 ? '\r' : `\u001b[${lines}F`)
const home = '\u001b[H'
const defaultColumns = 80

/** Lines that are written over the ones before, without clearing them first: nothing flickers. For a terminal. */
export class LiveScreen {
  readonly #wholeScreen: boolean
  #drawn = 0

  /** `wholeScreen`: from the upper left corner; else from the line where the cursor is. */
  constructor({ wholeScreen }: { readonly wholeScreen: boolean }) {
    this.#wholeScreen = wholeScreen
  }

  /** Lines that are too long for the terminal are cut, and so are lines below its end. */
  draw(lines: readonly string[]): void {
    const { columns, rows } = host.terminalSize() ?? { columns: defaultColumns, rows: Number.POSITIVE_INFINITY }
    const shown = lines.slice(0, rows - 1).map(line => `${line.slice(0, columns)}${toLineEnd}\n`)
    process.stdout.write(`${this.#wholeScreen ? home : upTo(this.#drawn)}${shown.join('')}${toScreenEnd}`)
    this.#drawn = shown.length
  }
}

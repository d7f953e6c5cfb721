const ctrlC = '\u0003'

/**
 * Calls `pressed` with each character of standard input: of a terminal as its key goes down, without a line's end. Ctrl-C stays what it is. The
 * result ends it.
 */
export const onKeys = (pressed: (key: string) => void): (() => void) => {
  const { stdin } = process
  const take = (text: string): void => {
    for (const key of text) {
      if (key === ctrlC) process.kill(process.pid, 'SIGINT')
      else pressed(key)
    }
  }
  if (stdin.isTTY) stdin.setRawMode(true)
  stdin.setEncoding('utf8').on('data', take)
  return () => {
    stdin.off('data', take).pause()
    if (stdin.isTTY) stdin.setRawMode(false)
  }
}

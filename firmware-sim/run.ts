import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { runFleet } from './fleet.ts'
import { ledgerTable } from './ledger-table.ts'
import { readOptions, type SimOptions } from './options.ts'
import { progressLines } from './progress-line.ts'

/** Nothing of what was made came through. */
const exitNothingAcked = 1
/** sysexits.h: the command was used wrongly, could not write, was interrupted by force. */
const exitUsage = 64
const exitCannotCreate = 73
const exitInterrupted = 130

/** Under npx one Ctrl-C comes twice: from the terminal and from npm. */
const sameSignalMs = 500

/**
 * The command `brooklet sim`: runs a fleet until its duration is over or Ctrl-C, then prints the ledger on stdout. Progress goes to
 * stderr where that is a terminal. A second Ctrl-C does not wait. Sets the exit code of the process: 1 when no reading was acknowledged.
 */
export const runSim = async (options: SimOptions): Promise<void> => {
  const read = readOptions(options)
  if ('problems' in read) {
    for (const problem of read.problems) process.stderr.write(`brooklet sim: ${problem}\n`)
    process.exitCode = exitUsage
    return
  }
  const ledgerFile = options.ledger === undefined ? undefined : await startLedgerFile(options.ledger)
  if (ledgerFile === false) return
  const stop = new AbortController()
  const removeHandlers = stopOnSignals(stop)
  const screen = openScreen()
  try {
    const ledger = await runFleet({
      ...read.fleet,
      signal: stop.signal,
      onProgress: screen.progress,
      onNotice: screen.notice,
    })
    screen.close()
    await ledgerFile?.(JSON.stringify(ledger))
    await print(options.json ? JSON.stringify(ledger) : ledgerTable(ledger))
    const { made, acked } = ledger.totals()
    if (made > 0 && acked === 0) process.exitCode = exitNothingAcked
  } finally {
    removeHandlers()
  }
}

/** Tries the ledger file before the run, not after an hour of it; false where it cannot be written. */
const startLedgerFile = async (path: string): Promise<((text: string) => Promise<void>) | false> => {
  try {
    await writeFile(path, '')
    return text => writeFile(path, `${text}\n`)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(`brooklet sim: --ledger ${path}: cannot be written (${reason})\n`)
    process.exitCode = exitCannotCreate
    return false
  }
}

const stopOnSignals = (stop: AbortController): (() => void) => {
  let stoppedMs: number | undefined
  const onSignal = () => {
    if (stoppedMs === undefined) {
      stoppedMs = performance.now()
      stop.abort()
    } else if (performance.now() - stoppedMs > sameSignalMs) process.exit(exitInterrupted)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return () => {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

const clearLine = '\r\u001b[K'

/** Progress overwrites its own line on a terminal and is left out elsewhere; notices always show. */
const openScreen = () => {
  const isTerminal = process.stderr.isTTY === true
  const line = progressLines()
  return {
    progress: (progress: Parameters<typeof line>[0]) => {
      if (!isTerminal) return
      const width = Math.max(20, (process.stderr.columns || 80) - 1)
      process.stderr.write(`${clearLine}${line(progress).slice(0, width)}`)
    },
    notice: (text: string) => process.stderr.write(`${isTerminal ? clearLine : ''}${text}\n`),
    close: () => {
      if (isTerminal) process.stderr.write(clearLine)
    },
  }
}

const print = async (text: string): Promise<void> => {
  if (!process.stdout.write(`${text}\n`)) await once(process.stdout, 'drain')
}

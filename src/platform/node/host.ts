import { accessSync, constants, rmSync, statfsSync, statSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { hostname, tmpdir, totalmem, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setFlagsFromString } from 'node:v8'

const exitAtSecondSignal = 130
const sameSignalMs = 500

/** Standard output cannot be written. */
export class OutputFailed extends Error {
  override name = 'OutputFailed'

  constructor(reason: string) {
    super(`the output cannot be written (${reason})`)
  }
}

/** A file as output throws out of `write` in Node 20: it becomes an error event as with every other stream. */
const reportWriteErrors = (output: NodeJS.WriteStream): void => {
  const write = output._write.bind(output)
  output._write = (chunk, encoding, done) => {
    try {
      write(chunk, encoding, done)
    } catch (error) {
      done(error as Error)
    }
  }
}

/** What the process may ask of the machine it runs on; read once, at the start, by `main` and the commands. */
export const host = {
  environment: process.env as Readonly<Record<string, string | undefined>>,
  name: hostname(),
  processId: process.pid,

  /** Name of the user that the process runs as; its number where it has none. */
  userName(): string {
    try {
      return userInfo().username
    } catch {
      return String(process.getuid?.() ?? 'unknown')
    }
  },

  /** RAM of the machine, or of the container when that is limited. */
  memoryBytes(): number {
    const limit = process.constrainedMemory()
    return limit > 0 && limit < totalmem() ? limit : totalmem()
  },

  /**
   * Asks the engine to keep its heap small from now on: it collects more often, and young objects get one MiB instead of sixteen. Costs some
   * per cent of the rate under load.
   */
  saveMemory(): void {
    setFlagsFromString('--optimize-for-size')
    setFlagsFromString('--semi-space-growth-factor=1')
  },

  /**
   * Asks the engine to let its heap grow to five times what is alive before it collects all of it, from now on: ours is small, and the buffers
   * that a busy gateway reads into count in it, so that it would collect some twenty times a second.
   */
  collectSeldom(): void {
    setFlagsFromString('--heap-growing-percent=400')
  },

  /** Memory that the process holds now. */
  residentBytes: (): number => process.memoryUsage.rss(),

  /**
   * Size of the file system that holds `path` or would hold it. Undefined when nobody can say, or when nothing can be made there: a file
   * system of the kernel (/proc) has no size, and what is not a directory, or read-only, says nothing about `path`.
   */
  fileSystemBytes(path: string): number | undefined {
    for (let at = resolve(path); ; at = dirname(at)) {
      try {
        const { bsize, blocks } = statfsSync(at)
        accessSync(at, constants.W_OK)
        return statSync(at).isDirectory() && blocks > 0 ? bsize * blocks : undefined
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || at === dirname(at)) return undefined
      }
    }
  },

  /** A new empty directory of this user alone, removed when the process ends, however it ends (but kill -9). */
  async makeTemporaryDirectory(prefix: string): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), prefix))
    process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
    process.on('SIGHUP', () => process.exit(129))
    return directory
  },

  absolutePath: (path: string): string => resolve(path),

  /**
   * Calls `stop` at the first SIGTERM, SIGINT or SIGHUP. A second one ends the process at once, unless it comes with the first: npm and a
   * terminal both pass a Ctrl-C on. With `reload`, SIGHUP calls that instead, unless there is a terminal: then it says that the terminal has gone.
   */
  onStopSignal(stop: (signal: string) => void, reload?: () => void): void {
    let askedMs: number | undefined
    const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
    const reloads = reload !== undefined && !hasTerminal
    if (reloads) process.on('SIGHUP', reload)
    for (const signal of ['SIGTERM', 'SIGINT', ...(reloads ? [] : ['SIGHUP' as const])] as const) {
      process.on(signal, () => {
        if (askedMs === undefined) {
          askedMs = performance.now()
          stop(signal)
        } else if (performance.now() - askedMs > sameSignalMs) process.exit(exitAtSecondSignal)
      })
    }
  },

  /**
   * Calls `closed` when nobody reads standard output any more (`| head`); only the last one registered is called. What is written to
   * either output after that is lost, and no error. Standard output that cannot be written for another reason (a file on a full file
   * system) is an uncaught `OutputFailed`; what stderr does not take is lost.
   */
  onOutputClosed(closed: () => void): void {
    for (const output of [process.stdout, process.stderr]) {
      reportWriteErrors(output)
      output.removeAllListeners('error')
      output.on('error', (error: NodeJS.ErrnoException) => {
        if (output === process.stderr) return
        if (error.code !== 'EPIPE') throw new OutputFailed(error.message)
        closed()
      })
    }
  },

  /** Timers of ours do not keep the process alive; until the result is called, this does. */
  stayAlive(): () => void {
    const timer = setInterval(() => undefined, 60_000)
    return () => clearInterval(timer)
  },

  /** A bug anywhere ends in `report`, never in a process that goes on in a state nobody knows. */
  onBug(report: (error: unknown) => void): void {
    process.on('uncaughtException', report)
    process.on('unhandledRejection', report)
  },

  /** Of the terminal that standard output is; undefined when it is none. */
  terminalSize(): { readonly columns: number; readonly rows: number } | undefined {
    const { isTTY, columns, rows } = process.stdout
    return isTTY && columns > 0 && rows > 0 ? { columns, rows } : undefined
  },

  stderrIsTerminal: process.stderr.isTTY === true,
  stdoutIsTerminal: process.stdout.isTTY === true,
  stdinIsTerminal: process.stdin.isTTY === true,
}

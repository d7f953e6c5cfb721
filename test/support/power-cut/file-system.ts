import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { skipBecause, type Test } from '../tools.ts'
import type { DiskCommand } from './disk-process.ts'
import type { RequestCounts } from './fuse-server.ts'
import { mountArguments } from './mount-arguments.ts'

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** A mounted file system that can lose its power (`VolatileFiles`). Needs root and /dev/fuse. */
export class PowerCutFileSystem {
  readonly path: string
  readonly #directory: string
  readonly #child: ChildProcess

  private constructor(directory: string, child: ChildProcess) {
    this.#directory = directory
    this.path = join(directory, 'mounted')
    this.#child = child
  }

  static async mount(): Promise<PowerCutFileSystem> {
    const directory = await mkdtemp(join(tmpdir(), 'brooklet-power-'))
    const program = join(directory, 'disk.mjs')
    await build({
      entryPoints: [file('./disk-process.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
    })
    const child = fork(program, { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const made = new PowerCutFileSystem(directory, child)
    await mkdir(made.path)
    await made.#tell({ kind: 'mount', path: made.path })
    return made
  }

  /**
   * The power fails: from now on nothing is answered; `kill` sends the end to all processes that use the file system; of what they
   * had not synced, the seed decides. Then it is mounted again.
   */
  async cutPower(seed: number, kill: () => Promise<unknown>): Promise<void> {
    await this.#tell({ kind: 'freeze' })
    const killed = kill()
    await this.#tell({ kind: 'fail' })
    await killed
    await this.#tell({ kind: 'unmount', path: this.path })
    await this.#tell({ kind: 'cut', seed })
    await this.#tell({ kind: 'mount', path: this.path })
  }

  /** What the kernel has asked for since it was mounted. */
  async counts(): Promise<RequestCounts> {
    return (await this.#tell({ kind: 'counts' })) as RequestCounts
  }

  async dispose(): Promise<void> {
    await this.#tell({ kind: 'unmount', path: this.path }).catch(() => execFileSync('umount', ['-l', this.path]))
    this.#child.disconnect()
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** One command at a time. */
  #tell(command: DiskCommand): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error(`the disk ended during ${command.kind}`))
      this.#child.once('exit', ended)
      this.#child.once('message', ({ result, error }: { result?: unknown; error?: string }) => {
        this.#child.off('exit', ended)
        if (error === undefined) resolve(result)
        else reject(new Error(error))
      })
      this.#child.send(command)
    })
  }
}

/** Mounts one that nobody serves, for a moment. */
const reasonAgainst = (): string | undefined => {
  if (!existsSync('/dev/fuse')) return 'needs /dev/fuse'
  const directory = mkdtempSync(join(tmpdir(), 'brooklet-power-'))
  try {
    const descriptor = openSync('/dev/fuse', 'r+')
    try {
      execFileSync('mount', mountArguments(directory), { stdio: ['ignore', 'ignore', 'pipe', descriptor] })
    } finally {
      closeSync(descriptor)
    }
    execFileSync('umount', ['-l', directory])
    return undefined
  } catch (error) {
    return `cannot mount: ${String((error as { stderr?: Buffer }).stderr ?? error).split('\n')[0]}`
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** `test` where FUSE can be mounted; elsewhere a skip that says why not. */
export const requireFuse = (): Test => skipBecause(reasonAgainst())

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { open, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { skipBecause, type Test } from './tools.ts'

export type FileSystemKind = 'tmpfs' | 'ext4'

/** A file system of a given size, mounted on a temporary directory. Needs root. */
export class SmallFileSystem {
  readonly path: string
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
    this.path = join(directory, 'mounted')
  }

  static mount(kind: FileSystemKind, mebibytes: number): SmallFileSystem {
    const made = new SmallFileSystem(mkdtempSync(join(tmpdir(), 'brooklet-mount-')))
    execFileSync('mkdir', [made.path])
    if (kind === 'tmpfs') run('mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', made.path)
    else {
      const image = join(made.#directory, 'image')
      run('truncate', '-s', `${mebibytes}M`, image)
      // no blocks kept for root, who runs this
      run('mkfs.ext4', '-q', '-m', '0', image)
      run('mount', '-o', 'loop', image, made.path)
    }
    return made
  }

  get #ballast(): string {
    return join(this.path, 'ballast')
  }

  /** Another program takes everything but so many bytes. */
  async fill(leftBytes = 0): Promise<void> {
    const file = await open(this.#ballast, 'a')
    try {
      for (let block = 1024 * 1024; block >= 4096; block /= 2) await writeWhile(file, block, leftBytes, this.path)
      await file.sync()
    } finally {
      await file.close()
    }
  }

  /** The other program's files are gone. */
  empty(): Promise<void> {
    return rm(this.#ballast, { force: true })
  }

  unmount(): void {
    run('umount', '-l', this.path)
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

const run = (program: string, ...args: string[]): void => {
  execFileSync(program, args, {
    stdio: 'pipe',
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` },
  })
}

const writeWhile = async (
  file: { write(data: Buffer): Promise<unknown> },
  block: number,
  leftBytes: number,
  path: string,
): Promise<void> => {
  const data = Buffer.alloc(block, 'x')
  for (;;) {
    const { bsize, bavail } = await statfs(path)
    if (bsize * bavail - block < leftBytes) return
    try {
      await file.write(data)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return
      throw error
    }
  }
}

const reasonAgainst = (kind: FileSystemKind): string | undefined => {
  try {
    const probe = SmallFileSystem.mount(kind, 8)
    writeFileSync(join(probe.path, 'probe'), 'x')
    probe.unmount()
    return undefined
  } catch (error) {
    return `${kind} cannot be mounted: ${String((error as { stderr?: Buffer }).stderr ?? error).split('\n')[0]}`
  }
}

/** `test` on a file system of this kind; where it cannot be mounted (no root, no loop device) a skip that says so. */
export const requireFileSystem = (kind: FileSystemKind): Test => skipBecause(reasonAgainst(kind))

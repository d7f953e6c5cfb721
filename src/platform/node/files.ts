import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Files, RandomAccessFile } from '../files.ts'

const missing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

const syncDirectory = async (path: string): Promise<void> => {
  const directory = await fs.open(path, constants.O_RDONLY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Node's own `recursive` never ends where the kernel answers ENOENT to every mkdir, as in /proc. */
const isDirectory = async (path: string): Promise<boolean> => {
  try {
    return (await fs.stat(path)).isDirectory()
  } catch (error) {
    if (missing(error)) return false
    throw error
  }
}

class NodeFile implements RandomAccessFile {
  readonly path: string
  readonly #handle: fs.FileHandle

  constructor(path: string, handle: fs.FileHandle) {
    this.path = path
    this.#handle = handle
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0
    while (done < target.length) {
      const { bytesRead } = await this.#handle.read(target, done, target.length - done, position + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return done
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    let done = 0
    while (done < source.length) {
      const { bytesWritten } = await this.#handle.write(source, done, source.length - done, position + done)
      done += bytesWritten
    }
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

export const nodeFiles: Files = {
  async open(path, options = {}) {
    if (!options.create) {
      return new NodeFile(path, await fs.open(path, options.readOnly ? constants.O_RDONLY : constants.O_RDWR))
    }
    const handle = await fs.open(path, constants.O_RDWR | constants.O_CREAT, 0o640)
    try {
      await syncDirectory(dirname(path))
    } catch (error) {
      await handle.close()
      throw error
    }
    return new NodeFile(path, handle)
  },

  async exists(path) {
    try {
      await fs.access(path)
      return true
    } catch (error) {
      if (missing(error)) return false
      throw error
    }
  },

  async list(directory) {
    try {
      return (await fs.readdir(directory)).sort()
    } catch (error) {
      if (missing(error)) return []
      throw error
    }
  },

  async makeDirectory(path) {
    const wanted = resolve(path)
    if (await isDirectory(wanted)) return
    const parent = dirname(wanted)
    await nodeFiles.makeDirectory(parent)
    await fs.mkdir(wanted, { mode: 0o750 }).catch(async error => {
      // somebody else was faster
      if (!(await isDirectory(wanted))) throw error
    })
    await syncDirectory(parent)
  },

  async readSmall(path) {
    try {
      return await fs.readFile(path)
    } catch (error) {
      if (missing(error)) return undefined
      throw error
    }
  },

  async replaceSmall(path, content) {
    const temporary = `${path}.new`
    const handle = await fs.open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o640)
    try {
      await handle.writeFile(content)
      await handle.sync()
    } catch (error) {
      // on a full file system it holds space that others need
      await fs.rm(temporary, { force: true })
      throw error
    } finally {
      await handle.close()
    }
    await fs.rename(temporary, path)
    await syncDirectory(dirname(path))
  },

  async rename(from, to) {
    await fs.rename(from, to)
    await syncDirectory(dirname(to))
  },

  async remove(path) {
    await fs.rm(path, { force: true })
    if (await nodeFiles.exists(dirname(path))) await syncDirectory(dirname(path))
  },

  removeDirectory: path => fs.rm(path, { recursive: true, force: true }),

  async space(path) {
    const { bsize, blocks, bavail } = await fs.statfs(path)
    return { freeBytes: bsize * bavail, totalBytes: bsize * blocks }
  },
}

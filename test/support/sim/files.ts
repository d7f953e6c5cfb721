import type { Files, RandomAccessFile } from '../../../src/platform/files.ts'
import type { PlantedBugs, SimIo } from './io.ts'

class SimFile implements RandomAccessFile {
  readonly path: string
  readonly #io: SimIo
  readonly #bugs: PlantedBugs

  constructor(io: SimIo, bugs: PlantedBugs, path: string) {
    this.#io = io
    this.#bugs = bugs
    this.path = path
  }

  async size(): Promise<number> {
    return this.#io.disk.content(this.path).length
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#io.operation(this.#io.speed.readMs, () => {
      this.#io.disk.check(this.path, 'read', position, position + target.length)
      const content = this.#io.disk.content(this.path).subarray(position, position + target.length)
      target.set(content)
      if (this.#bugs.cutsTooMuch === true) this.#hideNewest(target, position)
      return content.length
    })
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    const { disk, speed } = this.#io
    const bytes = Buffer.from(source)
    const shown = disk.content(this.path).subarray(position, position + bytes.length)
    if (this.#bugs.skipsRewrites === true && shown.equals(bytes)) return
    const underWay = disk.begin(this.path, position, bytes)
    await this.#io.change(speed.writeMs, `write ${this.path} ${position}+${bytes.length}`, () => {
      disk.end(underWay)
      disk.check(this.path, 'write', position, position + bytes.length)
      disk.write(this.path, position, bytes)
    })
  }

  sync(): Promise<void> {
    return this.#io.change(this.#io.speed.syncMs, `sync ${this.path}`, () => {
      this.#io.disk.check(this.path, 'sync')
      if (this.#bugs.skipsSyncs !== true) this.#io.disk.sync(this.path)
    })
  }

  async close(): Promise<void> {}

  #hideNewest(target: Uint8Array, position: number): void {
    const newest = this.#io.disk.newestAtCrash
    if (newest?.path !== this.path) return
    const within = (at: number): number => Math.min(target.length, Math.max(0, at - position))
    target.fill(0, within(newest.from), within(newest.to))
  }
}

/** `Files` of a simulated machine. Entries of directories are durable when the call returns, and there or not at a crash before. */
export const simFiles = (io: SimIo, bugs: PlantedBugs = {}): Files => {
  const { disk } = io
  return {
    async open(path, options = {}) {
      if (options.create === true && !disk.has(path)) {
        await io.change(io.speed.syncMs, `create ${path}`, () => {
          disk.check(path, 'create')
          disk.create(path)
        })
      }
      disk.content(path)
      return new SimFile(io, bugs, path)
    },
    exists: async path => disk.has(path),
    list: async directory => disk.list(directory),
    makeDirectory: async path => {
      if (!disk.has(path)) await io.change(io.speed.syncMs, `mkdir ${path}`, () => disk.makeDirectory(path))
    },
    readSmall: async path =>
      disk.has(path) ? io.operation(io.speed.readMs, () => Buffer.from(disk.content(path))) : undefined,
    replaceSmall: (path, content) => {
      const bytes = Buffer.from(content)
      return io.change(io.speed.syncMs, `replace ${path}`, () => {
        disk.check(path, 'replace')
        disk.replace(path, bytes)
      })
    },
    rename: (from, to) =>
      io.change(io.speed.syncMs, `rename ${from} ${to}`, () => {
        disk.check(from, 'rename')
        disk.rename(from, to)
      }),
    remove: path => io.change(io.speed.syncMs, `remove ${path}`, () => disk.remove(path)),
    removeDirectory: path => io.change(io.speed.syncMs, `rmdir ${path}`, () => disk.removeDirectory(path)),
    space: async () => {
      const totalBytes = Math.min(disk.spaceBytes, 2 ** 40)
      return { freeBytes: Math.max(0, totalBytes - disk.usedBytes), totalBytes }
    },
  }
}

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { assert } from '../../core/assert.ts'
import { crc32c } from '../../core/crc32c.ts'
import type { CheckpointStore, OpenCheckpointStore } from '../checkpoint-store.ts'
import type { Logger } from '../logger.ts'
import { nodeClock } from './clock.ts'
import { nodeFiles } from './files.ts'

const pageBytes = 4096
const crcBytes = 4
/** Unit of `blocks` in the answer of stat(2). */
const statBlockBytes = 512
const abnormalExitsMax = 2
const abnormalExitWindowMs = 5 * 60_000
const probeKey = '\u0001probe'

/** A start of which no clean stop is known. */
type Start = { readonly bootId: string; readonly sinceBootMs: number }

/**
 * LMDB in `directory`. A damaged file can end the process (SIGBUS, SIGABRT), so a marker stands beside the directory while the file
 * is opened and verified: found at the next start, the store starts empty. The same after two abnormal exits within five minutes.
 * Every value carries a CRC-32C. A store of which anything is wrong when it is opened is emptied, with a warning.
 */
export const openLmdbCheckpoints =
  (logger: Logger): OpenCheckpointStore =>
  async (directory, maxBytes) => {
    const marker = `${directory}.opening`
    const starts = await recentStarts(directory)
    const reason = (await nodeFiles.exists(marker))
      ? 'the last start ended while it was opened'
      : starts.length >= abnormalExitsMax
        ? 'two abnormal exits in five minutes'
        : undefined
    if (reason !== undefined) await empty(directory, reason, logger)

    await nodeFiles.makeDirectory(directory)
    await nodeFiles.replaceSmall(marker, Buffer.alloc(0))
    let store: LmdbCheckpoints
    try {
      store = await LmdbCheckpoints.openVerified(directory, maxBytes)
    } catch (error) {
      await empty(directory, (error as Error).message, logger)
      await nodeFiles.makeDirectory(directory)
      store = await LmdbCheckpoints.openVerified(directory, maxBytes)
    }
    await nodeFiles.remove(marker)
    const start: Start = { bootId: nodeClock.bootId, sinceBootMs: nodeClock.sinceBootMs() }
    await nodeFiles.replaceSmall(startsPath(directory), Buffer.from(JSON.stringify([...starts, start])))
    return store
  }

const startsPath = (directory: string): string => `${directory}.starts`

/** Starts of this boot within the window that were not followed by `close`. */
const recentStarts = async (directory: string): Promise<Start[]> => {
  const content = await nodeFiles.readSmall(startsPath(directory))
  if (content === undefined) return []
  try {
    const starts: Start[] = JSON.parse(content.toString())
    const since = nodeClock.sinceBootMs() - abnormalExitWindowMs
    return starts.filter(start => start.bootId === nodeClock.bootId && start.sinceBootMs >= since)
  } catch {
    return []
  }
}

const empty = async (directory: string, reason: string, logger: Logger): Promise<void> => {
  logger.warn({ directory, reason }, 'checkpoints of views are dropped, they are rebuilt from the log')
  await nodeFiles.removeDirectory(directory)
  await nodeFiles.remove(startsPath(directory))
}

class LmdbCheckpoints implements CheckpointStore {
  readonly #environment: RootDatabase<Buffer, string>
  readonly #directory: string
  readonly #maxLiveBytes: number
  /** Pages that each entry takes, in bytes. */
  readonly #entryBytes = new Map<string, number>()
  #liveBytes = 0
  #lastWrite: Promise<void> = Promise.resolve()

  private constructor(environment: RootDatabase<Buffer, string>, directory: string, maxBytes: number) {
    this.#environment = environment
    this.#directory = directory
    // LMDB never writes a page in place: at worst the file holds everything twice
    this.#maxLiveBytes = maxBytes / 2
  }

  /** Throws when anything of the file cannot be read, or nothing can be written. */
  static async openVerified(directory: string, maxBytes: number): Promise<LmdbCheckpoints> {
    assert(maxBytes >= 16 * pageBytes, 'a checkpoint store has some room')
    const environment = open<Buffer, string>({
      path: directory,
      noSubdir: false,
      mapSize: Math.ceil(maxBytes / pageBytes) * pageBytes,
      encoding: 'binary',
      // a write resolves once it is on the device
      overlappingSync: false,
      maxReaders: 8,
      cache: false,
    })
    try {
      const store = new LmdbCheckpoints(environment, directory, maxBytes)
      for (const { key, value } of environment.getRange({ snapshot: true })) {
        if (unpack(key, value) === undefined) throw new Error(`checkpoint ${key} is damaged`)
        store.#account(key, value.length - crcBytes)
      }
      // a write reads the list of free pages, which no get does
      await environment.put(probeKey, pack(probeKey, Buffer.alloc(1)))
      return store
    } catch (error) {
      await environment.close()
      throw error
    }
  }

  get(key: string): Buffer | undefined {
    const packed = this.#environment.getBinary(key)
    return packed === undefined ? undefined : unpack(key, packed)
  }

  *entries(prefix: string): Generator<readonly [string, Buffer]> {
    for (const { key, value } of this.#environment.getRange({ start: prefix, snapshot: true })) {
      if (!key.startsWith(prefix)) return
      const sound = key === probeKey ? undefined : unpack(key, value)
      if (sound !== undefined) yield [key, sound]
    }
  }

  /** Rejects with ENOSPC, and changes nothing, when the entries would not fit into the store's bytes. */
  write(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void> {
    let growth = 0
    for (const [key, value] of changes) growth += entryBytes(key, value?.length) - (this.#entryBytes.get(key) ?? 0)
    if (this.#liveBytes + growth > this.#maxLiveBytes) {
      return Promise.reject(Object.assign(new Error('checkpoints do not fit into their bytes'), { code: 'ENOSPC' }))
    }
    for (const [key, value] of changes) this.#account(key, value?.length)
    const written = this.#environment.batch(() => {
      for (const [key, value] of changes) {
        // the promise of the batch speaks for all of them
        const change =
          value === undefined ? this.#environment.remove(key) : this.#environment.put(key, pack(key, value))
        change.catch(() => undefined)
      }
    })
    this.#lastWrite = written.then(() => undefined)
    return this.#lastWrite
  }

  usedBytes(): number {
    // a file with holes: only what was allocated counts
    const { blocks } = statSync(join(this.#directory, 'data.mdb'))
    return blocks * statBlockBytes
  }

  async close(): Promise<void> {
    await this.#lastWrite.catch(() => undefined)
    await this.#environment.close()
    await nodeFiles.remove(startsPath(this.#directory))
  }

  #account(key: string, valueBytes: number | undefined): void {
    const bytes = entryBytes(key, valueBytes)
    this.#liveBytes += bytes - (this.#entryBytes.get(key) ?? 0)
    if (bytes === 0) this.#entryBytes.delete(key)
    else this.#entryBytes.set(key, bytes)
  }
}

/** Half a page can be lost beside an entry; what is larger than that has pages of its own. */
const entryBytes = (key: string, valueBytes: number | undefined): number => {
  if (valueBytes === undefined) return 0
  const bytes = 32 + key.length * 3 + valueBytes
  return bytes < pageBytes / 2 ? bytes * 2 : Math.ceil(bytes / pageBytes) * pageBytes
}

/** CRC-32C over key and value, then the value. */
const pack = (key: string, value: Uint8Array): Buffer => {
  const packed = Buffer.allocUnsafe(crcBytes + value.length)
  packed.writeUInt32LE(crc32c(value, crc32c(Buffer.from(key))), 0)
  packed.set(value, crcBytes)
  return packed
}

/** Undefined when the bytes are not what was packed: as good as missing. */
const unpack = (key: string, packed: Buffer): Buffer | undefined => {
  const value = packed.subarray(crcBytes)
  const sound = packed.length >= crcBytes && packed.readUInt32LE(0) === crc32c(value, crc32c(Buffer.from(key)))
  return sound ? value : undefined
}

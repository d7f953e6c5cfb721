import { spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open, type RootDatabase } from 'lmdb'
import { assert } from '../../core/assert.ts'
import { crc32c } from '../../core/crc32c.ts'
import type { CheckpointStore, OpenCheckpointStore } from '../checkpoint-store.ts'
import type { Logger } from '../logger.ts'
import { nodeFiles } from './files.ts'
import { type FileStamp, ViewsRecord } from './views-record.ts'

const dataFile = 'data.mdb'
const pageBytes = 4096
/** Of the trees and the list of free pages, that a transaction writes beside its entries. */
const transactionPages = 64
/** The file grows by so much. */
const allocationBytes = 64 * pageBytes
const crcBytes = 4
/** Unit of `blocks` in the answer of stat(2). */
const statBlockBytes = 512
const abnormalExitsMax = 2
/** Keys that only show that a write works: this one, and that of `checkpoint-trial.mjs`. */
const probePrefix = '\u0001'
const probeKey = `${probePrefix}probe`
const trialTimeoutMs = 60_000
/** With less room left even the lock file of LMDB, which is mapped, can end the process. */
const leastFreeBytes = 16 * 1024 * 1024

/**
 * LMDB in `directory`. A damaged file can end the process (SIGBUS, SIGABRT), so one that a clean stop did not leave exactly so is opened, read
 * and written in a child process first; and while it is opened here, a mark stands beside it: found at the next start, the store starts
 * empty. The same after two abnormal exits within five minutes. Every value carries a CRC-32C. A store of which anything is wrong is emptied,
 * with a warning; where none can be had (no room, no right), the gateway runs without. Never rejects for what is in the directory.
 */
export const openLmdbCheckpoints =
  (logger: Logger): OpenCheckpointStore =>
  async (directory, maxBytes) => {
    const record = await ViewsRecord.read(`${directory}.starts`)
    const empty = async (reason: string): Promise<void> => {
      logger.warn({ directory, reason }, 'checkpoints of views are dropped, they are rebuilt from the log')
      await nodeFiles.removeDirectory(directory)
      await record.forget()
    }
    try {
      const found = await stampOf(directory)
      if (record.wasOpening) await empty('the last start ended while it was opened')
      else if (record.abnormalExits >= abnormalExitsMax) await empty('two abnormal exits in five minutes')
      else if (found !== undefined && found.size > maxBytes) await empty('it is larger than it may be')
      let isTrusted = record.isUntouched(found) || (await stampOf(directory)) === undefined
      for (let attempt = 0; attempt < 2; attempt++) {
        await nodeFiles.makeDirectory(directory)
        const { freeBytes } = await nodeFiles.space(directory)
        const failure = isTrusted && freeBytes >= leastFreeBytes ? undefined : await tryInChild(directory, maxBytes)
        if (failure === undefined) {
          await record.opening()
          try {
            const store = await LmdbCheckpoints.openVerified(directory, maxBytes, record, logger)
            await record.opened()
            return store
          } catch (error) {
            await empty((error as Error).message)
          }
        } else await empty(failure)
        isTrusted = false
      }
    } catch (error) {
      logger.warn({ directory, error: String(error) }, 'the checkpoint store cannot be opened')
    }
    logger.warn({ directory }, 'there are no checkpoints of views: the next start replays the log')
    return new NoCheckpoints()
  }

/** Undefined when there is no store. */
const stampOf = async (directory: string): Promise<FileStamp | undefined> => {
  try {
    const { size, mtimeMs, ino } = await stat(join(directory, dataFile))
    return { size, modifiedMs: mtimeMs, inode: ino }
  } catch {
    return undefined
  }
}

const mapBytes = (maxBytes: number): number => Math.ceil(maxBytes / pageBytes) * pageBytes

/** How `checkpoint-trial.mjs` ended; undefined when well, or when there is no process to be had. */
const tryInChild = (directory: string, maxBytes: number): Promise<string | undefined> =>
  new Promise(resolve => {
    const program = fileURLToPath(new URL('./checkpoint-trial.mjs', import.meta.url))
    const args = [program, directory, String(mapBytes(maxBytes))]
    const child = spawn(process.execPath, args, { stdio: 'ignore', timeout: trialTimeoutMs, killSignal: 'SIGKILL' })
    child.once('error', () => resolve(undefined))
    child.once('exit', (code, signal) =>
      resolve(
        code === 0 ? undefined : `it cannot be read: a process that tried ended with ${signal ?? `code ${code}`}`,
      ),
    )
  })

/** For a gateway that has no room for any. */
class NoCheckpoints implements CheckpointStore {
  get(): undefined {}

  entries(): [] {
    return []
  }

  write(): Promise<void> {
    return Promise.reject(Object.assign(new Error('there is no checkpoint store'), { code: 'ENOSPC' }))
  }

  usedBytes(): number {
    return 0
  }

  async close(): Promise<void> {}
}

class LmdbCheckpoints implements CheckpointStore {
  readonly #environment: RootDatabase<Buffer, string>
  readonly #record: ViewsRecord
  readonly #directory: string
  readonly #maxLiveBytes: number
  /** Pages that each entry takes, in bytes. */
  readonly #entryBytes = new Map<string, number>()
  #liveBytes = 0
  #lastWrite: Promise<void> = Promise.resolve()

  private constructor(
    environment: RootDatabase<Buffer, string>,
    directory: string,
    maxBytes: number,
    record: ViewsRecord,
  ) {
    this.#record = record
    this.#environment = environment
    this.#directory = directory
    // LMDB never writes a page in place: at worst the file holds everything twice, and gaps into which no large value fits
    this.#maxLiveBytes = (maxBytes * 3) / 8
  }

  /** Throws when anything of the file cannot be read, or nothing can be written though there is room. */
  static async openVerified(
    directory: string,
    maxBytes: number,
    record: ViewsRecord,
    logger: Logger,
  ): Promise<LmdbCheckpoints> {
    assert(maxBytes >= 16 * pageBytes, 'a checkpoint store has some room')
    const environment = open<Buffer, string>({
      path: directory,
      noSubdir: false,
      mapSize: mapBytes(maxBytes),
      encoding: 'binary',
      // a write resolves once it is on the device
      overlappingSync: false,
      // else a commit that fails is told to a promise that nobody has, too
      eventTurnBatching: false,
      maxReaders: 8,
      cache: false,
    })
    try {
      const store = new LmdbCheckpoints(environment, directory, maxBytes, record)
      for (const { key, value } of environment.getRange({ snapshot: true })) {
        if (key.startsWith(probePrefix)) continue
        if (unpack(key, value) === undefined) throw new Error(`checkpoint ${key} is damaged`)
        store.#account(key, entryBytes(key, value.length - crcBytes))
      }
      // a write reads the list of free pages, which no get does
      await store.#commit([[probeKey, pack(probeKey, Buffer.alloc(1))]]).catch(error => {
        if (error.code !== 'ENOSPC') throw error
        logger.warn(
          { directory },
          'the file system has no room for checkpoints of views; those that are there are used',
        )
      })
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
      const sound = key.startsWith(probePrefix) ? undefined : unpack(key, value)
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
    const before = [...changes.keys()].map(key => [key, this.#entryBytes.get(key) ?? 0] as const)
    for (const [key, value] of changes) this.#account(key, entryBytes(key, value?.length))
    const packed = [...changes].map(([key, value]) => [key, value && pack(key, value)] as const)
    this.#lastWrite = this.#lastWrite
      .catch(() => undefined)
      .then(() => this.#commit(packed))
      .catch(error => {
        for (const [key, bytes] of before) this.#account(key, bytes)
        throw error
      })
    return this.#lastWrite
  }

  /** One transaction, on the device when it resolves. */
  async #commit(packed: readonly (readonly [string, Buffer | undefined])[]): Promise<void> {
    await this.#allocate(packed.reduce((sum, [key, value]) => sum + entryBytes(key, value?.length), 0))
    const written = this.#environment.batch(() => {
      for (const [key, value] of packed) {
        // the promise of the batch speaks for all of them
        const change = value === undefined ? this.#environment.remove(key) : this.#environment.put(key, value)
        change.catch(() => undefined)
      }
    })
    await written.catch(async error => {
      throw await causeOf(error)
    })
  }

  /**
   * The file has blocks for whatever a transaction with so many bytes may write. A full file system is found out here: in a commit it makes LMDB
   * write past its own memory.
   */
  async #allocate(changedBytes: number): Promise<void> {
    const { lastPageNumber } = this.#environment.getStats() as { lastPageNumber: number }
    const neededBytes = (lastPageNumber + 1 + transactionPages) * pageBytes + changedBytes
    const file = await nodeFiles.open(join(this.#directory, dataFile))
    try {
      for (let end = await file.size(); end < neededBytes; end += allocationBytes) {
        await file.write(Buffer.alloc(allocationBytes), end)
      }
    } finally {
      await file.close()
    }
  }

  usedBytes(): number {
    // a file with holes: only what was allocated counts
    const { blocks } = statSync(join(this.#directory, dataFile))
    return blocks * statBlockBytes
  }

  async close(): Promise<void> {
    await this.#lastWrite.catch(() => undefined)
    await this.#environment.close()
    await this.#record.closed(await stampOf(this.#directory))
  }

  #account(key: string, bytes: number): void {
    this.#liveBytes += bytes - (this.#entryBytes.get(key) ?? 0)
    if (bytes === 0) this.#entryBytes.delete(key)
    else this.#entryBytes.set(key, bytes)
  }
}

/** Why a commit failed, as Node would say it. LMDB hands the reason on in a promise that rejects. */
const causeOf = async (error: unknown): Promise<Error & { readonly code: string }> => {
  const cause: unknown = await (error as { commitError?: Promise<never> }).commitError?.catch(
    (reason: unknown) => reason,
  )
  const { message, code } = (cause ?? error) as { readonly message: string; readonly code?: unknown }
  const isFull = code === constants.errno.ENOSPC || /no space/i.test(message)
  return Object.assign(new Error(message), { code: isFull ? 'ENOSPC' : 'EIO' })
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

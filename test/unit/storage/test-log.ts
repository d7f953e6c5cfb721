import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { BrokerError } from '../../../src/core/errors.ts'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import type { CheckpointStore } from '../../../src/platform/checkpoint-store.ts'
import type { Clock } from '../../../src/platform/clock.ts'
import type { Files } from '../../../src/platform/files.ts'
import type { Logger } from '../../../src/platform/logger.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { openThreadedCommitWriter } from '../../../src/platform/node/commit-writer.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import type { Appended, BatchAppend, Log } from '../../../src/storage/log.ts'
import { openCommitLog } from '../../../src/storage/open-commit-log.ts'
import type { CommitLogOptions, StoragePlatform } from '../../../src/storage/options.ts'
import { BatchBuilder } from '../../../src/wire/kafka/batch-builder.ts'

export const MiB = 1024 * 1024
export const noHeaders = Buffer.from([0])
export const topic = partitionId(32)

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
}

export class MemoryCheckpointStore implements CheckpointStore {
  readonly values = new Map<string, Buffer>()

  get(key: string): Buffer | undefined {
    return this.values.get(key)
  }

  *entries(prefix: string): Iterable<readonly [string, Buffer]> {
    for (const key of [...this.values.keys()].sort()) if (key.startsWith(prefix)) yield [key, this.values.get(key)!]
  }

  async write(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void> {
    for (const [key, value] of changes) {
      if (value === undefined) this.values.delete(key)
      else this.values.set(key, Buffer.from(value))
    }
  }

  usedBytes(): number {
    let bytes = 0
    for (const [key, value] of this.values) bytes += key.length + value.length
    return bytes
  }

  async close(): Promise<void> {}
}

const made: string[] = []

/** A new empty directory, removed with all others after the last test of the file, also when tests fail. */
export const temporaryDirectory = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'brooklet-storage-'))
  made.push(directory)
  return directory
}

// a log that a test left open may still make files
afterAll(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
})

interface Life {
  ended: boolean
}

/** Calls of methods that come after the end never return. */
const mortal = <Part extends object>(part: Part, life: Life): Part =>
  new Proxy(part, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...parameters: unknown[]) =>
        life.ended ? new Promise(() => {}) : Reflect.apply(member, target, parameters)
    },
  })

const mortalFiles = (files: Files, life: Life): Files =>
  mortal({ ...files, open: async (path, options) => mortal(await files.open(path, options), life) }, life)

/** A data directory with its store, in which a log is opened again and again. */
export class TestDirectory {
  readonly directory = temporaryDirectory()
  readonly checkpoints = new MemoryCheckpointStore()
  metrics = new Metrics()
  memory = new MemoryBudget(256 * MiB)
  clock: Clock = nodeClock

  #life = { ended: false }

  /** The process is gone as by kill -9: nothing of the present log reaches the directory or the store any more. */
  crash(): void {
    this.#life.ended = true
  }

  open(options: Partial<CommitLogOptions> = {}, platform: Partial<StoragePlatform> = {}): Promise<Log> {
    this.metrics = new Metrics()
    this.memory = new MemoryBudget(256 * MiB)
    const life = (this.#life = { ended: false })
    return openCommitLog(
      {
        clock: this.clock,
        files: mortalFiles(nodeFiles, life),
        random: { bytes: randomBytes, fraction: () => 0.5 },
        logger: silentLogger,
        openCommitWriter: (count, bytes) => mortal(openThreadedCommitWriter(count, bytes), life),
        checkpoints: mortal(this.checkpoints, life),
        ...platform,
      },
      {
        directory: this.directory,
        budgetBytes: 32 * MiB,
        reserve: false,
        commitMaxBytes: MiB,
        align: 'auto',
        maxMessageBytes: MiB,
        retention: { ms: -1, bytes: -1 },
        memory: this.memory,
        metrics: this.metrics,
        ...options,
      },
    )
  }
}

/** Room is made in the background: a producer that is refused meanwhile tries again. */
export const whenRoom = async <Result>(append: () => Result): Promise<Result> => {
  for (;;) {
    try {
      return append()
    } catch (error) {
      if (!(error instanceof BrokerError) || !['spaceAwaited', 'storageFull'].includes(error.kind)) throw error
      await new Promise(resolve => setTimeout(resolve, 1))
    }
  }
}

export const appendWhenRoom = (log: Log, batches: readonly BatchAppend[]): Promise<Appended> =>
  whenRoom(() => log.append(batches))

/** A batch of records with the given values. */
export const batchOf = (values: readonly string[], timestampMs = 1000): Buffer => {
  const builder = new BatchBuilder()
  for (const value of values) {
    const bytes = Buffer.from(value)
    builder.append(timestampMs, null, bytes, 0, bytes.length, noHeaders)
  }
  return Buffer.from(builder.finish(0, 0))
}

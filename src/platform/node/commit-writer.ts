import { Worker } from 'node:worker_threads'
import { assert } from '../../core/assert.ts'
import type { CommitWriter, OpenCommitWriter } from '../commit-writer.ts'

const pageBytes = 4096

type Failure = { readonly code: string; readonly message: string }
type Waiting = { resolve(): void; reject(error: Error): void }

/** Commits on a thread of their own (`commit-thread.mjs`); see decision 011. An idle writer does not keep the process alive. */
export const openThreadedCommitWriter: OpenCommitWriter = (arenaCount, arenaBytes) =>
  new ThreadCommitWriter(arenaCount, arenaBytes)

class ThreadCommitWriter implements CommitWriter {
  readonly arenas: readonly Buffer[]
  readonly #thread: Worker
  readonly #ended: Promise<void>
  #waiting: Waiting | undefined
  #failed: Error | undefined
  #closed = false

  constructor(arenaCount: number, arenaBytes: number) {
    assert(arenaCount >= 2, 'one arena gathers while the other is written')
    assert(arenaBytes > 0 && arenaBytes % pageBytes === 0, 'arenas are whole pages')
    const memory = Array.from({ length: arenaCount }, () => new SharedArrayBuffer(arenaBytes))
    this.arenas = memory.map(bytes => Buffer.from(bytes))
    this.#thread = new Worker(new URL('./commit-thread.mjs', import.meta.url), {
      workerData: { arenas: memory },
      // nothing of the main thread's start-up (loaders, debug flags) is of use there
      execArgv: [],
      name: 'commit',
    })
    this.#thread.unref()
    this.#thread.on('message', (failure: Failure | undefined) => this.#finish(failure))
    this.#thread.on('error', error => this.#die(error))
    this.#ended = new Promise(resolve => {
      this.#thread.once('exit', () => {
        this.#die(new Error('the commit thread has ended'))
        resolve()
      })
    })
  }

  write(arena: number, start: number, length: number, path: string, position: number): Promise<void> {
    this.#checkStretch(arena, start, length)
    return this.#run({ kind: 'write', arena, start, length, path, position })
  }

  handOver(arena: number, start: number, length: number, path: string, position: number): Promise<void> {
    this.#checkStretch(arena, start, length)
    return this.#run({ kind: 'handOver', arena, start, length, path, position })
  }

  sync(path: string): Promise<void> {
    return this.#run({ kind: 'sync', path })
  }

  release(path: string): void {
    if (!this.#closed) this.#thread.postMessage({ kind: 'release', path })
  }

  /** Waits for a commit under way, then ends the thread. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      this.#thread.ref()
      this.#thread.postMessage({ kind: 'close' })
    }
    await this.#ended
  }

  #checkStretch(arena: number, start: number, length: number): void {
    const room = this.arenas[arena]?.length ?? 0
    assert(start >= 0 && length > 0 && start + length <= room, 'a commit lies within its arena')
  }

  #run(command: object): Promise<void> {
    assert(this.#waiting === undefined, 'one commit is under way at a time')
    assert(!this.#closed, 'no commit after close')
    if (this.#failed !== undefined) return Promise.reject(this.#failed)
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      // a commit under way does keep the process alive: somebody waits for it
      this.#thread.ref()
      this.#thread.postMessage(command)
    })
  }

  #finish(failure: Failure | undefined): void {
    const waiting = this.#waiting
    assert(waiting !== undefined, 'a commit result answers a commit')
    this.#waiting = undefined
    if (!this.#closed) this.#thread.unref()
    if (failure === undefined) waiting.resolve()
    else waiting.reject(withCode(new Error(failure.message), failure.code))
  }

  /** The thread is gone; whether a commit under way reached the device is unknown. */
  #die(cause: Error): void {
    this.#failed ??= withCode(new Error(`commit thread: ${cause.message}`, { cause }), 'EIO')
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.reject(this.#failed)
  }
}

const withCode = (error: Error, code: string): Error => Object.assign(error, { code })

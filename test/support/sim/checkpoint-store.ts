import type { CheckpointStore, OpenCheckpointStore } from '../../../src/platform/checkpoint-store.ts'
import type { SimIo } from './io.ts'

export type SimCheckpoints = Map<string, Map<string, Buffer>>

/** Checkpoints by directory, kept across crashes; a write is a crash point before which the old transaction stands. */
export const simCheckpointStore =
  (io: SimIo, stores: SimCheckpoints): OpenCheckpointStore =>
  async (directory, maxBytes) => {
    if (!stores.has(directory)) stores.set(directory, new Map())
    return new SimCheckpointStore(io, stores, directory, maxBytes)
  }

class SimCheckpointStore implements CheckpointStore {
  readonly #io: SimIo
  readonly #stores: SimCheckpoints
  readonly #directory: string
  readonly #maxBytes: number

  constructor(io: SimIo, stores: SimCheckpoints, directory: string, maxBytes: number) {
    this.#io = io
    this.#stores = stores
    this.#directory = directory
    this.#maxBytes = maxBytes
  }

  get #entries(): Map<string, Buffer> {
    return this.#stores.get(this.#directory)!
  }

  get(key: string): Buffer | undefined {
    const value = this.#entries.get(key)
    return value === undefined ? undefined : Buffer.from(value)
  }

  *entries(prefix: string): Generator<readonly [string, Buffer]> {
    const entries = [...this.#entries].filter(([key]) => key.startsWith(prefix))
    entries.sort(([one], [other]) => (one < other ? -1 : 1))
    for (const [key, value] of entries) yield [key, Buffer.from(value)]
  }

  async write(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void> {
    const copied = [...changes].map(([key, value]) => [key, value && Buffer.from(value)] as const)
    await this.#io.change(this.#io.speed.syncMs, `checkpoint ${copied.length} keys`, () => {
      this.#io.disk.check(this.#directory, 'sync')
      const next = new Map(this.#entries)
      for (const [key, value] of copied) {
        if (value === undefined) next.delete(key)
        else next.set(key, value)
      }
      let bytes = 0
      for (const [key, value] of next) bytes += key.length + value.length
      if (bytes > this.#maxBytes / 2) throw Object.assign(new Error('checkpoints do not fit'), { code: 'ENOSPC' })
      this.#stores.set(this.#directory, next)
    })
  }

  usedBytes(): number {
    let bytes = 0
    for (const [key, value] of this.#entries) bytes += key.length + value.length
    return bytes
  }

  async close(): Promise<void> {}
}

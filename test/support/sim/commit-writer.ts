import { assert } from '../../../src/core/assert.ts'
import type { CommitWriter, OpenCommitWriter } from '../../../src/platform/commit-writer.ts'
import { frameBatchBytes, frameHeaderBytes, framePartition } from '../../../src/storage/frame.ts'
import { type GroupHeader, groupFlags, groupHeaderBytes, readGroupHeader } from '../../../src/storage/group.ts'
import { groupAlignBytes } from '../../../src/storage/layout.ts'
import { logControlPartition } from '../../../src/storage/log.ts'
import type { PlantedBugs, SimIo } from './io.ts'

/** A write is durable when it resolves, torn at a crash before; what was handed over waits in the page cache. It notices when an arena changes under it. */
export const simCommitWriter =
  (io: SimIo, bugs: PlantedBugs = {}): OpenCommitWriter =>
  (arenaCount, arenaBytes) =>
    new SimCommitWriter(io, bugs, arenaCount, arenaBytes)

class SimCommitWriter implements CommitWriter {
  readonly arenas: readonly Buffer[]
  readonly #io: SimIo
  readonly #bugs: PlantedBugs
  /** Files with bytes that were handed over and not synced since. */
  readonly #dirty = new Set<string>()
  #busy = false
  #closed = false

  constructor(io: SimIo, bugs: PlantedBugs, arenaCount: number, arenaBytes: number) {
    this.#io = io
    this.#bugs = bugs
    this.arenas = Array.from({ length: arenaCount }, () => Buffer.alloc(arenaBytes))
  }

  write(arena: number, start: number, length: number, path: string, position: number): Promise<void> {
    const { disk, speed } = this.#io
    return this.#write('commit', speed.syncMs, arena, start, length, path, position, bytes => {
      const { acksEarly, acksControlEarly } = this.#bugs
      if (acksEarly === true || (acksControlEarly === true && isControlAlone(bytes))) {
        disk.write(path, position, bytes)
        return
      }
      disk.writeThrough(path, position, bytes)
      if (this.#dirty.has(path) && this.#bugs.syncsCommitsAlone !== true) this.#syncFile(path)
    })
  }

  handOver(arena: number, start: number, length: number, path: string, position: number): Promise<void> {
    const { disk, speed } = this.#io
    return this.#write('hand-over', speed.writeMs, arena, start, length, path, position, bytes => {
      this.#dirty.add(path)
      disk.write(path, position, bytes)
    })
  }

  sync(path: string): Promise<void> {
    return this.#alone(() =>
      this.#io.change(this.#io.speed.syncMs, `sync of commits ${path}`, () => this.#syncFile(path)),
    )
  }

  release(): void {}

  async close(): Promise<void> {
    this.#closed = true
  }

  #syncFile(path: string): void {
    this.#io.disk.check(path, 'sync')
    this.#io.disk.sync(path)
    this.#dirty.delete(path)
  }

  async #write(
    operation: 'commit' | 'hand-over',
    durationMs: number,
    arena: number,
    start: number,
    length: number,
    path: string,
    position: number,
    finish: (bytes: Buffer) => void,
  ): Promise<void> {
    const { disk } = this.#io
    const source = this.arenas[arena]?.subarray(start, start + length)
    assert(source !== undefined && source.length === length && length > 0, 'a commit lies within its arena')
    const bytes = Buffer.from(source)
    await this.#alone(async () => {
      const underWay = disk.begin(path, position, bytes)
      await this.#io.change(durationMs, `${operation} ${path} ${position}+${length}`, () => {
        disk.end(underWay)
        assert(bytes.equals(source), 'nobody touches an arena while it is written')
        try {
          disk.check(path, operation, position, position + bytes.length)
        } catch (error) {
          disk.writeToCacheOnly(path, position, bytes)
          throw error
        }
        finish(bytes)
      })
    })
  }

  async #alone(run: () => Promise<void>): Promise<void> {
    assert(!this.#busy, 'one commit is under way at a time')
    assert(!this.#closed, 'no commit after close')
    this.#busy = true
    try {
      await run()
    } finally {
      this.#busy = false
    }
  }
}

/** Whether the newest group of a write, which may begin with the end of the one before, holds records of the log control partition only. */
const isControlAlone = (bytes: Buffer): boolean => {
  let newest: { header: GroupHeader; at: number } | undefined
  for (let at = 0; at < bytes.length; at += groupAlignBytes) {
    const header = readGroupHeader(bytes, at)
    if (header !== undefined) newest = { header, at }
  }
  // what a start says first makes nothing dead
  if (newest === undefined || (newest.header.flags & groupFlags.start) !== 0) return false
  const { header } = newest
  let at = newest.at + groupHeaderBytes
  for (let index = 0; index < header.frameCount; index++) {
    if (framePartition(bytes, at) !== logControlPartition) return false
    at += frameHeaderBytes + frameBatchBytes(bytes, at)
  }
  return header.frameCount > 0
}

import { assert } from '../../../src/core/assert.ts'
import type { CommitWriter, OpenCommitWriter } from '../../../src/platform/commit-writer.ts'
import { frameBatchBytes, frameHeaderBytes, framePartition } from '../../../src/storage/frame.ts'
import { type GroupHeader, groupFlags, groupHeaderBytes, readGroupHeader } from '../../../src/storage/group.ts'
import { groupAlignBytes } from '../../../src/storage/layout.ts'
import { logControlPartition } from '../../../src/storage/log.ts'
import type { PlantedBugs, SimIo } from './io.ts'

/** A write is durable when it resolves, torn at a crash before. It notices when an arena changes under it. */
export const simCommitWriter =
  (io: SimIo, bugs: PlantedBugs = {}): OpenCommitWriter =>
  (arenaCount, arenaBytes) =>
    new SimCommitWriter(io, bugs, arenaCount, arenaBytes)

class SimCommitWriter implements CommitWriter {
  readonly arenas: readonly Buffer[]
  readonly #io: SimIo
  readonly #bugs: PlantedBugs
  #busy = false
  #closed = false

  constructor(io: SimIo, bugs: PlantedBugs, arenaCount: number, arenaBytes: number) {
    this.#io = io
    this.#bugs = bugs
    this.arenas = Array.from({ length: arenaCount }, () => Buffer.alloc(arenaBytes))
  }

  async write(arena: number, start: number, length: number, path: string, position: number): Promise<void> {
    assert(!this.#busy, 'one commit is under way at a time')
    assert(!this.#closed, 'no commit after close')
    const source = this.arenas[arena]?.subarray(start, start + length)
    assert(source !== undefined && source.length === length && length > 0, 'a commit lies within its arena')
    const { disk, speed } = this.#io
    const bytes = Buffer.from(source)
    this.#busy = true
    const underWay = disk.begin(path, position, bytes)
    try {
      await this.#io.change(speed.syncMs, `commit ${path} ${position}+${length}`, () => {
        disk.end(underWay)
        assert(bytes.equals(source), 'nobody touches an arena while it is written')
        this.#finish(path, position, bytes)
      })
    } finally {
      this.#busy = false
    }
  }

  #finish(path: string, position: number, bytes: Buffer): void {
    const { disk } = this.#io
    try {
      disk.check(path, 'commit', position, position + bytes.length)
    } catch (error) {
      disk.writeToCacheOnly(path, position, bytes)
      throw error
    }
    const { acksEarly, acksControlEarly } = this.#bugs
    if (acksEarly === true || (acksControlEarly === true && isControlAlone(bytes))) disk.write(path, position, bytes)
    else disk.writeThrough(path, position, bytes)
  }

  release(): void {}

  async close(): Promise<void> {
    this.#closed = true
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

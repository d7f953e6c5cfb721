import { assert } from '../core/assert.ts'
import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Segment } from './segment.ts'
import type { Window } from './window.ts'

const chunkBytes = 256 * 1024
const maxSpares = 2

interface Chunk {
  readonly segment: Segment
  readonly start: number
  /** Position after the last group in it. */
  end: number
  readonly buffer: Buffer
  /** Somebody may hold a view of it; else the buffer can be used again. */
  isShared: boolean
}

/**
 * The newest durable groups as they stand in their slots, so that readers who keep up never touch the device. Bytes once written here
 * are never changed: readers hold views of them.
 */
export class Tail {
  readonly #limitBytes: number
  readonly #memory: MemoryBudget
  readonly #chunks: Chunk[] = []
  #bytes = 0
  /** Of chunks that nobody has seen. */
  readonly #spares: Buffer[] = []

  constructor(limitBytes: number, memory: MemoryBudget) {
    this.#limitBytes = limitBytes
    this.#memory = memory
  }

  /** Copies a group that became durable at `position`. */
  add(segment: Segment, position: number, group: Uint8Array): void {
    let chunk = this.#chunks.at(-1)
    assert(chunk?.segment !== segment || position >= chunk.end, 'groups come in the order of the log')
    if (chunk?.segment !== segment || position + group.length > chunk.start + chunk.buffer.length) {
      chunk = this.#open(segment, position, group.length)
    }
    const at = position - chunk.start
    // a copy from shared memory goes word by word, a fill is a memcpy
    chunk.buffer.fill(group, at, at + group.length)
    chunk.end = position + group.length
  }

  /** A view that holds `[position, position + length)`, if that is in memory. Groups never span chunks. */
  window(segment: Segment, position: number, length: number): Window | undefined {
    const chunk = this.#chunkAt(segment, position)
    if (chunk === undefined || position + length > chunk.end) return undefined
    chunk.isShared = true
    return { buffer: chunk.buffer, start: chunk.start, end: chunk.end, trusted: true }
  }

  /** Where the next group begins when `position` is where the groups of a chunk end; else `position`. */
  nextGroup(segment: Segment, position: number): number {
    const chunks = this.#chunks
    for (let index = chunks.length - 1; index > 0; index--) {
      const chunk = chunks[index - 1]!
      if (chunk.end < position || chunk.segment !== segment) break
      if (chunk.end === position && chunks[index]!.segment === segment) return chunks[index]!.start
    }
    return position
  }

  /** Gives back all memory. */
  clear(): void {
    this.#memory.give(this.#bytes)
    this.#bytes = 0
    this.#chunks.length = 0
    this.#spares.length = 0
  }

  #open(segment: Segment, start: number, groupBytes: number): Chunk {
    const buffer = this.#bufferFor(Math.max(chunkBytes, groupBytes))
    const chunk: Chunk = { segment, start, end: start, buffer, isShared: false }
    this.#chunks.push(chunk)
    this.#memory.take(buffer.length)
    this.#bytes += buffer.length
    while (this.#bytes > this.#limitBytes && this.#chunks.length > 1) this.#drop()
    return chunk
  }

  #drop(): void {
    const { buffer, isShared } = this.#chunks.shift()!
    this.#memory.give(buffer.length)
    this.#bytes -= buffer.length
    if (isShared) return
    this.#spares.push(buffer)
    if (this.#spares.length > maxSpares) this.#spares.shift()
  }

  /** Zeros: the padding between groups reads as on the device. Whole chunks, so that one that nobody has seen fits again. */
  #bufferFor(groupBytes: number): Buffer {
    const index = this.#spares.findIndex(spare => spare.length >= groupBytes)
    if (index >= 0) return this.#spares.splice(index, 1)[0]!.fill(0)
    return Buffer.alloc(Math.ceil(groupBytes / chunkBytes) * chunkBytes)
  }

  #chunkAt(segment: Segment, position: number): Chunk | undefined {
    const chunks = this.#chunks
    const { sequence } = segment
    let low = 0
    let high = chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const chunk = chunks[middle]!
      const before = chunk.segment.sequence - sequence || chunk.start - position
      if (before <= 0) low = middle + 1
      else high = middle
    }
    const chunk = chunks[low - 1]
    return chunk?.segment === segment ? chunk : undefined
  }
}

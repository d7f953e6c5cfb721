import { assert } from '../core/assert.ts'
import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Segment } from './segment.ts'
import type { Window } from './window.ts'

const chunkBytes = 256 * 1024

interface Chunk {
  readonly segment: Segment
  readonly start: number
  /** Position after the last group in it. */
  end: number
  readonly buffer: Buffer
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
  }

  #open(segment: Segment, start: number, groupBytes: number): Chunk {
    // zeros: the padding between groups reads as on the device
    const buffer = Buffer.alloc(Math.max(chunkBytes, groupBytes))
    const chunk: Chunk = { segment, start, end: start, buffer }
    this.#chunks.push(chunk)
    this.#memory.take(buffer.length)
    this.#bytes += buffer.length
    while (this.#bytes > this.#limitBytes && this.#chunks.length > 1) {
      const dropped = this.#chunks.shift()!.buffer.length
      this.#memory.give(dropped)
      this.#bytes -= dropped
    }
    return chunk
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

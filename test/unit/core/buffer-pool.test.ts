import { describe, expect, it } from 'vitest'
import { BufferPool } from '../../../src/core/buffer-pool.ts'

const KiB = 1024

describe('BufferPool', () => {
  it('hands out again what was given back, never one that is in use', () => {
    const pool = new BufferPool(1 << 20)
    const first = pool.take(10 * KiB)
    const second = pool.take(10 * KiB)
    expect(second.buffer).not.toBe(first.buffer)
    pool.give(first)
    expect(pool.take(16 * KiB).buffer).toBe(first.buffer)
    expect(pool.take(16 * KiB).buffer).not.toBe(first.buffer)
  })

  it.each([1, 4096, 4097, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 3 << 20])('gives at least %i bytes', bytes => {
    const pool = new BufferPool(8 << 20)
    const buffer = pool.take(bytes)
    expect(buffer.length).toBeGreaterThanOrEqual(bytes)
    pool.give(buffer)
    expect(pool.take(bytes).length).toBeGreaterThanOrEqual(bytes)
  })

  it('keeps no more than it may', () => {
    const pool = new BufferPool(100 * KiB)
    const buffers = [pool.take(64 * KiB), pool.take(64 * KiB)]
    for (const buffer of buffers) pool.give(buffer)
    const again = [pool.take(64 * KiB), pool.take(64 * KiB)]
    expect(again.map(({ buffer }) => buffers.some(one => one.buffer === buffer))).toEqual([true, false])
  })
})

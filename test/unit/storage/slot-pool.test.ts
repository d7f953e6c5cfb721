import { existsSync, readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Metrics } from '../../../src/core/metrics.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { reservedSlots } from '../../../src/storage/options.ts'
import type { Slot } from '../../../src/storage/slot-file.ts'
import { SlotPool } from '../../../src/storage/slot-pool.ts'
import { silentLogger, temporaryDirectory } from './test-log.ts'

const slotBytes = 64 * 1024
const logId = '0'.repeat(32)

test('a budget that shrinks leaves the reserve, made if need be, until what is in use is given back', async () => {
  const directory = temporaryDirectory()
  const platform = { files: nodeFiles, clock: nodeClock, logger: silentLogger }
  const pool = new SlotPool(platform, new Metrics(), { directory, slotBytes, maxSlots: 24, reserve: false })
  const slots = (): number => readdirSync(directory).length
  pool.settled()
  pool.prepare()
  const used: Slot[] = []
  while (used.length < 16) {
    const slot = pool.take()
    if (slot === undefined) await new Promise(resolve => setTimeout(resolve, 1))
    else used.push(slot)
  }

  pool.resize(8)
  expect(pool.available).toBeGreaterThanOrEqual(reservedSlots)
  await expect.poll(() => pool.freeCount).toBe(reservedSlots)
  expect(slots()).toBe(16 + reservedSlots)
  for (let left = 15; left >= 4; left--) {
    await pool.release(used.pop()!, logId)
    expect(pool.available).toBe(reservedSlots)
    expect(slots()).toBe(left + reservedSlots)
  }
  await pool.release(used.pop()!, logId)
  expect(slots()).toBe(8)
  expect(pool.available).toBe(reservedSlots + 1)
  await pool.close()
})

test('a budget that shrinks and grows at once makes no slot in the place of a file that is being deleted', async () => {
  const directory = temporaryDirectory()
  let areDeleted = (): void => {}
  const deleting = new Promise<void>(resolve => (areDeleted = resolve))
  let deleted = 0
  const remove = async (path: string): Promise<void> => {
    await deleting
    await nodeFiles.remove(path)
    deleted++
  }
  const platform = { files: { ...nodeFiles, remove }, clock: nodeClock, logger: silentLogger }
  const pool = new SlotPool(platform, new Metrics(), { directory, slotBytes, maxSlots: 16, reserve: true })
  pool.settled()
  pool.prepare()
  await expect.poll(() => pool.freeCount, { timeout: 10_000 }).toBe(16)
  pool.resize(8)
  pool.resize(16)
  await expect.poll(() => pool.freeCount, { timeout: 10_000 }).toBe(16)
  areDeleted()
  await expect.poll(() => deleted).toBe(8)
  expect([...pool.slots].filter(({ path }) => !existsSync(path))).toEqual([])
  await pool.close()
})

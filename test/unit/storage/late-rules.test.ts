import { expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { Housekeeping } from '../../../src/storage/housekeeping.ts'
import type { Log } from '../../../src/storage/log.ts'
import { batchOf, TestDirectory, topic } from './test-log.ts'

const other = partitionId(40)

/** All that asks for room, retention and the cleaner to look at the log. */
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

it('takes nothing away at a start before retention and compaction of its topics are known', async () => {
  const directory = new TestDirectory()
  const small = {
    slotBytes: 1024 * 1024,
    budgetBytes: 8 * 1024 * 1024,
    commitMaxBytes: 64 * 1024,
    maxMessageBytes: 64 * 1024,
  }
  const log = await directory.open(small)
  for (const partition of [topic, other]) log.openPartition(partition)
  const payload = 'x'.repeat(30_000)
  await log.whenDurable(log.append([{ partition: topic, batch: batchOf(['kept for ever']) }]).group)
  for (let index = 0; index < 75; index++) {
    await log.whenDurable(log.append([{ partition: other, batch: batchOf([payload]) }]).group)
  }
  await log.close()

  let rulesAreSet = (): void => {}
  const rulesSet = new Promise<void>(resolve => {
    rulesAreSet = resolve
  })
  // by the limits of the broker all sealed data is too much; the topic has its own
  const again: Log = await directory.open({ ...small, retention: { ms: -1, bytes: 1 }, rulesSet })
  await pause(100)
  expect(again.offsets(topic).logStart).toBe(0)
  expect(again.offsets(other).logStart, 'nor anything else').toBe(0)
  again.openPartition(topic)
  again.setRetention(topic, { ms: -1, bytes: -1, class: 'normal', readThrough: () => 0 })
  rulesAreSet()
  while (again.offsets(other).logStart === 0) await pause(5)
  expect(again.offsets(topic).logStart).toBe(0)
  await again.close()
})

it('looks after nothing that is asked for before it has begun', async () => {
  const directory = new TestDirectory()
  let checks = 0
  const housekeeping = new Housekeeping(directory.clock, 1_000_000, () => checks++)
  housekeeping.soon()
  await pause(60)
  expect(checks).toBe(0)
  housekeeping.run()
  expect(checks).toBe(1)
  housekeeping.stop()
})

import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import type { Log } from '../../../src/storage/log.ts'
import { baseOffsetOf, hasValidCrc, leaderEpochOf, nextOffsetOf } from '../../../src/wire/kafka/record-batch.ts'
import { batchOf, noHeaders, TestDirectory, topic } from './test-log.ts'

const readAll = async (log: Log, partition = topic): Promise<Buffer[]> => {
  const batches: Buffer[] = []
  let offset = log.offsets(partition).logStart
  for (;;) {
    const read = await log.read(partition, offset, 64 * 1024, Number.MAX_SAFE_INTEGER)
    if (read.batches.length === 0) return batches
    batches.push(...read.batches)
    offset = read.nextOffset
  }
}

describe('commit log', () => {
  it('shows a batch only after its sync, with offset and epoch stamped', async () => {
    const log = await new TestDirectory().open()
    log.openPartition(topic)
    const appended = log.append([{ partition: topic, batch: batchOf(['a', 'b', 'c']) }])
    expect(appended.baseOffsets).toEqual([0])
    expect(log.offsets(topic)).toEqual({ logStart: 0, highWatermark: 0, logEnd: 3 })
    expect((await log.read(topic, 0, 1000, 99)).batches).toEqual([])
    await log.whenDurable(appended.group)
    expect(log.offsets(topic).highWatermark).toBe(3)
    const { batches, nextOffset } = await log.read(topic, 1, 1, 99)
    expect(nextOffset).toBe(3)
    expect(batches).toHaveLength(1)
    expect(hasValidCrc(batches[0]!)).toBe(true)
    expect(leaderEpochOf(batches[0]!)).toBe(log.logEpoch)
    await log.close()
  })

  it.each([['clean'], ['crash']])('finds everything again after a %s stop', async stop => {
    const directory = new TestDirectory()
    const log = await directory.open()
    const other = partitionId(33)
    for (const partition of [topic, other]) log.openPartition(partition)
    const value = Buffer.from('value')
    for (let round = 0; round < 50; round++) {
      for (let index = 0; index < 20; index++) log.appendRecord(topic, 1000 + index, null, value, 0, 5, noHeaders)
      log.append([{ partition: other, batch: batchOf([`round ${round}`]) }])
      log.append([{ partition: topic, batch: batchOf(['x', 'y']) }])
      if (round % 3 === 0) await log.whenDurable(log.openGroup)
    }
    await log.whenDurable(log.openGroup)
    const before = await readAll(log)
    if (stop === 'clean') await log.close()
    else directory.crash()
    const again = await directory.open()
    expect(again.logId).toBe(log.logId)
    expect(again.logEpoch).toBe(log.logEpoch + 1)
    expect(again.offsets(topic)).toEqual({ logStart: 0, highWatermark: 1100, logEnd: 1100 })
    expect(again.offsets(other).logEnd).toBe(50)
    const after = await readAll(again)
    expect(Buffer.concat(after).equals(Buffer.concat(before))).toBe(true)
    let next = 0
    for (const batch of after) {
      expect(baseOffsetOf(batch)).toBe(next)
      next = nextOffsetOf(batch)
    }
    await again.close()
  })
})

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import type { Clock } from '../../../src/platform/clock.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import type { Log, Retention } from '../../../src/storage/log.ts'
import { baseOffsetOf, hasValidCrc, nextOffsetOf } from '../../../src/wire/kafka/record-batch.ts'
import { appendWhenRoom, batchOf, MiB, noHeaders, TestDirectory, topic, whenRoom } from './test-log.ts'

const large = batchOf(['x'.repeat(200_000)])
const forEver: Retention = { ms: -1, bytes: -1, class: 'normal', readThrough: () => 0 }

/** Appends `bytes` of batches to the partition, waiting for the device now and then. */
const fill = async (log: Log, partition: typeof topic, bytes: number): Promise<void> => {
  for (let done = 0; done < bytes; done += large.length) {
    await log.whenDurable((await appendWhenRoom(log, [{ partition, batch: large }])).group)
  }
}

const readDense = async (log: Log, partition: typeof topic): Promise<number> => {
  const { logStart, highWatermark } = log.offsets(partition)
  let offset = logStart
  while (offset < highWatermark) {
    const read = await log.read(partition, offset, MiB, Number.MAX_SAFE_INTEGER)
    expect(read.batches.length).toBeGreaterThan(0)
    for (const batch of read.batches) {
      expect(baseOffsetOf(batch)).toBe(offset)
      expect(hasValidCrc(batch)).toBe(true)
      offset = nextOffsetOf(batch)
    }
  }
  return offset - logStart
}

/** No eviction is on its way any more. */
const settled = async (log: Log, partition = topic): Promise<void> => {
  for (let seen = -1; seen !== log.offsets(partition).logStart; ) {
    seen = log.offsets(partition).logStart
    await new Promise(resolve => setTimeout(resolve, 150))
  }
}

const eventually = async (done: () => boolean): Promise<void> => {
  while (!done()) await new Promise(resolve => setTimeout(resolve, 5))
}

/** No summary, no footer: every segment is scanned, those from before the checkpoint too. */
const loseIndexes = (directory: TestDirectory): void => {
  const { values } = directory.checkpoints
  for (const key of [...values.keys()]) if (key.startsWith('log/segment/')) values.delete(key)
  for (const name of readdirSync(join(directory.directory, 'log'))) {
    const path = join(directory.directory, 'log', name)
    const bytes = readFileSync(path)
    bytes.fill(0, bytes.length - 64)
    writeFileSync(path, bytes)
  }
}

describe('eviction', () => {
  it('keeps the log within its budget, takes the oldest away and says so', async () => {
    const directory = new TestDirectory()
    const log = await directory.open()
    log.openPartition(topic)
    await fill(log, topic, 80 * MiB)
    await settled(log)
    const { logStart, highWatermark } = log.offsets(topic)
    expect(readdirSync(join(directory.directory, 'log')).length).toBeLessThanOrEqual(8)
    expect(await readDense(log, topic)).toBe(highWatermark - logStart)
    expect(log.gaps()).toMatchObject([{ partition: topic, first: 0, last: logStart - 1, reason: 'budget' }])
    await expect(log.read(topic, 0, 100, 1000)).rejects.toMatchObject({ kind: 'offsetOutOfRange' })
    await log.close()
    expect(directory.memory.usedBytes).toBe(0)
    const again = await directory.open()
    expect(again.offsets(topic)).toEqual(log.offsets(topic))
    expect(again.gaps()).toEqual(log.gaps())
    await again.close()
  })

  it.each([['kept'], ['deleted'], ['kept alone']])(
    'recovers the same state after a crash with the checkpoint %s',
    async checkpoint => {
      const directory = new TestDirectory()
      const log = await directory.open()
      const other = partitionId(40)
      const gone = partitionId(41)
      for (const partition of [topic, other, gone]) log.openPartition(partition)
      await fill(log, gone, MiB)
      for (let round = 0; round < 30; round++) {
        await fill(log, topic, 2 * MiB)
        for (let index = 0; index < 10; index++) log.appendRecord(other, round, null, large, 0, 1000, noHeaders)
        if (round === 5) log.removePartition(gone)
        if (round === 20) log.advanceLogStart(other, 205)
      }
      await log.whenDurable(log.openGroup)
      await settled(log)
      expect(log.gaps().length).toBeGreaterThan(0)
      const [offsets, others, gaps] = [log.offsets(topic), log.offsets(other), log.gaps()]
      const epochs = log.leaderEpochs(topic)
      if (checkpoint === 'kept alone') await log.close()
      else directory.crash()
      if (checkpoint === 'deleted') directory.checkpoints.values.clear()
      if (checkpoint === 'kept alone') loseIndexes(directory)
      const again = await directory.open()
      expect(again.offsets(topic)).toEqual(offsets)
      expect(again.offsets(other)).toEqual(others)
      expect(again.gaps()).toEqual(gaps)
      expect(again.leaderEpochs(topic)).toEqual(epochs)
      expect([...again.partitions()]).not.toContain(gone)
      expect(await readDense(again, topic)).toBe(offsets.highWatermark - offsets.logStart)
      await readDense(again, other)
      await fill(again, topic, 30 * MiB)
      await settled(again)
      expect(again.gaps().filter(gap => gap.reason === 'damage')).toEqual([])
      await readDense(again, topic)
      await again.close()
    },
  )

  it('keeps the records of an internal partition: they move to a cold segment when all else around them is dead', async () => {
    const directory = new TestDirectory()
    const log = await directory.open()
    const internal = partitionId(1)
    for (const partition of [topic, internal]) log.openPartition(partition)
    for (let round = 0; round < 10; round++) {
      await log.whenDurable(log.append([{ partition: internal, batch: batchOf([`state ${round}`]) }]).group)
      await fill(log, topic, 6 * MiB)
    }
    await settled(log)
    expect(directory.metrics.count('storageCleanings')).toBeGreaterThan(0)
    expect(await readDense(log, internal)).toBe(10)
    await readDense(log, topic)
    const offsets = log.offsets(topic)
    await log.close()
    const again = await directory.open()
    expect(await readDense(again, internal)).toBe(10)
    expect(again.offsets(topic)).toEqual(offsets)
    await readDense(again, topic)
    await again.close()
    directory.checkpoints.values.clear()
    loseIndexes(directory)
    const scanned = await directory.open()
    expect(await readDense(scanned, internal)).toBe(10)
    expect(await readDense(scanned, topic)).toBe(offsets.highWatermark - offsets.logStart)
    expect(scanned.gaps().filter(gap => gap.reason === 'damage')).toEqual([])
    await scanned.close()
  })

  it('takes more partitions away than the smallest group can name', async () => {
    const directory = new TestDirectory()
    const smallest = { commitMaxBytes: 64 * 1024, maxMessageBytes: 64 * 1024 }
    const log = await directory.open(smallest)
    const partitions = Array.from({ length: 16_000 }, (_, index) => partitionId(3_000_000 + index))
    for (const partition of partitions) log.openPartition(partition)
    const source = Buffer.alloc(50)
    for (let round = 0; round < 10; round++) {
      for (let index = 0; index < partitions.length; index += 400) {
        const some = partitions.slice(index, index + 400)
        const records = some.map(partition => ({
          partition,
          timestampMs: 0,
          key: null,
          value: source,
          headers: noHeaders,
        }))
        await log.whenDurable(await whenRoom(() => log.appendRecords(records)))
      }
    }
    await settled(log, partitions[0])
    const offsets = partitions.map(partition => log.offsets(partition))
    expect(offsets.every(({ logStart }) => logStart > 0)).toBe(true)
    directory.crash()
    directory.checkpoints.values.clear()
    const again = await directory.open(smallest)
    expect(partitions.map(partition => again.offsets(partition))).toEqual(offsets)
    await again.close()
  })

  it('cuts a partition to retention.bytes and by log age, not by record time', async () => {
    const directory = new TestDirectory()
    let extraMs = 0
    const clock: Clock = { ...nodeClock, sinceBootMs: () => nodeClock.sinceBootMs() + extraMs }
    directory.clock = clock
    const log = await directory.open()
    const timed = partitionId(50)
    for (const partition of [topic, timed]) log.openPartition(partition)
    log.setRetention(topic, { ...forEver, bytes: 2 * MiB })
    log.setRetention(timed, { ...forEver, ms: 60_000 })
    await log.whenDurable(log.append([{ partition: timed, batch: batchOf(['old', 'older']) }]).group)
    extraMs = 100_000
    await fill(log, topic, 9 * MiB)
    await log.whenDurable(log.append([{ partition: timed, batch: batchOf(['new']) }]).group)
    await eventually(() => log.offsets(timed).logStart === 2 && log.offsets(topic).logStart > 0)
    expect(log.sizeBytes(topic)).toBeGreaterThanOrEqual(2 * MiB)
    expect(log.gaps().every(gap => gap.reason === 'retention')).toBe(true)
    await log.close()
  })

  it('takes bulk data first, then what was read by all, and critical data last; only what was not read is a gap', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ budgetBytes: 24 * 4 * MiB })
    const [critical, read, normal, bulk] = [40, 41, 42, 43].map(partitionId) as [
      typeof topic,
      typeof topic,
      typeof topic,
      typeof topic,
    ]
    for (const partition of [critical, read, normal, bulk]) log.openPartition(partition)
    log.setRetention(critical, { ...forEver, class: 'critical' })
    log.setRetention(read, { ...forEver, readThrough: () => log.offsets(read).highWatermark - 1 })
    log.setRetention(bulk, { ...forEver, class: 'bulk' })
    const starts = () => [critical, read, normal, bulk].map(partition => log.offsets(partition).logStart)
    // on a slow device one round takes all of a class, and some of the next one
    const isGone = (partition: typeof topic, unread: number) =>
      log.offsets(partition).logStart >= log.offsets(partition).highWatermark - unread
    // the oldest data is the one to keep
    for (const partition of [critical, read, normal, bulk]) await fill(log, partition, 14 * MiB)
    while (starts()[3] === 0) await fill(log, normal, MiB)
    if (starts()[1] !== 0) expect(isGone(bulk, 0)).toBe(true)
    while (starts()[1] === 0) await fill(log, normal, MiB)
    expect(isGone(bulk, 0)).toBe(true)
    if (starts()[2] !== 0) expect(isGone(read, 1)).toBe(true)
    expect(starts()[0]).toBe(0)
    while (starts()[2] === 0) await fill(log, normal, MiB)
    expect(starts()[0]).toBe(0)
    await log.whenDurable(log.openGroup)
    const gaps = log.gaps().map(({ partition }) => partition)
    expect(gaps).toContain(bulk)
    expect(gaps).not.toContain(critical)
    for (const { partition, first, last } of log.gaps()) {
      expect(partition).not.toBe(critical)
      expect(first).toBe(partition === read ? log.offsets(read).highWatermark - 1 : 0)
      expect(last).toBe(log.offsets(partition).logStart - 1)
    }
    await log.close()
  })
})

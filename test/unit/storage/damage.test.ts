import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import type { Files } from '../../../src/platform/files.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { groupHeaderBytes, readGroupHeader } from '../../../src/storage/group.ts'
import type { Log } from '../../../src/storage/log.ts'
import { decodeSlotHeader } from '../../../src/storage/slot.ts'
import { baseOffsetOf } from '../../../src/wire/kafka/record-batch.ts'
import { batchOf, MiB, TestDirectory, topic } from './test-log.ts'

const other = partitionId(33)
const slotBytes = 4 * MiB

/** Slot files with a segment, oldest segment first. */
const slotsOf = (directory: TestDirectory) => {
  const log = join(directory.directory, 'log')
  return readdirSync(log)
    .map(name => ({ path: join(log, name), bytes: readFileSync(join(log, name)) }))
    .map(slot => ({ ...slot, header: decodeSlotHeader(slot.bytes), save: () => writeFileSync(slot.path, slot.bytes) }))
    .filter(({ header }) => header?.kind === 'hot')
    .sort((one, another) => one.header!.sequence - another.header!.sequence)
}

const groupsOf = (bytes: Buffer): number[] => {
  const positions: number[] = []
  for (let at = 4096; at < bytes.length; at += 64) if (readGroupHeader(bytes, at) !== undefined) positions.push(at)
  return positions
}

const appendOne = async (log: Log, partition: typeof topic, value: string): Promise<number> => {
  const { group, baseOffsets } = log.append([{ partition, batch: batchOf([value]) }])
  await log.whenDurable(group)
  return baseOffsets[0]!
}

const offsetsRead = async (log: Log, partition: typeof topic): Promise<number[]> => {
  const { logStart, highWatermark } = log.offsets(partition)
  const offsets: number[] = []
  for (let offset = logStart; offset < highWatermark; ) {
    const { batches, nextOffset } = await log.read(partition, offset, MiB, highWatermark)
    expect(nextOffset).toBeGreaterThan(offset)
    offsets.push(...batches.map(batch => baseOffsetOf(batch)))
    offset = nextOffset
  }
  return offsets
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** Offsets of all gap records of the partition. */
const lostOffsets = (log: Log, partition: typeof topic): number[] =>
  log
    .gaps()
    .filter(gap => gap.partition === partition && gap.reason === 'damage')
    .flatMap(({ first, last }) => upTo(last - first + 1).map(index => first + index))

/** Three records of `topic`, then some of `other`. */
const shortLog = async (): Promise<TestDirectory> => {
  const directory = new TestDirectory()
  const log = await directory.open()
  for (const partition of [topic, other]) log.openPartition(partition)
  for (const partition of [topic, topic, topic, other, other, other]) await appendOne(log, partition, 'value')
  directory.crash()
  return directory
}

/** Two and a half slots (more would have the oldest evicted) of `topic`, with `other` only in the first. */
const longLog = async (): Promise<{ directory: TestDirectory; end: number }> => {
  const directory = new TestDirectory()
  const log = await directory.open()
  for (const partition of [topic, other]) log.openPartition(partition)
  for (let index = 0; index < 5; index++) await appendOne(log, other, 'x')
  for (let index = 0; index < 50; index++) await appendOne(log, topic, 'x'.repeat(200_000))
  return { directory, end: 50 }
}

describe('a damaged frame header with nothing of its partition behind', () => {
  /** Damages the frame header of the newest record of `topic`. */
  const damageNewest = (directory: TestDirectory): void => {
    const slot = slotsOf(directory).at(-1)!
    const group = groupsOf(slot.bytes)[3]!
    slot.bytes[group + groupHeaderBytes + 18]! ^= 1
    slot.save()
  }

  it('is a gap, and no offset is given twice, also over the next starts', async () => {
    const directory = await shortLog()
    directory.checkpoints.values.clear()
    damageNewest(directory)
    const log = await directory.open()
    const { logEnd, highWatermark } = log.offsets(topic)
    expect(logEnd).toBeGreaterThanOrEqual(3)
    expect(highWatermark).toBe(logEnd)
    expect(lostOffsets(log, topic)).toContain(2)
    expect(directory.metrics.count('storageGaps')).toBeGreaterThan(0)
    expect(lostOffsets(log, other)).toEqual([])
    expect(await offsetsRead(log, topic)).toEqual([0, 1])
    directory.crash()
    directory.checkpoints.values.clear()
    const again = await directory.open()
    expect(again.offsets(topic).logEnd).toBe(logEnd)
    expect(await appendOne(again, topic, 'new')).toBe(logEnd)
    await again.close()
    const third = await directory.open()
    expect(await offsetsRead(third, topic)).toEqual([0, 1, logEnd])
    await third.close()
  })

  it('is exactly its offsets where the footer has seen them', async () => {
    const directory = new TestDirectory()
    const log = await directory.open()
    for (const partition of [topic, other]) log.openPartition(partition)
    for (let index = 0; index < 25; index++) await appendOne(log, topic, 'x'.repeat(200_000))
    for (let index = 0; index < 3; index++) await appendOne(log, other, 'x')
    for (let index = 0; index < 20; index++) await appendOne(log, topic, 'x'.repeat(200_000))
    await log.close()
    // the newest sealed segment is scanned, and its footer is there
    directory.checkpoints.values.clear()
    const slot = slotsOf(directory).at(-2)!
    const groups = groupsOf(slot.bytes).filter(at => readGroupHeader(slot.bytes, at)!.length < 1000)
    const newest = groups.filter(at => slot.bytes.readUInt32BE(at + groupHeaderBytes + 16) === other).at(-1)!
    slot.bytes[newest + groupHeaderBytes + 18]! ^= 1
    slot.save()
    const again = await directory.open()
    expect(again.offsets(other).logEnd).toBe(3)
    expect(await offsetsRead(again, other)).toEqual([0, 1])
    expect(lostOffsets(again, other)).toEqual([2])
    expect(lostOffsets(again, topic)).toEqual([])
    await again.close()
  })
})

describe('a damaged slot header', () => {
  it.each([
    ['sealed, checkpoint kept', 1, true],
    ['sealed, checkpoint lost', 1, false],
    ['oldest, checkpoint lost', 0, false],
    ['active, checkpoint kept', -1, true],
    ['active, checkpoint lost', -1, false],
  ] as const)('costs nothing: %s', async (_, index, keepsCheckpoint) => {
    const { directory, end } = await longLog()
    directory.crash()
    if (!keepsCheckpoint) directory.checkpoints.values.clear()
    const slot = slotsOf(directory).at(index)!
    slot.bytes.fill(0xa5, 0, 512)
    slot.save()
    const log = await directory.open()
    expect(await offsetsRead(log, topic)).toEqual(upTo(end))
    expect(await offsetsRead(log, other)).toEqual(upTo(5))
    expect(log.gaps()).toEqual([])
    expect(await appendOne(log, topic, 'new')).toBe(end)
    await log.close()
    const again = await directory.open()
    expect(await offsetsRead(again, topic)).toEqual(upTo(end + 1))
    await again.close()
  })

  it('is not believed by the content of a former life', async () => {
    const { directory, end } = await longLog()
    directory.crash()
    const [first, second] = slotsOf(directory)
    // a copy of a live segment, as a slot that was to be reused when the power went
    const copy = Buffer.from(second!.bytes)
    copy.fill(0xa5, 0, 512)
    writeFileSync(join(directory.directory, 'log', '0099.slot'), copy)
    expect(first).toBeDefined()
    const log = await directory.open()
    expect(await offsetsRead(log, topic)).toEqual(upTo(end))
    expect(log.gaps()).toEqual([])
    await log.close()
  })
})

describe('a slot that is lost as a whole', () => {
  it.each([
    ['with its checkpoint', true],
    ['without a checkpoint, where the log control partition is whole', false],
  ])('is a gap of its first offsets %s', async (_, keepsCheckpoint) => {
    const directory = new TestDirectory()
    const log = await directory.open()
    log.openPartition(topic)
    for (let index = 0; index < 50; index++) await appendOne(log, topic, 'x'.repeat(200_000))
    directory.crash()
    const slots = slotsOf(directory)
    if (!keepsCheckpoint) directory.checkpoints.values.clear()
    const again = await directory.open()
    await again.close()
    expect(slots.length).toBeGreaterThan(2)
    const slot = slots[1]!
    slot.bytes.fill(0)
    slot.save()
    if (!keepsCheckpoint) directory.checkpoints.values.clear()
    const third = await directory.open()
    const found = await offsetsRead(third, topic)
    expect([...lostOffsets(third, topic), ...found].sort((one, another) => one - another)).toEqual(upTo(50))
    await third.close()
  })

  it('is a gap where later data follows and at the end of a partition, as the checkpoint tells', async () => {
    const { directory, end } = await longLog()
    directory.crash()
    const later = await directory.open()
    await appendOne(later, topic, 'later')
    await later.close()
    const slot = slotsOf(directory)[0]!
    slot.bytes.fill(0)
    slot.save()
    const log = await directory.open()
    expect(log.offsets(other)).toEqual({ logStart: 0, highWatermark: 5, logEnd: 5 })
    expect(lostOffsets(log, other)).toEqual(upTo(5))
    const found = await offsetsRead(log, topic)
    expect([...lostOffsets(log, topic), ...found]).toEqual(upTo(end + 1))
    expect(await appendOne(log, other, 'new')).toBe(5)
    await log.close()
  })

  it('in the middle does not take the segments behind it along', async () => {
    const { directory, end } = await longLog()
    directory.crash()
    directory.checkpoints.values.clear()
    const slot = slotsOf(directory)[1]!
    slot.bytes.fill(0xa5, 4096)
    slot.save()
    const log = await directory.open()
    const found = await offsetsRead(log, topic)
    expect(
      found.at(-1),
      JSON.stringify([
        slotsOf(directory).map(({ path, header }) => [path, header?.sequence, header?.firstGroup]),
        log.gaps(),
        log.offsets(topic),
      ]),
    ).toBe(end - 1)
    expect([...lostOffsets(log, topic), ...found].sort((one, another) => one - another)).toEqual(upTo(end))
    await log.close()
  })
})

/** Files whose writes fail in some stretch of a slot. */
const refusing = (path: string, isRefused: (position: number) => boolean): Files => ({
  ...nodeFiles,
  open: async (name, options) => {
    const file = await nodeFiles.open(name, options)
    if (name !== path) return file
    return {
      path: file.path,
      size: () => file.size(),
      read: (target, position) => file.read(target, position),
      write: async (source, position) => {
        if (isRefused(position)) throw Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' })
        await file.write(source, position)
      },
      sync: () => file.sync(),
      close: () => file.close(),
    }
  },
})

describe('a slot that cannot be written any more', () => {
  it('ends no start: the newest group goes to another slot, once', async () => {
    const directory = await shortLog()
    const [slot] = slotsOf(directory)
    const files = refusing(slot!.path, () => true)
    const log = await directory.open({}, { files })
    expect(await offsetsRead(log, topic)).toEqual([0, 1, 2])
    expect(await offsetsRead(log, other)).toEqual([0, 1, 2])
    expect(await appendOne(log, topic, 'new')).toBe(3)
    await log.close()
    directory.checkpoints.values.clear()
    const again = await directory.open()
    expect(await offsetsRead(again, topic)).toEqual([0, 1, 2, 3])
    expect(again.gaps()).toEqual([])
    await again.close()
  })

  it('with commit.align=always the first group of a slot is written again elsewhere', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ align: 'always' })
    expect(log.durableGroup).toBe(1)
    directory.crash()
    directory.checkpoints.values.clear()
    const [first] = slotsOf(directory)
    const again = await directory.open({ align: 'always' })
    await again.close()
    expect(readFileSync(first!.path).subarray(4096, 8192)).not.toEqual(Buffer.alloc(4096))
    expect(slotsOf(directory).map(({ header }) => header!.sequence)).toEqual([2])
  })

  it('does without a footer', async () => {
    const directory = new TestDirectory()
    const path = join(directory.directory, 'log', '0001.slot')
    const log = await directory.open({}, { files: refusing(path, position => position > slotBytes - 64 * 1024) })
    log.openPartition(topic)
    for (let index = 0; index < 50; index++) await appendOne(log, topic, 'x'.repeat(200_000))
    expect(log.writable).toBe(true)
    expect(await offsetsRead(log, topic)).toEqual(upTo(50))
    await log.close()
    expect(existsSync(path)).toBe(true)
    const again = await directory.open()
    expect(await offsetsRead(again, topic)).toEqual(upTo(50))
    await again.close()
  })
})

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { frameHeaderBytes } from '../../../src/storage/frame.ts'
import { groupHeaderBytes, readGroupHeader } from '../../../src/storage/group.ts'
import type { Log } from '../../../src/storage/log.ts'
import { decodeSlotHeader } from '../../../src/storage/slot.ts'
import { baseOffsetOf } from '../../../src/wire/kafka/record-batch.ts'
import { batchOf, TestDirectory, topic } from './test-log.ts'

const other = partitionId(33)

/** The slot with the newest segment, as a file that can be changed. */
const newestSlot = (directory: TestDirectory) => {
  const log = join(directory.directory, 'log')
  const slots = readdirSync(log).map(name => ({ path: join(log, name), bytes: readFileSync(join(log, name)) }))
  const sequence = (bytes: Buffer): number => {
    const header = decodeSlotHeader(bytes)
    return header?.kind === 'hot' ? header.sequence : -1
  }
  const newest = slots.reduce((best, slot) => (sequence(slot.bytes) > sequence(best.bytes) ? slot : best))
  return { ...newest, save: () => writeFileSync(newest.path, newest.bytes) }
}

/** Positions of all groups in the slot. */
const groupsOf = (bytes: Buffer): number[] => {
  const positions: number[] = []
  for (let at = 4096; at < bytes.length; at += 64) if (readGroupHeader(bytes, at) !== undefined) positions.push(at)
  return positions
}

const appendOne = async (log: Log, partition: typeof topic, value: string): Promise<void> => {
  await log.whenDurable(log.append([{ partition, batch: batchOf([value]) }]).group)
}

/** A log with ten groups, of which each holds a batch of both partitions; crashed. */
const crashedLog = async (align: 'auto' | 'always'): Promise<TestDirectory> => {
  const directory = new TestDirectory()
  const log = await directory.open({ align })
  for (const partition of [topic, other]) log.openPartition(partition)
  for (let index = 0; index < 10; index++) {
    const batch = batchOf([`value ${index}`, 'second'])
    const appended = log.append([
      { partition: topic, batch },
      { partition: other, batch },
    ])
    await log.whenDurable(appended.group)
  }
  directory.crash()
  // the scan is to find everything itself
  directory.checkpoints.values.clear()
  return directory
}

const offsetsRead = async (log: Log, partition: typeof topic): Promise<number[]> => {
  const { logStart } = log.offsets(partition)
  const { batches } = await log.read(partition, logStart, 1_000_000, 1000)
  return batches.map(batch => baseOffsetOf(batch))
}

describe.each(['auto', 'always'] as const)('recovery with commit.align %s', align => {
  it('cuts a torn last group and goes on behind it', async () => {
    const directory = await crashedLog(align)
    const slot = newestSlot(directory)
    const last = groupsOf(slot.bytes).at(-1)!
    const header = readGroupHeader(slot.bytes, last)!
    slot.bytes.fill(0, last + header.length - 20, last + header.length)
    slot.save()
    const log = await directory.open({ align })
    expect(directory.metrics.count('storageTornTails')).toBe(1)
    expect(log.offsets(topic).logEnd).toBe(18)
    expect(log.offsets(other).logEnd).toBe(18)
    expect(log.gaps()).toEqual([])
    await appendOne(log, topic, 'new')
    directory.crash()
    const again = await directory.open({ align })
    expect(await offsetsRead(again, topic)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18])
    await again.close()
  })

  it('makes a damaged batch a gap of exactly its offsets', async () => {
    const directory = await crashedLog(align)
    const slot = newestSlot(directory)
    const damaged = groupsOf(slot.bytes)[4]!
    // inside the first batch's records
    slot.bytes[damaged + groupHeaderBytes + frameHeaderBytes + 65]! ^= 0xff
    slot.save()
    const log = await directory.open({ align })
    expect(log.offsets(topic).logEnd).toBe(20)
    expect(log.gaps()).toMatchObject([{ first: 6, last: 7, partition: topic, reason: 'damage' }])
    expect(await offsetsRead(log, topic)).toEqual([0, 2, 4, 8, 10, 12, 14, 16, 18])
    expect(await offsetsRead(log, other)).toHaveLength(10)
    await log.close()
    const again = await directory.open({ align })
    expect(again.gaps()).toEqual(log.gaps())
    expect(await offsetsRead(again, topic)).toHaveLength(9)
    await again.close()
  })

  it('passes over a damaged group header, saves its frames, and tells damage from a torn tail by what follows', async () => {
    const directory = await crashedLog(align)
    const slot = newestSlot(directory)
    slot.bytes[groupsOf(slot.bytes)[5]! + 20]! ^= 1
    slot.save()
    const log = await directory.open({ align })
    expect(directory.metrics.count('storageTornTails')).toBe(0)
    expect(directory.metrics.count('storageDamages')).toBe(1)
    expect(await offsetsRead(log, topic)).toHaveLength(10)
    expect(log.gaps()).toEqual([])
    await log.close()
  })

  it('does not take a former life of the slot for a part of the log', async () => {
    const directory = await crashedLog(align)
    const slot = newestSlot(directory)
    const groups = groupsOf(slot.bytes)
    const last = groups.at(-1)!
    const end = Math.ceil((last + readGroupHeader(slot.bytes, last)!.length) / 4096) * 4096
    // well-formed groups of the same log, but not at this place of the chain
    slot.bytes.copy(slot.bytes, end, Math.floor(groups[3]! / 4096) * 4096, last)
    slot.save()
    const log = await directory.open({ align })
    expect(log.offsets(topic).logEnd).toBe(20)
    expect(await offsetsRead(log, topic)).toHaveLength(10)
    expect(log.gaps()).toEqual([])
    await log.close()
  })
})

describe('damage found by a reader', () => {
  it('is never served and becomes a gap record', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ tailBytes: 1 })
    log.openPartition(topic)
    for (let index = 0; index < 10; index++) await appendOne(log, topic, 'x'.repeat(100_000))
    const slot = newestSlot(directory)
    const damaged = groupsOf(slot.bytes)[4]!
    slot.bytes[damaged + 5000]! ^= 1
    slot.save()
    const read: number[] = []
    for (let offset = 0; offset < 9; ) {
      const { batches, nextOffset } = await log.read(topic, offset, 1, 9)
      read.push(...batches.map(batch => baseOffsetOf(batch)))
      offset = nextOffset
    }
    expect(read).toEqual([0, 1, 2, 4, 5, 6, 7, 8])
    await log.whenDurable(log.openGroup)
    expect(log.gaps()).toMatchObject([{ partition: topic, first: 3, last: 3, reason: 'damage' }])
    await log.close()
  })
})

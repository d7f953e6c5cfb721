import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import type { Clock } from '../../../src/platform/clock.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { frameHeaderBytes } from '../../../src/storage/frame.ts'
import { groupHeaderBytes, readGroupHeader } from '../../../src/storage/group.ts'
import { isSound, type VerifyReport } from '../../../src/storage/inspect-report.ts'
import { verifyDirectory } from '../../../src/storage/inspect-verify.ts'
import type { Log } from '../../../src/storage/log.ts'
import { decodeSlotHeader, encodeSlotHeader } from '../../../src/storage/slot.ts'
import { SimRandom } from '../../support/sim/random.ts'
import { appendWhenRoom, batchOf, MiB, TestDirectory, temporaryDirectory, topic } from './test-log.ts'

const other = partitionId(33)
/** Nobody writes: the end of the log need not be waited for. */
const stillClock: Clock = { ...nodeClock, after: (_, callback) => nodeClock.after(0, callback) }
const verify = (directory: string, clock = stillClock): Promise<VerifyReport> =>
  verifyDirectory({ files: nodeFiles, clock }, directory)

const appendOne = async (log: Log, value: string, partition = topic): Promise<void> => {
  await log.whenDurable((await appendWhenRoom(log, [{ partition, batch: batchOf([value]) }])).group)
}

/** Ten groups with a batch of two records for each of two partitions. */
const fill = async (log: Log): Promise<void> => {
  for (const partition of [topic, other]) log.openPartition(partition)
  for (let index = 0; index < 10; index++) {
    const batch = batchOf([`value ${index}`, 'second'])
    const batches = [topic, other].map(partition => ({ partition, batch }))
    await log.whenDurable(log.append(batches).group)
  }
}

/** Segments oldest first, as files that can be changed. */
const segmentFiles = (directory: TestDirectory) => {
  const log = join(directory.directory, 'log')
  return readdirSync(log)
    .map(name => ({ number: Number(name.slice(0, 4)), path: join(log, name), bytes: readFileSync(join(log, name)) }))
    .map(slot => ({ ...slot, sequence: decodeSlotHeader(slot.bytes)?.sequence ?? 0 }))
    .filter(({ sequence }) => sequence > 0)
    .sort((one, another) => one.sequence - another.sequence)
}

interface FoundGroup {
  readonly position: number
  readonly length: number
}

const groupsOf = (bytes: Buffer): FoundGroup[] => {
  const groups: FoundGroup[] = []
  for (let position = 4096; position < bytes.length; position += 64) {
    const header = readGroupHeader(bytes, position)
    if (header !== undefined) groups.push({ position, length: header.length })
  }
  return groups
}

describe.each(['auto', 'always'] as const)('verify with commit.align %s', align => {
  it('finds a log sound: live, after a crash, after a start on it, and after a clean stop', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ align })
    await fill(log)
    const live = await verify(directory.directory)
    expect([live.damages, live.missing, live.groups]).toEqual([[], [], 11])
    expect(live.records).toBe(41)
    directory.crash()
    const again = await directory.open({ align })
    await appendOne(again, 'after')
    await again.close()
    const report = await verify(directory.directory)
    expect([report.damages, report.missing, report.notes]).toEqual([[], [], []])
    expect([report.segments, report.firstGroup, report.lastGroup]).toEqual([1, 1, 14])
  })

  it('reports every single flipped byte of a group that another follows, and confines it to the group', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ align })
    await fill(log)
    directory.crash()
    const slot = segmentFiles(directory).at(-1)!
    const groups = groupsOf(slot.bytes)
    expect(groups).toHaveLength(11)
    const random = new SimRandom(align === 'auto' ? 7 : 8)
    for (let round = 0; round < 40; round++) {
      const { position, length } = groups[random.below(groups.length - 1)]!
      const at = position + random.below(length)
      const bytes = Buffer.from(slot.bytes)
      bytes[at]! ^= 1 << random.below(8)
      writeFileSync(slot.path, bytes)
      const report = await verify(directory.directory)
      const where = `flipped at ${at}, group at ${position}`
      expect(report.damages.length, where).toBe(1)
      const [damage] = report.damages
      expect(damage!.position <= at && at < damage!.position + damage!.bytes, where).toBe(true)
      expect(damage!.position >= position && damage!.bytes <= length, where).toBe(true)
      expect(report.missing.length <= 1, where).toBe(true)
      // everything but the damaged frame is still found
      expect(report.frames, where).toBeGreaterThanOrEqual(20)
    }
  })

  it('calls a damaged newest group torn, for nothing tells more', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ align })
    await fill(log)
    directory.crash()
    const slot = segmentFiles(directory).at(-1)!
    const last = groupsOf(slot.bytes).at(-1)!
    slot.bytes[last.position + last.length - 3]! ^= 1
    writeFileSync(slot.path, slot.bytes)
    const report = await verify(directory.directory)
    expect(report.damages).toEqual([])
    expect(report.notes).toEqual([{ slot: slot.number, text: expect.stringContaining('torn group 11') }])
    expect(report.lastGroup).toBe(10)
  })
})

describe('damage', () => {
  it('of a batch is named with its offsets, and known once a gap record names them', async () => {
    const directory = new TestDirectory()
    const log = await directory.open()
    await fill(log)
    directory.crash()
    const slot = segmentFiles(directory).at(-1)!
    const { position } = groupsOf(slot.bytes)[4]!
    slot.bytes[position + groupHeaderBytes + frameHeaderBytes + 65]! ^= 0xff
    writeFileSync(slot.path, slot.bytes)
    const range = { partition: topic, first: 6, last: 7 }
    const damage = { slot: slot.number, position: position + groupHeaderBytes, cause: 'batch', group: 5, ...range }
    expect(await verify(directory.directory)).toMatchObject({ damages: [damage], missing: [range] })
    directory.checkpoints.values.clear()
    await (await directory.open()).close()
    const report = await verify(directory.directory)
    expect(report.damages).toMatchObject([{ ...damage, known: 'gap' }])
    expect(report.missing).toMatchObject([{ ...range, known: 'gap' }])
  })

  it("of a partition's newest batches is counted as lost, before and after a start that records its log end", async () => {
    const directory = new TestDirectory()
    const log = await directory.open()
    await fill(log)
    // the other partition goes on: its group stands behind the damage
    await appendOne(log, 'later', other)
    directory.crash()
    const slot = segmentFiles(directory).at(-1)!
    const { position } = groupsOf(slot.bytes).at(-2)!
    slot.bytes[position + groupHeaderBytes + frameHeaderBytes + 65]! ^= 0xff
    writeFileSync(slot.path, slot.bytes)
    const range = { partition: topic, first: 18, last: 19 }
    expect((await verify(directory.directory)).missing).toMatchObject([range])
    directory.checkpoints.values.clear()
    for (const value of [undefined, 'after it']) {
      const again = await directory.open()
      if (value !== undefined) await appendOne(again, value)
      expect(again.offsets(topic).logEnd).toBe(value === undefined ? 20 : 21)
      await again.close()
      expect((await verify(directory.directory)).missing).toMatchObject([{ ...range, known: 'gap' }])
    }
  })

  it('between groups is found, and loses nothing', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ align: 'always' })
    await fill(log)
    directory.crash()
    const slot = segmentFiles(directory).at(-1)!
    const { position, length } = groupsOf(slot.bytes)[3]!
    slot.bytes[position + length + 100] = 1
    writeFileSync(slot.path, slot.bytes)
    const report = await verify(directory.directory)
    expect(report.damages).toEqual([
      { slot: slot.number, position: position + length + 100, bytes: 1, cause: 'padding' },
    ])
    expect([report.groups, report.missing]).toEqual([11, []])
  })

  it('of one copy of meta is found', async () => {
    const directory = new TestDirectory()
    await (await directory.open()).close()
    const path = join(directory.directory, 'meta')
    const bytes = readFileSync(path)
    bytes[5000]! ^= 1
    writeFileSync(path, bytes)
    expect((await verify(directory.directory)).damages).toEqual([
      { slot: 0, position: 4096, bytes: 4096, cause: 'meta' },
    ])
  })
})

/** A log of four segments of 4 MiB, each sealed one with a footer, stopped. */
const longLog = async (): Promise<TestDirectory> => {
  const directory = new TestDirectory()
  const log = await directory.open({ slotBytes: 4 * MiB, budgetBytes: 64 * MiB })
  log.openPartition(topic)
  log.openPartition(other)
  for (let index = 0; index < 30; index++)
    await appendOne(log, String(index).repeat(200_000), index % 2 ? topic : other)
  await log.close()
  return directory
}

describe('segments', () => {
  it('are sound with their footers; each damage of a sealed one is found', async () => {
    const directory = await longLog()
    const sound = await verify(directory.directory)
    expect([sound.damages, sound.missing, sound.notes]).toEqual([[], [], []])
    expect(sound.segments).toBeGreaterThan(2)
    const [first, second] = segmentFiles(directory)
    const flipped = async (slot: NonNullable<typeof first>, at: number): Promise<VerifyReport> => {
      const bytes = Buffer.from(slot.bytes)
      bytes[at]! ^= 4
      writeFileSync(slot.path, bytes)
      const report = await verify(directory.directory)
      writeFileSync(slot.path, slot.bytes)
      return report
    }
    const size = first!.bytes.length
    const causesAt = async (at: number): Promise<string[]> =>
      (await flipped(first!, at)).damages.map(({ cause }) => cause)
    expect(await causesAt(size - 10)).toEqual(['footer'])
    expect(await causesAt(size - 70)).toEqual(['footer'])
    const last = groupsOf(first!.bytes).at(-1)!
    expect(await causesAt(last.position + 3)).toEqual(['groupHeader'])
    expect(await causesAt(last.position + 66)).toEqual(['frameHeader'])
    expect(await causesAt(last.position + last.length - 1)).toEqual(['batch'])
    const withoutHeader = await flipped(second!, 30)
    expect(withoutHeader.damages).toMatchObject([{ slot: second!.number, position: 0, cause: 'slotHeader' }])
    expect(withoutHeader.missing.map(({ partition }) => partition).sort()).toEqual([topic, other])
  })

  it('without their header are found even when it is zero, with what is lost', async () => {
    const directory = await longLog()
    for (const slot of segmentFiles(directory).slice(0, -1)) {
      const bytes = Buffer.from(slot.bytes)
      bytes.fill(0, 0, 4096)
      writeFileSync(slot.path, bytes)
      const report = await verify(directory.directory)
      expect(report.damages).toMatchObject([{ slot: slot.number, cause: 'slotHeader' }])
      expect(report.missing.length).toBeGreaterThanOrEqual(2)
      writeFileSync(slot.path, slot.bytes)
    }
  })

  it('whose file was cut lack exactly what was cut', async () => {
    const directory = await longLog()
    const slot = segmentFiles(directory)[1]!
    const groups = groupsOf(slot.bytes)
    truncateSync(slot.path, groups[2]!.position + 5000)
    const report = await verify(directory.directory)
    expect(report.damages).toMatchObject([
      { slot: slot.number, position: groups[2]!.position + 5000, cause: 'missing' },
    ])
    expect(report.missing.length).toBe(2)
    truncateSync(slot.path, groups[2]!.position)
    expect((await verify(directory.directory)).damages).toMatchObject([
      { position: groups[2]!.position, cause: 'missing' },
    ])
    rmSync(slot.path)
    const gone = await verify(directory.directory)
    expect(gone.damages).toEqual([])
    expect(gone.missing.map(({ partition }) => partition).sort()).toEqual([topic, other])
    expect(isSound(gone)).toBe(false)
  })

  it('may hold a group that recovery wrote again at the beginning of the next one', async () => {
    const directory = new TestDirectory()
    const log = await directory.open()
    await fill(log)
    directory.crash()
    const { bytes } = segmentFiles(directory).at(-1)!
    const { position, length } = groupsOf(bytes).at(-1)!
    const moved = Buffer.alloc(bytes.length)
    const [slotHeader, group] = [decodeSlotHeader(bytes)!, readGroupHeader(bytes, position)!]
    const place = { firstGroup: group.number, previousCrc: group.previousCrc, sequence: slotHeader.sequence + 1 }
    encodeSlotHeader({ ...slotHeader, ...place }).copy(moved)
    bytes.copy(moved, 4096, position, position + length)
    writeFileSync(join(directory.directory, 'log', '0009.slot'), moved)
    const report = await verify(directory.directory)
    expect([report.damages, report.missing, report.groups]).toEqual([[], [], 11])
    expect([report.segments, report.lastGroup]).toEqual([2, 11])
  })

  it('of a live log are sound while it is written and evicted', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({
      slotBytes: 4 * MiB,
      budgetBytes: 32 * MiB,
      retention: { ms: -1, bytes: 4 * MiB },
    })
    log.openPartition(topic)
    let stopped = false
    const writing = (async () => {
      for (let index = 0; !stopped; index++)
        await appendOne(log, String(index % 10).repeat(1000 + ((index * 7919) % 90_000)))
    })()
    for (let round = 0; round < 6; round++) {
      const report = await verify(directory.directory, nodeClock)
      expect([report.damages, report.missing]).toEqual([[], []])
    }
    stopped = true
    await writing
    await log.close()
  })
})

describe('directories that are no log', () => {
  it.each([
    ['missing', () => '/nowhere/at/all', 'there is no directory'],
    ['empty', temporaryDirectory, 'holds no Brooklet log'],
    [
      'foreign',
      () => {
        const directory = temporaryDirectory()
        mkdirSync(join(directory, 'log'))
        writeFileSync(join(directory, 'meta'), 'not ours')
        return directory
      },
      'is damaged or not of Brooklet',
    ],
  ])('%s: exit code 65 and one line', async (_, make, text) => {
    await expect(verify(make())).rejects.toMatchObject({
      name: 'StartError',
      exitCode: 65,
      message: expect.stringMatching(new RegExp(`^[^\n]*${text}[^\n]*$`)),
    })
  })
})

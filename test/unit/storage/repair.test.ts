import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import type { Clock } from '../../../src/platform/clock.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { openThreadedCommitWriter } from '../../../src/platform/node/commit-writer.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { frameHeaderBytes } from '../../../src/storage/frame.ts'
import { groupHeaderBytes, readGroupHeader } from '../../../src/storage/group.ts'
import { isSound, type VerifyReport } from '../../../src/storage/inspect-report.ts'
import type { Log } from '../../../src/storage/log.ts'
import { decodeMeta, type Meta } from '../../../src/storage/meta.ts'
import type { StoragePlatform } from '../../../src/storage/options.ts'
import { carryOutRepair } from '../../../src/storage/repair.ts'
import { isNothing, planRepair, type RepairPlan } from '../../../src/storage/repair-plan.ts'
import { decodeSlotHeader } from '../../../src/storage/slot.ts'
import { appendWhenRoom, batchOf, MiB, silentLogger, TestDirectory, topic } from './test-log.ts'

const other = partitionId(33)
/** Nobody writes: the end of the log need not be waited for. */
const stillClock: Clock = { ...nodeClock, after: (_, callback) => nodeClock.after(0, callback) }
const looking = { files: nodeFiles, clock: stillClock }

const platformOf = (directory: TestDirectory): StoragePlatform => ({
  clock: nodeClock,
  files: nodeFiles,
  random: { bytes: randomBytes, fraction: () => 0.5 },
  logger: silentLogger,
  openCommitWriter: openThreadedCommitWriter,
  checkpoints: directory.checkpoints,
})

const repair = async (directory: TestDirectory): Promise<{ plan: RepairPlan; report: VerifyReport }> => {
  const plan = await planRepair(looking, directory.directory)
  return {
    plan,
    report: await carryOutRepair({ ...platformOf(directory), clock: stillClock }, directory.directory, plan),
  }
}

const appendOne = async (log: Log, value: string, partition = topic): Promise<void> => {
  await log.whenDurable((await appendWhenRoom(log, [{ partition, batch: batchOf([value]) }])).group)
}

const options = { slotBytes: 4 * MiB, budgetBytes: 64 * MiB }

/** A log of four segments, stopped; both partitions have 15 records. */
const longLog = async (): Promise<TestDirectory> => {
  const directory = new TestDirectory()
  const log = await directory.open(options)
  log.openPartition(topic)
  log.openPartition(other)
  for (let index = 0; index < 30; index++) {
    await appendOne(log, String(index).repeat(200_000), index % 2 ? topic : other)
  }
  await log.close()
  return directory
}

interface SlotFile {
  readonly number: number
  readonly path: string
  readonly bytes: Buffer
}

/** Segments, oldest first. */
const segmentFiles = (directory: TestDirectory): SlotFile[] => {
  const log = join(directory.directory, 'log')
  return readdirSync(log)
    .map(name => ({ number: Number(name.slice(0, 4)), path: join(log, name), bytes: readFileSync(join(log, name)) }))
    .filter(({ bytes }) => decodeSlotHeader(bytes)?.kind === 'hot')
    .sort((one, two) => decodeSlotHeader(one.bytes)!.sequence - decodeSlotHeader(two.bytes)!.sequence)
}

const groupsOf = (bytes: Buffer): number[] => {
  const positions: number[] = []
  for (let position = 4096; position < bytes.length; position += 64) {
    if (readGroupHeader(bytes, position) !== undefined) positions.push(position)
  }
  return positions
}

const flip = ({ path, bytes }: SlotFile, at: number): void => {
  bytes[at]! ^= 4
  writeFileSync(path, bytes)
}

const metaOf = (directory: TestDirectory): Meta => {
  const meta = decodeMeta(readFileSync(join(directory.directory, 'meta')))
  if (typeof meta === 'string') throw new Error(`meta is ${meta}`)
  return meta
}

const quarantined = (directory: TestDirectory): string[] => {
  const path = join(directory.directory, 'quarantine')
  return existsSync(path) ? readdirSync(path) : []
}

/** A log that starts, has all offsets, and reads all but those that are gaps. */
const readable = async (directory: TestDirectory): Promise<{ read: number; gone: number }> => {
  const log = await directory.open(options)
  let read = 0
  for (const partition of [topic, other]) {
    const { logStart, highWatermark } = log.offsets(partition)
    expect([logStart, highWatermark]).toEqual([0, 15])
    for (let offset = logStart; offset < highWatermark; ) {
      const found = await log.read(partition, offset, MiB, highWatermark)
      read += found.batches.length
      offset = found.nextOffset
    }
  }
  const gone = log.gaps().reduce((sum, { first, last }) => sum + last - first + 1, 0)
  await log.close()
  return { read, gone }
}

describe('repair', () => {
  it('does nothing to a directory that is whole', async () => {
    const directory = await longLog()
    const before = segmentFiles(directory).map(({ bytes }) => bytes)
    const { plan, report } = await repair(directory)
    expect([isNothing(plan), isSound(report)]).toEqual([true, true])
    expect(segmentFiles(directory).every(({ bytes }, index) => bytes.equals(before[index]!))).toBe(true)
    expect(quarantined(directory)).toEqual([])
  })

  it('names what is lost in sealed segments that no start reads', async () => {
    const directory = await longLog()
    const [first, second] = segmentFiles(directory)
    flip(first!, groupsOf(first!.bytes)[1]! + groupHeaderBytes + frameHeaderBytes + 100)
    flip(second!, groupsOf(second!.bytes)[2]! + 66)
    const { plan, report } = await repair(directory)
    expect(plan.unnamed).toHaveLength(2)
    expect(report.missing.map(({ known }) => known)).toEqual(['gap', 'gap'])
    expect(isNothing(await planRepair(looking, directory.directory))).toBe(true)
    expect(await readable(directory)).toEqual({ read: 28, gone: 2 })
  })

  it('makes slot headers and footers again; then nothing is damaged', async () => {
    const directory = await longLog()
    const [first, second] = segmentFiles(directory)
    flip(first!, 20)
    flip(second!, second!.bytes.length - 10)
    const header = Buffer.from(first!.bytes.subarray(0, 4096))
    const { plan, report } = await repair(directory)
    expect(quarantined(directory)).toEqual([`000${first!.number}.slot-at-0-of-4096`])
    expect(readFileSync(join(directory.directory, 'quarantine', quarantined(directory)[0]!)).equals(header)).toBe(true)
    expect([plan.headers, plan.footers]).toEqual([[first!.number], [second!.number]])
    expect([report.damages, report.missing]).toEqual([[], []])
    expect(await readable(directory)).toEqual({ read: 30, gone: 0 })
  })

  it('writes meta again from its other copy', async () => {
    const directory = await longLog()
    const path = join(directory.directory, 'meta')
    const whole = readFileSync(path)
    for (const at of [100, 5000]) {
      const bytes = Buffer.from(whole)
      bytes[at]! ^= 1
      writeFileSync(path, bytes)
      const { plan, report } = await repair(directory)
      expect([plan.found.state, isSound(report)]).toEqual(['oneCopy', true])
      expect(readFileSync(path).equals(whole)).toBe(true)
    }
  })

  it.each(['gone', 'damaged'])('makes a meta that is %s again from the slots', async how => {
    const directory = await longLog()
    await (await directory.open(options)).close()
    const meta = metaOf(directory)
    const path = join(directory.directory, 'meta')
    if (how === 'gone') rmSync(path)
    else writeFileSync(path, Buffer.alloc(8192, 7))
    await expect(directory.open(options)).rejects.toMatchObject({ exitCode: 65 })
    const { plan, report } = await repair(directory)
    expect([plan.found.state, isSound(report)]).toEqual(['lost', true])
    expect(metaOf(directory)).toEqual(meta)
    expect(await readable(directory)).toEqual({ read: 30, gone: 0 })
    expect(metaOf(directory).starts.at(-1)!.logEpoch).toBe(meta.starts.at(-1)!.logEpoch + 1)
  })

  it('refuses a directory that holds no log, and one that is newer', async () => {
    const directory = await longLog()
    const path = join(directory.directory, 'meta')
    const bytes = readFileSync(path)
    for (const at of [4, 4100]) bytes.writeUInt16BE(99, at)
    writeFileSync(path, bytes)
    await expect(planRepair(looking, directory.directory)).rejects.toMatchObject({ exitCode: 65 })
    rmSync(path)
    rmSync(join(directory.directory, 'log'), { recursive: true })
    await expect(planRepair(looking, directory.directory)).rejects.toMatchObject({ exitCode: 65 })
  })
})

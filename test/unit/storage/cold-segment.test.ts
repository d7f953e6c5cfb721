import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { BrokerError } from '../../../src/core/errors.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { isSound, verifyDirectory } from '../../../src/storage/inspect-verify.ts'
import type { Log } from '../../../src/storage/log.ts'
import { decodeSlotHeader } from '../../../src/storage/slot.ts'
import { openRecords } from '../../../src/wire/kafka/records.ts'
import { batchOf, TestDirectory, topic } from './test-log.ts'

const KiB = 1024
const kept = partitionId(40)
const small = { slotBytes: 128 * KiB, budgetBytes: 16 * 128 * KiB, commitMaxBytes: 16 * KiB, maxMessageBytes: 32 * KiB }

/** Nothing needs to go. */
const roomy = { ...small, budgetBytes: 64 * 128 * KiB }

/** Half of what is written stays for ever, the other half goes at once: soon the cleaner has to work. */
const cleanedLog = async (
  directory: TestDirectory,
  cleanings = 2,
  keptBytes = -1,
): Promise<{ log: Log; values: string[] }> => {
  const log = await directory.open(small)
  for (const partition of [kept, topic]) log.openPartition(partition)
  log.setRetention(topic, { ms: -1, bytes: 1, class: 'normal', readThrough: () => 0 })
  if (keptBytes >= 0) log.setRetention(kept, { ms: -1, bytes: keptBytes, class: 'normal', readThrough: () => 0 })
  const values: string[] = []
  for (let round = 0; directory.metrics.count('storageCleanings') < cleanings; round++) {
    values.push(`<${round}>${'k'.repeat(2_000)}`)
    const batches = [
      { partition: kept, batch: batchOf([values.at(-1)!]) },
      { partition: topic, batch: batchOf(['t'.repeat(20_000)]) },
    ]
    for (let done = false; !done; ) {
      try {
        await log.whenDurable(log.append(batches).group)
        done = true
      } catch (error) {
        if (!(error instanceof BrokerError) || !['spaceAwaited', 'storageFull'].includes(error.kind)) throw error
        await new Promise(resolve => setTimeout(resolve, 5))
      }
    }
  }
  return { log, values }
}

const valuesOf = async (log: Log): Promise<(string | undefined)[]> => {
  const { logStart, highWatermark } = log.offsets(kept)
  expect(logStart).toBe(0)
  const values: (string | undefined)[] = []
  for (let offset = 0; offset < highWatermark; ) {
    const { batches, nextOffset } = await log.read(kept, offset, 64 * KiB, highWatermark)
    for (const batch of batches) {
      const cursor = openRecords(batch)
      while (cursor.next()) values[cursor.offset] = cursor.value()!.toString()
    }
    offset = nextOffset
  }
  return values
}

const coldSlots = ({ directory }: TestDirectory) =>
  readdirSync(join(directory, 'log')).flatMap(name => {
    const path = join(directory, 'log', name)
    const bytes = readFileSync(path)
    return decodeSlotHeader(bytes)?.kind === 'cold' ? [{ path, bytes }] : []
  })

const sequenceOf = (slot: Buffer): number => decodeSlotHeader(slot)!.sequence

const verify = (directory: TestDirectory) =>
  verifyDirectory({ files: nodeFiles, clock: nodeClock }, directory.directory)

describe('cold segments', () => {
  it('are read like any other, live, after a restart, and without any index', async () => {
    const directory = new TestDirectory()
    const { log, values } = await cleanedLog(directory)
    expect(await valuesOf(log)).toEqual(values)
    expect(coldSlots(directory).length).toBeGreaterThan(0)
    await log.close()
    expect(isSound(await verify(directory))).toBe(true)
    const again = await directory.open(roomy)
    expect(await valuesOf(again)).toEqual(values)
    await again.close()
    directory.checkpoints.values.clear()
    for (const { path, bytes } of coldSlots(directory)) writeFileSync(path, bytes.fill(0, bytes.length - 64))
    const scanned = await directory.open(roomy)
    expect(await valuesOf(scanned)).toEqual(values)
    expect(scanned.gaps().filter(({ reason }) => reason === 'damage')).toEqual([])
    await scanned.close()
  })

  it('are cleaned themselves, again and again: what is left is dense', async () => {
    const directory = new TestDirectory()
    const { log, values } = await cleanedLog(directory, 25, 400 * KiB)
    const { logStart, highWatermark } = log.offsets(kept)
    expect(logStart).toBeGreaterThan(0)
    let expected = logStart
    for (let offset = logStart; offset < highWatermark; ) {
      const { batches, nextOffset } = await log.read(kept, offset, 64 * KiB, highWatermark)
      for (const batch of batches) {
        const cursor = openRecords(batch)
        while (cursor.next())
          expect([cursor.offset, cursor.value()?.toString()]).toEqual([expected, values[expected++]])
      }
      offset = nextOffset
    }
    expect(expected).toBe(highWatermark)
    await log.close()
  })

  it.each([['kept'], ['lost']])('outlive a damaged slot header; checkpoint %s', async checkpoint => {
    const directory = new TestDirectory()
    const { log, values } = await cleanedLog(directory)
    await log.close()
    if (checkpoint === 'lost') directory.checkpoints.values.clear()
    for (const { path, bytes } of coldSlots(directory)) {
      bytes[30]! ^= 1
      writeFileSync(path, bytes)
    }
    const again = await directory.open(roomy)
    expect(await valuesOf(again)).toEqual(values)
    expect(again.gaps().filter(({ reason }) => reason === 'damage')).toEqual([])
    await again.close()
    expect(isSound(await verify(directory))).toBe(true)
  })

  it.each([['batch'], ['frame header']])('lose with a damaged %s only its records, as a gap', async what => {
    const directory = new TestDirectory()
    const { log, values } = await cleanedLog(directory)
    await log.close()
    const holding = coldSlots(directory).filter(({ bytes }) => bytes.includes(values[3]!.slice(0, 50)))
    // a copy of a copy counts, where the old one is still there
    const { path, bytes } = holding.sort((one, other) => sequenceOf(other.bytes) - sequenceOf(one.bytes))[0]!
    const at = bytes.indexOf(values[3]!.slice(0, 50))
    // frame and batch header stand in front of the first record
    bytes[what === 'batch' ? at + 20 : at - 90]! ^= 4
    writeFileSync(path, bytes)
    const report = await verify(directory)
    expect(report.damages.map(({ cause }) => cause)).toEqual([what === 'batch' ? 'batch' : 'frameHeader'])
    const again = await directory.open(roomy)
    const found = await valuesOf(again)
    expect(found[3]).toBeUndefined()
    expect(values.map((value, index) => (index === 3 ? undefined : value))).toEqual(found)
    await again.whenDurable(again.openGroup)
    expect(again.gaps().filter(({ partition }) => partition === kept)).toMatchObject([
      { first: 3, last: 3, reason: 'damage' },
    ])
    await again.close()
  })

  it('that were never published are free slots', async () => {
    const directory = new TestDirectory()
    const { log, values } = await cleanedLog(directory)
    await log.close()
    const [{ bytes }] = coldSlots(directory) as unknown as [{ bytes: Buffer }]
    // another cold segment: what a crash leaves that came before its record
    const other = Buffer.from(bytes)
    const { encodeSlotHeader } = await import('../../../src/storage/slot.ts')
    encodeSlotHeader({ ...decodeSlotHeader(bytes)!, sequence: 999, salt: 5n }).copy(other)
    writeFileSync(join(directory.directory, 'log', '0099.slot'), other)
    const again = await directory.open(roomy)
    expect(await valuesOf(again)).toEqual(values)
    expect(again.gaps().filter(({ reason }) => reason === 'damage')).toEqual([])
    await again.close()
    const state = readFileSync(join(directory.directory, 'log', '0099.slot'))
    expect(decodeSlotHeader(state)?.kind).not.toBe('cold')
  })
})

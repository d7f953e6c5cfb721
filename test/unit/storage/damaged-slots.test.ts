import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import type { Log } from '../../../src/storage/log.ts'
import { appendWhenRoom, batchOf, MiB, TestDirectory, topic } from './test-log.ts'

const budgetBytes = 40 * MiB
const options = { budgetBytes }
const logOf = (directory: TestDirectory): string => join(directory.directory, 'log')
const quarantined = (directory: TestDirectory): string[] =>
  readdirSync(logOf(directory)).filter(name => !name.endsWith('.slot'))

const append = async (log: Log, value: string): Promise<void> => {
  const { group } = await appendWhenRoom(log, [{ partition: topic, batch: batchOf([value.padEnd(200_000, '.')]) }])
  await log.whenDurable(group)
}

const opened = async (directory: TestDirectory): Promise<Log> => {
  const log = await directory.open(options)
  log.openPartition(topic)
  return log
}

/** Appends `values`, with a bit of each flipped on the device as soon as it is in a slot that is not written any more. */
const appendDamaged = async (directory: TestDirectory, log: Log, values: readonly string[]): Promise<void> => {
  for (const value of values) {
    await append(log, value)
    for (let count = 0; count < 25; count++) await append(log, 'filling')
    expect(flip(directory, value)).toBe(true)
    const { logStart, highWatermark } = log.offsets(topic)
    let offset = logStart
    while (offset < highWatermark) offset = (await log.read(topic, offset, 4 * MiB, highWatermark)).nextOffset
  }
}

const flip = (directory: TestDirectory, value: string): boolean => {
  for (const name of readdirSync(logOf(directory))) {
    const path = join(logOf(directory), name)
    const bytes = readFileSync(path)
    const at = name.endsWith('.slot') ? bytes.indexOf(value) : -1
    if (at < 0) continue
    bytes[at + 1000]! ^= 1
    writeFileSync(path, bytes)
    return true
  }
  return false
}

const holds = (directory: TestDirectory, name: string, value: string): boolean =>
  readFileSync(join(logOf(directory), name)).includes(value)

/** Goes round the log once, so that all that is in it is evicted. */
const lap = async (log: Log): Promise<void> => {
  for (let bytes = 0; bytes < 1.3 * budgetBytes; bytes += 200_000) await append(log, 'lap')
}

const sizeOnDisk = (directory: TestDirectory): number =>
  readdirSync(logOf(directory)).reduce((sum, name) => sum + statSync(join(logOf(directory), name)).size, 0)

describe('a slot in which damage was found', () => {
  it('is kept aside as it was once its records have gone; two at most, the oldest goes first, all within the budget', async () => {
    const directory = new TestDirectory()
    const log = await opened(directory)
    await append(log, 'before')
    await appendDamaged(directory, log, ['first-'])
    expect(quarantined(directory)).toEqual([])
    await lap(log)
    const [first, ...others] = quarantined(directory)
    expect(others).toEqual([])
    expect(holds(directory, first!, 'first-')).toBe(true)

    for (const value of ['second-', 'third-']) {
      await appendDamaged(directory, log, [value])
      await lap(log)
    }
    const kept = quarantined(directory)
    expect(
      kept.map(name => ['first-', 'second-', 'third-'].filter(value => holds(directory, name, value))).sort(),
    ).toEqual([['second-'], ['third-']])
    expect(sizeOnDisk(directory)).toBeLessThanOrEqual(budgetBytes)
    expect(directory.metrics.count('storageQuarantined')).toBe(3)
    expect(directory.metrics.count('storageQuarantineDropped')).toBe(1)
    await log.close()
  })

  it('is kept aside also when an earlier start found it; what is there is found again, and goes when the budget shrinks', async () => {
    const directory = new TestDirectory()
    const log = await opened(directory)
    await append(log, 'before')
    await appendDamaged(directory, log, ['first-'])
    await log.close()
    const again = await opened(directory)
    await lap(again)
    expect(quarantined(directory)).toHaveLength(1)
    directory.crash()
    const third = await opened(directory)
    expect(quarantined(directory)).toHaveLength(1)
    await lap(third)
    expect(sizeOnDisk(directory)).toBeLessThanOrEqual(budgetBytes)
    third.budget.resize(32 * MiB)
    await expect.poll(() => quarantined(directory)).toEqual([])
    await third.close()
  })

  it('is used again where it cannot be kept', async () => {
    const directory = new TestDirectory()
    const files = {
      ...nodeFiles,
      rename: () => Promise.reject(Object.assign(new Error('no room'), { code: 'ENOSPC' })),
    }
    const log = await directory.open(options, { files })
    log.openPartition(topic)
    await append(log, 'before')
    await appendDamaged(directory, log, ['first-'])
    await lap(log)
    expect(quarantined(directory)).toEqual([])
    await lap(log)
    expect(sizeOnDisk(directory)).toBeLessThanOrEqual(budgetBytes)
    await log.close()
  })

  it('whose header nobody can tell is kept aside by the start', async () => {
    const directory = new TestDirectory()
    const log = await opened(directory)
    await append(log, 'before')
    await log.close()
    writeFileSync(join(logOf(directory), '0005.slot'), Buffer.alloc(4 * MiB, 'noise'))
    const again = await opened(directory)
    const [name] = quarantined(directory)
    expect(holds(directory, name!, 'noisenoise')).toBe(true)
    await lap(again)
    await again.close()
  })
})

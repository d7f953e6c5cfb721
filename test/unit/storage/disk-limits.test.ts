import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Files } from '../../../src/platform/files.ts'
import type { Logger } from '../../../src/platform/logger.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { decodeTrailer } from '../../../src/storage/footer.ts'
import type { Appended, Compaction, Log } from '../../../src/storage/log.ts'
import { baseOffsetOf } from '../../../src/wire/kafka/record-batch.ts'
import { appendWhenRoom, batchOf, MiB, silentLogger, TestDirectory, topic } from './test-log.ts'

const slotBytes = 4 * MiB
const large = batchOf(['x'.repeat(200_000)])

const fill = async (log: Log, batches: number): Promise<void> => {
  for (let index = 0; index < batches; index++) {
    await log.whenDurable((await appendLarge(log)).group)
  }
}

const appendLarge = (log: Log): Promise<Appended> => appendWhenRoom(log, [{ partition: topic, batch: large }])

const compactOnly: Compaction = {
  minDirtyRatio: 0.5,
  minDirtyBytes: 0,
  minLagMs: 0,
  maxLagMs: Number.POSITIVE_INFINITY,
  deleteRetentionMs: 0,
  alsoDeletes: false,
}

const eventually = async (done: () => boolean): Promise<void> => {
  while (!done()) await new Promise(resolve => setTimeout(resolve, 5))
}

const slotFiles = (directory: TestDirectory): string[] => readdirSync(join(directory.directory, 'log'))

const firstAndLast = async (log: Log): Promise<number[]> => {
  const { logStart, highWatermark } = log.offsets(topic)
  const first = await log.read(topic, logStart, 1, highWatermark)
  const last = await log.read(topic, highWatermark - 1, 1, highWatermark)
  return [...first.batches, ...last.batches].map(batch => baseOffsetOf(batch))
}

/** A logger that keeps what it is told. */
const keeping = (lines: string[]): Logger => {
  const keep = (fields: object, event: string): void => {
    lines.push(`${event} ${JSON.stringify(fields)}`)
  }
  const logger: Logger = { ...silentLogger, warn: keep, error: keep, info: keep, child: () => logger }
  return logger
}

/** Files of a device on which `allows` says whether a write finds space. */
const limited = (allows: (path: string, position: number) => boolean): Files => {
  const full = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  return {
    ...nodeFiles,
    replaceSmall: async (path, content) => {
      if (!allows(`${path}.new`, 0)) throw full()
      await nodeFiles.replaceSmall(path, content)
    },
    open: async (path, options) => {
      const file = await nodeFiles.open(path, options)
      return {
        path: file.path,
        size: () => file.size(),
        read: (target, position) => file.read(target, position),
        write: async (source, position) => {
          if (!allows(path, position)) throw full()
          await file.write(source, position)
        },
        sync: () => file.sync(),
        close: () => file.close(),
      }
    },
  }
}

describe('budget', () => {
  it('that shrinks takes the oldest away, deletes slots, and goes on; raised again it gets new ones', async () => {
    const directory = new TestDirectory()
    const wide = await directory.open({ budgetBytes: 24 * slotBytes })
    wide.openPartition(topic)
    await fill(wide, 20 * 16)
    const { highWatermark } = wide.offsets(topic)
    await wide.close()
    expect(slotFiles(directory).length).toBeGreaterThan(16)

    const narrow = await directory.open({ budgetBytes: 8 * slotBytes })
    // the log start moves at once, its gap record is there when it is durable
    const isSettled = () => narrow.gaps().at(-1)?.last === narrow.offsets(topic).logStart - 1
    await eventually(() => slotFiles(directory).length <= 8 && isSettled())
    expect(narrow.offsets(topic).highWatermark).toBe(highWatermark)
    const { logStart } = narrow.offsets(topic)
    expect(narrow.gaps()).toMatchObject([{ partition: topic, first: 0, last: logStart - 1, reason: 'budget' }])
    expect(await firstAndLast(narrow)).toEqual([logStart, highWatermark - 1])
    await fill(narrow, 10)
    await narrow.close()

    const again = await directory.open({ budgetBytes: 24 * slotBytes, reserve: true })
    await eventually(() => slotFiles(directory).length === 24)
    expect(await firstAndLast(again)).toEqual([again.offsets(topic).logStart, highWatermark + 9])
    await again.close()
  })

  it('changes while the log runs, under load', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ budgetBytes: 24 * slotBytes })
    log.openPartition(topic)
    await fill(log, 20 * 16)
    expect(slotFiles(directory).length).toBeGreaterThan(16)
    const filling = fill(log, 100)
    log.budget.resize(8 * slotBytes)
    await filling
    await eventually(() => slotFiles(directory).length <= 8)
    expect(log.diskUsage()).toMatchObject({ budgetBytes: 8 * slotBytes })
    const { highWatermark, logStart } = log.offsets(topic)
    expect(highWatermark).toBe(420)
    expect(await firstAndLast(log)).toEqual([logStart, 419])
    log.budget.resize(16 * slotBytes)
    await fill(log, 20 * 16)
    await eventually(() => slotFiles(directory).length > 12)
    expect(slotFiles(directory).length).toBeLessThanOrEqual(16)
    await log.close()
  })

  it('that shrinks deletes slots that were prepared ahead', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ budgetBytes: 24 * slotBytes, reserve: true })
    await eventually(() => slotFiles(directory).length === 24)
    log.budget.resize(8 * slotBytes)
    await eventually(() => slotFiles(directory).length === 8)
    log.openPartition(topic)
    await fill(log, 8 * 16)
    expect(slotFiles(directory).length).toBe(8)
    await log.close()
  })

  it('has a least: what must not go, the reserve and room to work', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ budgetBytes: 24 * slotBytes })
    expect(log.budget.least).toMatchObject({ budgetBytes: 8 * slotBytes + 8 * MiB })
    log.openPartition(topic)
    await fill(log, 10 * 16)
    expect(log.budget.least).toMatchObject({ budgetBytes: 8 * slotBytes + 8 * MiB })
    log.setCompaction(topic, compactOnly)
    const { budgetBytes, keptBytes } = log.budget.least
    expect(keptBytes).toBeGreaterThan(160 * 200_000)
    expect(budgetBytes).toBeGreaterThan(keptBytes + 6 * slotBytes)
    await log.close()
  })

  it('that does not pay for the slots of the directory is a start error with the numbers', async () => {
    const directory = new TestDirectory()
    await (await directory.open({ budgetBytes: 24 * slotBytes })).close()
    const opening = directory.open({ budgetBytes: 7 * slotBytes, viewBudgetBytes: 8 * MiB })
    await expect(opening).rejects.toMatchObject({
      exitCode: 64,
      message: expect.stringMatching(/disk\.budget=36MiB is too little .* slots of 4MiB: set at least 40MiB/),
    })
  })

  it('tells what is used of it', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ viewBudgetBytes: 8 * MiB })
    await eventually(() => directory.checkpoints.usedBytes() > 0)
    const { logBytes, viewBytes, budgetBytes, daysHeld } = log.diskUsage()
    expect(logBytes % slotBytes).toBe(0)
    expect(viewBytes).toBe(directory.checkpoints.usedBytes())
    expect(budgetBytes).toBe(40 * MiB)
    expect(daysHeld).toBeNull()
    await log.close()
  })

  it('holds as many days as the data present says', async () => {
    const directory = new TestDirectory()
    const { clock } = directory
    let extraMs = 0
    directory.clock = { ...clock, sinceBootMs: () => clock.sinceBootMs() + extraMs }
    const log = await directory.open()
    log.openPartition(topic)
    await fill(log, 10)
    // 2 MB in a day, room for 16 MiB
    extraMs = 24 * 3_600_000
    await fill(log, 1)
    expect(log.diskUsage().daysHeld).toBeGreaterThan(7)
    expect(log.diskUsage().daysHeld).toBeLessThan(8.5)
    await log.close()
  })
})

describe('full file system', () => {
  it('keeps a first start waiting, says why, and lets it go on', async () => {
    let isFull = true
    const lines: string[] = []
    const files = limited(path => !isFull || !path.endsWith('.slot'))
    const directory = new TestDirectory()
    let isReady = false
    const opening = directory.open({}, { files, logger: keeping(lines) }).then(log => {
      isReady = true
      return log
    })
    await eventually(() => lines.length > 0)
    expect(lines[0]).toMatch(/no room for a slot of the log.*ENOSPC/)
    expect(isReady).toBe(false)
    isFull = false
    const log = await opening
    log.openPartition(topic)
    await fill(log, 1)
    await log.close()
  })

  it('does not keep a log from starting again, nor from stopping', async () => {
    const directory = new TestDirectory()
    const log = await directory.open()
    log.openPartition(topic)
    await fill(log, 3)
    directory.crash()
    const again = await directory.open({}, { files: limited(path => path.endsWith('meta') || path.endsWith('.slot')) })
    expect(again.logEpoch).toBe(log.logEpoch + 1)
    await fill(again, 1)
    expect(await firstAndLast(again)).toEqual([0, 3])
    await again.close()
    const third = await directory.open()
    expect(third.logEpoch).toBe(again.logEpoch + 1)
    await third.close()
  })

  it('is an error of the system where there is no log yet; the gateway makes a start error of it', async () => {
    const directory = new TestDirectory()
    const opening = directory.open({}, { files: limited(() => false) })
    await expect(opening).rejects.toMatchObject({ code: 'ENOSPC' })
  })

  it('does not hold up a stop while a group waits for space', async () => {
    let isFull = false
    const files = limited((path, position) => !isFull || !path.endsWith('.slot') || position === 0)
    const directory = new TestDirectory()
    const log = await directory.open({}, { files })
    log.openPartition(topic)
    isFull = true
    const appended = fill(log, 100).then(
      () => 'all',
      (error: { kind: string }) => error.kind,
    )
    await eventually(() => directory.metrics.count('storageGroups') > 3)
    await new Promise(resolve => setTimeout(resolve, 300))
    await log.close()
    expect(['spaceAwaited', 'storageFull', 'storageFailed', 'shuttingDown']).toContain(await appended)
  })
})

describe('slots of a directory', () => {
  it('that are too small for the settings are a start error with the numbers', async () => {
    const directory = new TestDirectory()
    await (await directory.open()).close()
    for (const options of [
      { commitMaxBytes: 2 * MiB },
      { maxMessageBytes: 3 * MiB },
      { maxPacketBytes: 3 * MiB },
    ] as const) {
      // the budget of a directory with larger slots
      const opening = directory.open({ budgetBytes: 1024 * MiB, ...options })
      await expect(opening).rejects.toMatchObject({ exitCode: 64, message: expect.stringContaining('4MiB') })
    }
    await (await directory.open({ budgetBytes: 1024 * MiB })).close()
  })

  it('get their footer only when all of them is prepared', async () => {
    const directory = new TestDirectory()
    let isHeld = true
    const held: (() => void)[] = []
    const files: Files = {
      ...nodeFiles,
      open: async (path, options) => {
        const file = await nodeFiles.open(path, options)
        const write = async (source: Uint8Array, position: number): Promise<void> => {
          const isZeros = position >= 3 * MiB && source.every(byte => byte === 0)
          if (isHeld && isZeros) await new Promise<void>(resolve => held.push(resolve))
          await file.write(source, position)
        }
        return {
          ...file,
          path,
          size: () => file.size(),
          read: (to, at) => file.read(to, at),
          write,
          sync: () => file.sync(),
          close: () => file.close(),
        }
      },
    }
    const log = await directory.open({ commitMaxBytes: MiB, maxMessageBytes: 2 * MiB }, { files })
    log.openPartition(topic)
    const huge = batchOf(['x'.repeat(1_900_000)])
    await log.whenDurable(log.append([{ partition: topic, batch: huge }]).group)
    // does not fit behind the first, so that the slot is sealed with its last MiB unprepared
    const second = log.append([{ partition: topic, batch: huge }])
    const third = log.append([{ partition: topic, batch: huge }])
    await eventually(() => held.length > 0)
    isHeld = false
    for (const resolve of held) resolve()
    await log.whenDurable(second.group)
    await log.whenDurable(third.group)
    await log.close()
    const path = join(directory.directory, 'log', '0001.slot')
    expect(statSync(path).size).toBe(slotBytes)
    expect(decodeTrailer(readFileSync(path).subarray(-64))).toBeDefined()
  })
})

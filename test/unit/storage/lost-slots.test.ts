import { beforeAll, describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import type { Log } from '../../../src/storage/log.ts'
import { logControlPartition } from '../../../src/storage/log.ts'
import { openCommitLog } from '../../../src/storage/open-commit-log.ts'
import { decodeSlotHeader } from '../../../src/storage/slot.ts'
import { openRecords } from '../../../src/wire/kafka/records.ts'
import { LogModel } from '../../support/sim/log-model.ts'
import { LogRun, tinyLog } from '../../support/sim/log-run.ts'
import { SimMachine } from '../../support/sim/machine.ts'
import { SimRandom } from '../../support/sim/random.ts'
import { reportHistory } from '../../support/sim/report.ts'
import { batchOf } from './test-log.ts'

// whatever happens to whole slots: the log opens, shows nothing false, says what is missing, and goes on

const directory = '/data'
const slotsDirectory = `${directory}/log`
const KiB = 1024
const budgetBytes = 24 * 64 * KiB

/** The partitions in which the run has keys. */
const isCompacted = (partition: number): boolean => partition === 1 || partition === 36

/** Record values by partition and offset. */
type Content = Map<number, Map<number, string | null>>

/** Slot files whose inode is damaged. */
const unopenable = new WeakMap<SimMachine, string>()

const openLog = async (machine: SimMachine): Promise<Log> => {
  const { files } = machine.platform
  const open: typeof files.open = async (path, options) => {
    if (path === unopenable.get(machine)) throw Object.assign(new Error(`EIO: ${path}`), { code: 'EIO' })
    return files.open(path, options)
  }
  const platform = { ...machine.platform, files: { ...files, open } }
  const checkpoints = await platform.openCheckpointStore(`${directory}/views`, KiB * KiB)
  return openCommitLog({ ...platform, checkpoints }, tinyLog({ budgetBytes }))
}

const contentOf = async (log: Log): Promise<Content> => {
  const content: Content = new Map()
  for (const partition of log.partitions()) {
    if (partition === logControlPartition) continue
    const records = new Map<number, string | null>()
    content.set(partition, records)
    const { logStart, highWatermark } = log.offsets(partition)
    for (let offset = logStart; offset < highWatermark; ) {
      const { batches, nextOffset } = await log.read(partition, offset, 16 * KiB, highWatermark)
      expect(nextOffset, `a read of ${partition} at ${offset} gets on`).toBeGreaterThan(offset)
      for (const batch of batches) {
        const cursor = openRecords(batch)
        while (cursor.next())
          if (cursor.offset >= logStart) records.set(cursor.offset, cursor.value()?.toString() ?? null)
      }
      offset = nextOffset
    }
  }
  await log.whenDurable(log.openGroup)
  return content
}

/** A log with sealed, cold and active segments that was stopped, and what it shows. */
const filled = async (seed: number): Promise<{ machine: SimMachine; content: Content }> => {
  const machine = new SimMachine(seed)
  const run = new LogRun(machine, new LogModel(), seed, { budgetBytes }, { removes: true, compacts: true })
  await machine.clock.run(
    (async () => {
      for (let start = 0; start < 2; start++) {
        await run.open()
        await run.steps(220)
        await run.close()
      }
    })(),
  )
  machine.crash('power')
  const copy = machine.fork(seed)
  copy.crash('power')
  let content: Content = new Map()
  await copy.clock.run(
    (async () => {
      content = await contentOf(await openLog(copy))
    })(),
  )
  copy.clock.crash()
  return { machine, content }
}

const kindOf = (machine: SimMachine, name: string): string => {
  const bytes = machine.disk.content(`${slotsDirectory}/${name}`)
  return decodeSlotHeader(bytes.subarray(0, 4096))?.kind ?? 'unreadable'
}

const rewritten = (machine: SimMachine, name: string, change: (bytes: Buffer) => Buffer): void => {
  const path = `${slotsDirectory}/${name}`
  machine.disk.replace(path, change(Buffer.from(machine.disk.content(path))))
}

const random = new SimRandom(11)

const damages: Record<string, (machine: SimMachine, name: string) => void> = {
  deleted: (machine, name) => machine.disk.remove(`${slotsDirectory}/${name}`),
  'cut to nothing': (machine, name) => rewritten(machine, name, () => Buffer.alloc(0)),
  'cut within its header': (machine, name) => rewritten(machine, name, bytes => bytes.subarray(0, 2000)),
  'cut within a block': (machine, name) => rewritten(machine, name, bytes => bytes.subarray(0, 20_001)),
  'cut to half': (machine, name) => rewritten(machine, name, bytes => bytes.subarray(0, bytes.length / 2)),
  'of zeros': (machine, name) => rewritten(machine, name, bytes => Buffer.alloc(bytes.length)),
  'of zeros behind its header': (machine, name) => rewritten(machine, name, bytes => bytes.fill(0, 4096)),
  'of random bytes': (machine, name) => rewritten(machine, name, bytes => random.bytes(bytes.length)),
  'of random bytes in its middle': (machine, name) =>
    rewritten(machine, name, bytes =>
      Buffer.concat([bytes.subarray(0, 9000), random.bytes(20_000), bytes.subarray(29_000)]),
    ),
  'longer than a slot': (machine, name) =>
    rewritten(machine, name, bytes => Buffer.concat([bytes, random.bytes(5000)])),
  'that cannot be read': (machine, name) =>
    machine.disk.faults.push({ path: `${slotsDirectory}/${name}`, operation: 'read', code: 'EIO' }),
  'that cannot be opened': (machine, name) => void unopenable.set(machine, `${slotsDirectory}/${name}`),
  'with the header of another slot': (machine, name) => {
    const other = machine.disk.list(slotsDirectory).find(each => each !== name && kindOf(machine, each) === 'hot')!
    const header = machine.disk.content(`${slotsDirectory}/${other}`).subarray(0, 4096)
    rewritten(machine, name, bytes => Buffer.concat([header, bytes.subarray(4096)]))
  },
  'with the bytes of another slot': (machine, name) => {
    const other = machine.disk.list(slotsDirectory).find(each => each !== name && kindOf(machine, each) === 'hot')!
    rewritten(machine, name, () => Buffer.from(machine.disk.content(`${slotsDirectory}/${other}`)))
  },
}

describe.each([
  ['with its checkpoint', true],
  ['without a checkpoint', false],
])('a log %s', (_, hasCheckpoint) => {
  let machine: SimMachine
  let content: Content
  beforeAll(async () => {
    ;({ machine, content } = await filled(Number(process.env['SEED'] ?? 3)))
    const kinds = machine.disk.list(slotsDirectory).map(name => kindOf(machine, name))
    expect(kinds.filter(kind => kind === 'hot').length).toBeGreaterThan(2)
    expect(kinds).toContain('cold')
  })

  /** Opens the log and compares it with what it was before. */
  const check = async (copy: SimMachine, what: string): Promise<void> => {
    const log = await openLog(copy)
    const found = await contentOf(log)
    const isGap = (partition: number, offset: number): boolean =>
      log.gaps().some(gap => gap.partition === partition && gap.first <= offset && gap.last >= offset)
    for (const [partition, records] of content) {
      const shown = found.get(partition) ?? new Map<number, string | null>()
      for (const [offset, value] of shown) {
        if (records.has(offset)) expect(value, `${what}: ${partition} ${offset}`).toBe(records.get(offset))
        // deleted records may come back where the record of the deletion is lost, and the checkpoint with it; those that compaction took where the
        // copy without them is lost and the original is not
        else expect(hasCheckpoint && !isCompacted(partition), `${what}: ${partition} ${offset} was deleted`).toBe(false)
      }
      const missing = [...records.keys()].filter(offset => !shown.has(offset) && !isGap(partition, offset))
      if (hasCheckpoint) expect(missing, `${what}: partition ${partition}, gone without a word`).toEqual([])
      log.openPartition(partitionId(partition))
      const { logEnd } = log.offsets(partitionId(partition))
      if (hasCheckpoint) expect(logEnd, what).toBeGreaterThanOrEqual(Math.max(-1, ...records.keys()) + 1)
      const { baseOffsets, group } = log.append([{ partition: partitionId(partition), batch: batchOf(['new']) }])
      expect(baseOffsets[0]).toBe(logEnd)
      await log.whenDurable(group)
    }
    await log.close()
    const again = await openLog(copy)
    const last = await contentOf(again)
    for (const partition of content.keys()) {
      const before = [...(found.get(partition) ?? [])].filter(
        ([offset]) => offset >= again.offsets(partitionId(partition)).logStart,
      )
      expect([...last.get(partition)!.values()], `${what}: after another start`).toEqual([
        ...before.map(([, value]) => value),
        'new',
      ])
    }
    await again.close()
  }

  /** Of the free ones one is enough. */
  const victims = (): string[] => {
    const names = machine.disk.list(slotsDirectory)
    const free = names.filter(name => kindOf(machine, name) === 'free')
    return names.filter(name => !free.slice(1).includes(name))
  }

  const checkCopy = async (what: string, change: (copy: SimMachine) => void): Promise<void> => {
    const copy = machine.fork(1)
    copy.disk.note(what)
    change(copy)
    copy.crash('power')
    if (!hasCheckpoint) copy.dropCheckpoints()
    await reportHistory(copy, () => copy.clock.run(check(copy, what)))
    copy.clock.crash()
  }

  it.each(Object.keys(damages))('opens with any slot %s', { timeout: 60_000 }, async damage => {
    for (const name of victims()) {
      await checkCopy(`${kindOf(machine, name)} ${name} ${damage}`, copy => damages[damage]!(copy, name))
    }
  })

  it('opens with all slots deleted', () =>
    checkCopy('all slots deleted', copy => {
      for (const name of copy.disk.list(slotsDirectory)) copy.disk.remove(`${slotsDirectory}/${name}`)
    }))
})

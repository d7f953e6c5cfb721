import { afterEach, describe, expect, it } from 'vitest'
import { type PartitionId, partitionId } from '../../../src/core/brand.ts'
import type { CommitWriter, OpenCommitWriter } from '../../../src/platform/commit-writer.ts'
import { openThreadedCommitWriter } from '../../../src/platform/node/commit-writer.ts'
import { firstTopicPartitionId, type Log } from '../../../src/storage/log.ts'
import { openCommitLog } from '../../../src/storage/open-commit-log.ts'
import { openRecords } from '../../../src/wire/kafka/records.ts'
import { tinyLog } from '../../support/sim/log-run.ts'
import { SimMachine } from '../../support/sim/machine.ts'
import { appendWhenRoom, batchOf, MiB, TestDirectory } from './test-log.ts'

const relaxed = partitionId(firstTopicPartitionId)
const committed = partitionId(firstTopicPartitionId + 1)
/** Longer than a test. */
const neverMs = 3_600_000

/** What the log asks of the device; syncs of their own wait or fail on command. */
class WatchedWriter {
  readonly calls: string[] = []
  syncGate: Promise<void> = Promise.resolve()
  failsSync = false

  readonly open: OpenCommitWriter = (count, bytes) => {
    const writer = openThreadedCommitWriter(count, bytes)
    const watched: CommitWriter = {
      arenas: writer.arenas,
      write: (...stretch) => this.#call('write', () => writer.write(...stretch)),
      handOver: (...stretch) => this.#call('handOver', () => writer.handOver(...stretch)),
      sync: path =>
        this.#call('sync', async () => {
          await this.syncGate
          if (this.failsSync) throw Object.assign(new Error('EIO: on command'), { code: 'EIO' })
          await writer.sync(path)
        }),
      release: path => writer.release(path),
      close: () => writer.close(),
    }
    return watched
  }

  async #call(name: string, run: () => Promise<void>): Promise<void> {
    this.calls.push(name)
    await run()
  }
}

let directory: TestDirectory
let writer: WatchedWriter
let log: Log

const open = async (options: Parameters<TestDirectory['open']>[0] = {}): Promise<void> => {
  writer = new WatchedWriter()
  log = await directory.open({ relaxedSyncMs: neverMs, ...options }, { openCommitWriter: writer.open })
  for (const partition of [relaxed, committed]) log.openPartition(partition)
  log.setDurability(relaxed, 'relaxed')
  writer.calls.length = 0
}

const start = async (options: Parameters<TestDirectory['open']>[0] = {}): Promise<void> => {
  directory = new TestDirectory()
  await open(options)
}

const append = (partition: PartitionId, value: string) => log.append([{ partition, batch: batchOf([value]) }]).group
const acked = async (partition: PartitionId, value: string): Promise<void> => log.whenAckable(append(partition, value))

/** What readers see. */
const valuesOf = async (partition: PartitionId): Promise<string[]> => {
  const values: string[] = []
  let { logStart: offset, highWatermark } = log.offsets(partition)
  while (offset < highWatermark) {
    const { batches, nextOffset } = await log.read(partition, offset, MiB, highWatermark)
    for (const batch of batches) {
      const cursor = openRecords(batch)
      while (cursor.next()) values.push(cursor.value()!.toString())
    }
    offset = nextOffset
  }
  return values
}

afterEach(() => log?.close())

describe('a relaxed record', () => {
  it('may be acknowledged once the kernel has it, and is shown after the sync', async () => {
    await start()
    const group = append(relaxed, 'one')
    const acks: number[] = []
    log.onAckable(number => acks.push(number))
    await log.whenAckable(group)
    expect(writer.calls).toEqual(['handOver'])
    expect([acks, log.ackableGroup, log.durableGroup]).toEqual([[group], group, group - 1])
    expect(log.offsets(relaxed)).toEqual({ logStart: 0, highWatermark: 0, logEnd: 1 })
    expect(await valuesOf(relaxed)).toEqual([])
    await acked(committed, 'two')
    expect(writer.calls).toEqual(['handOver', 'write'])
    expect(log.durableGroup).toBe(group + 1)
    expect(await valuesOf(relaxed)).toEqual(['one'])
  })

  it('is synced in time without anything else', async () => {
    await start({ relaxedSyncMs: 20 })
    await log.whenDurable(append(relaxed, 'one'))
    expect(writer.calls).toEqual(['handOver', 'sync'])
    expect(await valuesOf(relaxed)).toEqual(['one'])
    expect(log.offsets(relaxed).highWatermark).toBe(1)
  })

  it('waits for the sync with a record that is not relaxed in its group', async () => {
    await start()
    const { group } = log.append([
      { partition: relaxed, batch: batchOf(['one']) },
      { partition: committed, batch: batchOf(['two']) },
    ])
    await log.whenAckable(group)
    expect(writer.calls).toEqual(['write'])
    expect(log.durableGroup).toBe(group)
  })

  it('is as any other once its topic is not relaxed any more, or with commit.align=always', async () => {
    await start()
    log.setDurability(relaxed, 'commit')
    await acked(relaxed, 'one')
    expect(writer.calls).toEqual(['write'])
    await log.close()
    await start({ align: 'always' })
    await acked(relaxed, 'one')
    expect(writer.calls).toEqual(['write'])
  })

  it('is on the device after a clean stop, and after kill -9 in its place', async () => {
    await start()
    await acked(relaxed, 'one')
    await log.close()
    await open()
    expect(await valuesOf(relaxed)).toEqual(['one'])
    for (let index = 0; index < 50; index++) await acked(relaxed, `${index}`)
    directory.crash()
    await open()
    expect(await valuesOf(relaxed)).toEqual(['one', ...Array.from({ length: 50 }, (_, index) => `${index}`)])
  })
})

it('syncs when too much waits, and before another segment begins', async () => {
  await start({ slotBytes: 4 * MiB })
  const value = 'x'.repeat(100_000)
  // three slots
  for (let count = 0; count < 100; count++) {
    const { group } = await appendWhenRoom(log, [{ partition: relaxed, batch: batchOf([value]) }])
    await log.whenAckable(group)
  }
  expect(writer.calls.filter(call => call === 'handOver').length).toBeGreaterThan(70)
  expect(writer.calls.filter(call => call === 'write').length).toBeGreaterThanOrEqual(9)
  expect(writer.calls).toContain('sync')
  expect(log.ackableGroup - log.durableGroup).toBeLessThan(11)
  await acked(committed, 'end')
  expect((await valuesOf(relaxed)).length).toBe(100)
})

it('a sync that fails ends writing; what was acknowledged is with the kernel, and found by the next start', async () => {
  await start({ relaxedSyncMs: 20 })
  await acked(committed, 'before')
  writer.failsSync = true
  const group = append(relaxed, 'one')
  await log.whenAckable(group)
  await expect(log.whenDurable(group)).rejects.toMatchObject({ kind: 'storageFailed' })
  expect(log.writable).toBe(false)
  expect(() => append(relaxed, 'two')).toThrow('cannot be written')
  expect(await valuesOf(relaxed)).toEqual([])
  expect(await valuesOf(committed)).toEqual(['before'])
  await log.close()
  await open()
  expect(await valuesOf(relaxed)).toEqual(['one'])
})

const openSimulated = async (machine: SimMachine): Promise<Log> => {
  const { platform } = machine
  await platform.files.makeDirectory('/data')
  const checkpoints = await platform.openCheckpointStore('/data/views', MiB)
  const opened = await openCommitLog({ ...platform, checkpoints }, tinyLog())
  opened.openPartition(relaxed)
  opened.setDurability(relaxed, 'relaxed')
  return opened
}

const produce = (to: Log, value: string) => to.append([{ partition: relaxed, batch: batchOf([value]) }]).group

it('all that a failed sync left in the page cache alone is on the device after a start', async () => {
  const machine = new SimMachine(1)
  const before = await machine.clock.run(openSimulated(machine))
  // slots are prepared meanwhile
  await machine.clock.advance(10_000)
  // no two in one block
  for (const value of ['1', '2', '3']) await machine.clock.run(before.whenAckable(produce(before, value.repeat(4500))))
  machine.disk.faults.push({ path: '/data/log/', operation: 'sync', code: 'EIO', times: 1, losesPages: true })
  await expect(machine.clock.run(before.whenDurable(before.ackableGroup))).rejects.toMatchObject({
    kind: 'storageFailed',
  })
  machine.crash('kill')
  expect((await machine.clock.run(openSimulated(machine))).offsets(relaxed).highWatermark).toBe(3)
  machine.crash('power', 'lose')
  expect((await machine.clock.run(openSimulated(machine))).offsets(relaxed).highWatermark).toBe(3)
})

it('a lost end shows in the leader epochs: what comes later has another one', async () => {
  const machine = new SimMachine(1)
  const before = await machine.clock.run(openSimulated(machine))
  await machine.clock.run(before.whenDurable(produce(before, 'kept')))
  await machine.clock.run(before.whenAckable(produce(before, 'lost')))
  expect(before.offsets(relaxed)).toEqual({ logStart: 0, highWatermark: 1, logEnd: 2 })
  machine.crash('power', 'lose')
  const after = await machine.clock.run(openSimulated(machine))
  expect(after.offsets(relaxed)).toEqual({ logStart: 0, highWatermark: 1, logEnd: 1 })
  await machine.clock.run(after.whenDurable(produce(after, 'other')))
  expect(after.leaderEpochs(relaxed)).toEqual([
    { epoch: before.logEpoch, startOffset: 0 },
    { epoch: before.logEpoch + 1, startOffset: 1 },
  ])
})

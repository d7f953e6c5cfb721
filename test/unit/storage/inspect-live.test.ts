import { expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import type { Files, RandomAccessFile } from '../../../src/platform/files.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { inspectDirectory } from '../../../src/storage/inspect-directory.ts'
import { VerifyLook } from '../../../src/storage/inspect-look.ts'
import { isSound } from '../../../src/storage/inspect-report.ts'
import { verifyDirectory } from '../../../src/storage/inspect-verify.ts'
import type { Log } from '../../../src/storage/log.ts'
import { SimRandom } from '../../support/sim/random.ts'
import { appendWhenRoom, batchOf, MiB, TestDirectory, topic } from './test-log.ts'

/** `log verify` beside a log that evicts, cleans and gives its slots to others, between any two reads of the one who looks. */

const kept = partitionId(33)

/** Files that let `between` run before some of the reads behind slot headers, `times` at most. */
const disturbedFiles = (random: SimRandom, between: () => Promise<void>, times: number): Files => ({
  ...nodeFiles,
  open: async (path, options) => {
    const file = await nodeFiles.open(path, options)
    const disturbed: RandomAccessFile = {
      path,
      size: () => file.size(),
      read: async (target, position) => {
        if (position > 0 && times > 0 && random.below(2) === 0) {
          times--
          await between()
        }
        return file.read(target, position)
      },
      write: (source, position) => file.write(source, position),
      sync: () => file.sync(),
      close: () => file.close(),
    }
    return disturbed
  },
})

/** Writes two MiB: most of it is dead soon, a little in every segment stays. */
const churn = async (log: Log): Promise<void> => {
  let group = 0
  for (let index = 0; index < 10; index++) {
    await appendWhenRoom(log, [{ partition: topic, batch: batchOf(['x'.repeat(200_000)]) }])
    group = (await appendWhenRoom(log, [{ partition: kept, batch: batchOf(['y'.repeat(500)]) }])).group
  }
  await log.whenDurable(group as Parameters<Log['whenDurable']>[0])
}

it('finds no damage while slots are freed and taken between its reads, and no hole unless it says that segments went', async () => {
  const directory = new TestDirectory()
  const log = await directory.open({ slotBytes: 4 * MiB, budgetBytes: 64 * MiB })
  for (const partition of [topic, kept]) log.openPartition(partition)
  log.setRetention(topic, { ms: -1, bytes: 8 * MiB, class: 'normal', readThrough: () => 0 })
  for (let index = 0; index < 12; index++) await churn(log)
  const random = new SimRandom(1)
  let freed = 0
  for (let round = 0; round < 4 || (freed === 0 && round < 40); round++) {
    const files = disturbedFiles(random, () => churn(log), 20)
    const look = new VerifyLook({ files, clock: nodeClock }, await inspectDirectory(files, directory.directory), {})
    await look.run()
    const { damages, missing, notes } = look.report()
    expect(damages).toEqual([])
    if (!look.isDisturbed) expect(missing.filter(({ known }) => known === undefined)).toEqual([])
    freed += notes.filter(({ text }) => text.startsWith('was freed')).length
  }
  expect(freed).toBeGreaterThan(0)
  expect(directory.metrics.count('storageCleanings')).toBeGreaterThan(0)
  const files = disturbedFiles(random, () => churn(log), 20)
  expect(isSound(await verifyDirectory({ files, clock: nodeClock }, directory.directory))).toBe(true)
  await log.close()
})

import { expect, it, vi } from 'vitest'
import { Metrics } from '../../../src/core/metrics.ts'
import type { CommitWriter } from '../../../src/platform/commit-writer.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { CommitLinger } from '../../../src/storage/commit-linger.ts'
import { CommitPipeline } from '../../../src/storage/commit-pipeline.ts'
import type { GroupGatherer } from '../../../src/storage/group-gatherer.ts'
import type { LogAge } from '../../../src/storage/log-age.ts'
import type { SegmentWriter } from '../../../src/storage/segment-writer.ts'
import { UnsyncedGroups } from '../../../src/storage/unsynced-groups.ts'
import { MiB, silentLogger } from './test-log.ts'

it('takes no group once it is stopped, also when it was woken before, and says so to who waits', async () => {
  const takeNext = vi.fn(() => undefined)
  const failed = vi.fn()
  const pipeline = new CommitPipeline(
    {
      writer: {} as CommitWriter,
      clock: nodeClock,
      logger: silentLogger,
      metrics: new Metrics(),
      gatherer: { openRecords: undefined, takeNext } as unknown as GroupGatherer,
      segments: {} as SegmentWriter,
      logAge: {} as LogAge,
      linger: new CommitLinger(0),
      unsynced: new UnsyncedGroups(nodeClock, 4 * MiB, 1000),
    },
    { logId: '0'.repeat(32), logEpoch: 1, salt: 1n },
    { group: 7, crc: 0 },
    { durable: () => {}, ackable: () => {}, failed },
  )
  pipeline.pump()
  expect(takeNext).toHaveBeenCalledTimes(1)
  pipeline.wake()
  pipeline.stop()
  await new Promise(resolve => setImmediate(resolve))
  pipeline.pump()
  expect(takeNext).toHaveBeenCalledTimes(1)
  expect(failed).toHaveBeenCalledWith(expect.objectContaining({ kind: 'shuttingDown' }))
})

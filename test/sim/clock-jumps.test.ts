import { expect, it } from 'vitest'
import type { PartitionId } from '../../src/core/brand.ts'
import { sleep } from '../../src/platform/clock.ts'
import type { Log } from '../../src/storage/log.ts'
import { openRecords } from '../../src/wire/kafka/records.ts'
import { LogModel } from '../support/sim/log-model.ts'
import { LogRun } from '../support/sim/log-run.ts'
import { SimMachine } from '../support/sim/machine.ts'
import { reportHistory } from '../support/sim/report.ts'
import { seedsOf } from './seeds.ts'

const tenYearsMs = 10 * 365.25 * 24 * 3_600_000

/** All that readers see of a partition, in order; stamps apart. */
const contentOf = async (log: Log, partition: PartitionId) => {
  const { logStart, highWatermark } = log.offsets(partition)
  const records: string[] = []
  const stamps: number[] = []
  for (let offset = logStart; offset < highWatermark; ) {
    const { batches, nextOffset } = await log.read(partition, offset, 64 * 1024, highWatermark)
    for (const batch of batches) {
      const cursor = openRecords(batch)
      while (cursor.next()) {
        records.push(`${cursor.offset} ${cursor.key()?.toString('latin1')} ${cursor.value()?.toString('latin1')}`)
        stamps.push(Number(cursor.timestampMs))
      }
    }
    offset = nextOffset
  }
  return { partition, logStart, highWatermark, records, stamps }
}

/** One run of a seed; between its parts, and over its restart, the wall clock jumps by what `jumpMs` says. */
const runWith = async (seed: number, jumpMs: (part: number) => number) => {
  const machine = new SimMachine(seed)
  // seconds of log life, and few slots: retention by time, by bytes and by the budget all have something to take
  const options = { budgetBytes: 8 * 64 * 1024, retention: { ms: 20_000, bytes: 60_000 } }
  const run = new LogRun(machine, new LogModel(), seed, options, { compacts: true })
  return reportHistory(machine, async () => {
    await machine.clock.run(run.open())
    for (let part = 0; part < 24; part++) {
      await machine.clock.run(run.steps(20))
      await machine.clock.run(run.settle())
      await machine.clock.run(sleep(machine.clock, 3000))
      machine.clock.wallOffsetMs += jumpMs(part)
      if (part !== 12) continue
      await machine.clock.run(run.close())
      machine.crash('power')
      await machine.clock.run(run.open())
    }
    const { log } = run
    const partitions = run.model.partitions()
    const contents = await machine.clock.run(Promise.all(partitions.map(each => contentOf(log, each))))
    return { contents, gaps: log.gaps(), logAge: log.logAge, evicted: run.metrics.count('storageEvictedRecords') }
  })
}

it.each(seedsOf(3))('a wall clock that jumps ten years either way changes nothing but stamps: seed %i', async seed => {
  const steady = await runWith(seed, () => 0)
  const jumping = await runWith(seed, part =>
    part % 3 === 0 ? tenYearsMs : part % 3 === 1 ? -2 * tenYearsMs : tenYearsMs,
  )
  const withoutStamps = ({ contents, gaps, logAge, evicted }: typeof steady) => ({
    contents: contents.map(({ stamps: _, ...content }) => content),
    gaps,
    logAge,
    evicted,
  })
  expect(withoutStamps(jumping)).toEqual(withoutStamps(steady))
  expect(steady.evicted).toBeGreaterThan(50)
  expect(yearsIn(steady.contents)).toBe(0)
  expect(yearsIn(jumping.contents)).toBeGreaterThanOrEqual(10)
})

/** Between the oldest and the newest stamp. */
const yearsIn = (contents: readonly { readonly stamps: readonly number[] }[]): number => {
  const stamps = contents.flatMap(each => each.stamps)
  const newest = stamps.reduce((most, stamp) => Math.max(most, stamp), Number.NEGATIVE_INFINITY)
  const oldest = stamps.reduce((least, stamp) => Math.min(least, stamp), Number.POSITIVE_INFINITY)
  return Math.floor((newest - oldest) / (tenYearsMs / 10))
}

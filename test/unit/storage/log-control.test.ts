import { expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { inBatches } from '../../../src/storage/control-batches.ts'
import { Cuts } from '../../../src/storage/cuts.ts'
import { controlBatch, LogControl } from '../../../src/storage/log-control.ts'
import { parentRecords } from '../../../src/storage/parent-log.ts'

/** What one group of the smallest `commit.max.bytes` takes, besides headers. */
const smallestBytes = 63 * 1024

it('is written again in batches that the smallest group takes, and comes back from them', () => {
  const control = new LogControl(1000)
  control.apply({ kind: 'start', logEpoch: 3, incarnation: '0123456789abcdef' })
  const cuts = new Cuts('budget', 7)
  for (let partition = 32; partition < 20_032; partition++) cuts.add(partition, 2 ** 40, 0)
  control.apply({ kind: 'cuts', cuts })
  for (let partition = 32; partition < 5_032; partition++) {
    control.apply({ kind: 'logEnd', partition, offset: 2 ** 40 })
  }
  const ends = new Map(Array.from({ length: 5_000 }, (_, index) => [32 + index, index]))
  for (const record of parentRecords({ logId: 'ab'.repeat(16), lastGroup: 9 }, ends)) control.apply(record)
  control.apply({ kind: 'removed', partition: 7_000 })
  for (let partition = 32; partition < 1_032; partition++) {
    const gap = { partition: partitionId(partition), first: 0, last: 2 ** 40, reason: 'damage', logAge: 7 } as const
    control.apply({ kind: 'gap', gap })
  }
  const state = control.snapshot(
    () => true,
    () => true,
  )
  const batches = [...inBatches(control.bounds()), state].map(records => controlBatch(records, 0))
  for (const batch of batches) expect(batch.length).toBeLessThan(smallestBytes)
  const again = new LogControl(1000)
  for (const batch of batches) again.applyBatch(batch)
  expect(again).toEqual(control)
})

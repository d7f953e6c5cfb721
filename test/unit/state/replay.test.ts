import { expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { replayView } from '../../../src/state/replay.ts'
import type { View } from '../../../src/state/view.ts'
import type { Log } from '../../../src/storage/log.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { stamp } from '../../../src/wire/kafka/record-batch.ts'
import { SimRandom } from '../../support/sim/random.ts'

/** A view that is nothing but its keys and values; counts what is applied. */
const mapView = () => {
  const state = new Map<string, string>()
  const view: View = {
    name: 'map',
    partition: partitionId(5),
    apply: (key, value) => {
      applied.count++
      if (value === null) state.delete(key.toString('hex'))
      else state.set(key.toString('hex'), value.toString('hex'))
    },
    entries: () => [],
    clear: () => state.clear(),
  }
  const applied = { count: 0 }
  return { view, state, applied }
}

/** A log that gives a few batches at a time. */
const logOf = (batches: readonly { readonly base: number; readonly next: number; readonly bytes: Buffer }[]): Log =>
  ({
    read: async (_: unknown, offset: number) => {
      const first = batches.findIndex(({ next }) => next > offset)
      const chosen = batches.slice(first, first + 3)
      return { batches: chosen.map(({ bytes }) => bytes), nextOffset: chosen.at(-1)!.next }
    },
  }) as unknown as Log

it.each([1, 2, 3])('gives what applying every record in order gives, from any offset: seed %i', async seed => {
  const random = new SimRandom(seed)
  const changes: { key: Buffer; value: Buffer | null }[] = []
  const batches = []
  for (let base = 0; base < 600; ) {
    const records = Array.from({ length: random.between(1, 9) }, () => {
      // keys of any bytes, few of them
      const key = Buffer.from([random.between(0, 255) & 0x87, 0xff])
      return { key, value: random.between(0, 4) === 0 ? null : random.bytes(random.between(0, 40)) }
    })
    const bytes = encodeBatch(records.map(record => ({ timestampMs: 1, ...record })))
    stamp(bytes, base, 0)
    changes.push(...records)
    batches.push({ base, next: base + records.length, bytes })
    base += records.length
  }
  for (const from of [0, 1, 17, 100, changes.length - 1]) {
    const expected = mapView()
    for (const { key, value } of changes.slice(from)) expected.view.apply(key, value)
    const { view, state, applied } = mapView()
    const read = await replayView(logOf(batches), view, from, changes.length)
    expect([...state].sort()).toEqual([...expected.state].sort())
    expect(applied.count, 'of the records of a key only the newest').toBeLessThanOrEqual(expected.applied.count)
    expect(read).toBeGreaterThan(0)
  }
})

import { expect, it } from 'vitest'
import type { Reading } from '../../../../src/mqtt/sparkplug/edge-nodes.ts'
import { recordsOf } from '../../../../src/mqtt/sparkplug/metric-records.ts'

const count = 9_000
const metric = { name: 'a', datatype: 3, metric: { name: 'a', datatype: 3, intValue: 1 } }
const reading: Reading = {
  metrics: Array.from({ length: count }, () => metric),
  status: undefined,
  changes: [],
  isStale: false,
  rebirth: undefined,
  isFull: false,
  settle: () => undefined,
}

/** Records, and how many were made for them. */
const make = (group: string, maxBytes: number) => {
  let made = 0
  const records = recordsOf(
    reading,
    { timestampMs: 0, seq: 0, metrics: [] },
    {
      topic: { type: 'NDATA', group, edge: 'e', device: undefined },
      timestampMs: 0,
      headers: Buffer.from([0]),
      keyOf: path => {
        made++
        return path
      },
      maxBytes,
    },
  )
  return { records: records?.length, made }
}

it('a small payload under a long name does not become records of a thousand times its size', () => {
  expect(make('g', 4 << 20)).toEqual({ records: count, made: count })
  expect(make('g'.repeat(60_000), 4 << 20)).toEqual({ records: undefined, made: 35 })
})

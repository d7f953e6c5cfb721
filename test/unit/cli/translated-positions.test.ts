import { expect, it } from 'vitest'
import type { UplinkOffsets } from '../../../src/broker/uplink-summary.ts'
import { centralPositions, localPositions } from '../../../src/cli/translated-positions.ts'

const map = (partition: number, first: Record<string, number>, syncs: UplinkOffsets['syncs']): UplinkOffsets => ({
  topic: 't',
  partition,
  target: 'edge.t',
  first,
  syncs,
})
const at = (topic: string, partition: number, offset: number) => ({ topic, partition, offset })

it('partition by partition what is committed is there, and what is not is left alone', () => {
  const maps = [
    map(0, { 0: 3 }, [{ next: 10, central: { 0: 13 }, run: { partition: 0, count: 10 } }]),
    map(1, { 1: 0 }, [{ next: 5, central: { 1: 5 }, run: null }]),
    map(2, {}, []),
  ]
  const committed = [at('t', 0, 4), at('other', 1, 9), at('t', 2, 0)]
  expect(centralPositions(maps, committed)).toEqual([{ topic: 'edge.t', partition: 0, offset: 7, atMost: 7 }])
  expect(localPositions(maps, [at('edge.t', 0, 7), at('t', 1, 9)])).toEqual([
    { topic: 't', partition: 0, offset: 4, atMost: 4 },
  ])
})

it('where several partitions have sent to one, it begins at the first record that is not read of any', () => {
  const maps = [
    map(0, { 0: 0, 1: 0 }, [
      { next: 10, central: { 0: 20, 1: 30 }, run: null },
      { next: 20, central: { 0: 40, 1: 60 }, run: null },
    ]),
    map(1, { 0: 5, 1: 6 }, [{ next: 10, central: { 0: 15, 1: 16 }, run: null }]),
  ]
  expect(centralPositions(maps, [at('t', 0, 12), at('t', 1, 10)])).toEqual([
    { topic: 'edge.t', partition: 0, offset: 15, atMost: 40 },
    { topic: 'edge.t', partition: 1, offset: 16, atMost: 60 },
  ])
  // nothing is committed of partition 1: all of it is yet to be read
  expect(centralPositions(maps, [at('t', 0, 12)])).toEqual([
    { topic: 'edge.t', partition: 0, offset: 5, atMost: 40 },
    { topic: 'edge.t', partition: 1, offset: 6, atMost: 60 },
  ])
  expect(localPositions(maps, [at('edge.t', 0, 39), at('edge.t', 1, 60)])).toEqual([
    { topic: 't', partition: 0, offset: 10, atMost: 20 },
    { topic: 't', partition: 1, offset: 10, atMost: 10 },
  ])
})

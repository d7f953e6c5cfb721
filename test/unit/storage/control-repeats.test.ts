import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import type { ControlRecord } from '../../../src/storage/control-record.ts'
import { ControlRepeats } from '../../../src/storage/control-repeats.ts'
import { Cuts } from '../../../src/storage/cuts.ts'
import type { Gap } from '../../../src/storage/log.ts'

const cutsOf = (partitions: number, start: number): ControlRecord => {
  const cuts = new Cuts('budget', 7)
  for (let partition = 32; partition < 32 + partitions; partition++) cuts.add(partition, start, 3)
  return { kind: 'cuts', cuts }
}

const gapOf = (partition: number): ControlRecord => {
  const gap: Gap = { partition: partitionId(partition), first: 0, last: 4, reason: 'damage', logAge: 0 }
  return { kind: 'gap', gap }
}

const flushed = (repeats: ControlRepeats, isListed: (gap: Gap) => boolean): ControlRecord[][] => {
  const batches: ControlRecord[][] = []
  repeats.flush(isListed, records => batches.push([...records]))
  return batches
}

describe('what is written a second time', () => {
  it('names no gap that is summed already, but its log start', () => {
    const repeats = new ControlRepeats()
    repeats.add([cutsOf(2, 10), gapOf(32), gapOf(33), { kind: 'snapshot' }])
    const expected = new Cuts('budget', 7)
    expected.add(32, 10, 0)
    expected.add(33, 10, 3)
    const isListed = ({ partition }: Gap): boolean => partition === 33
    expect(flushed(repeats, isListed)).toEqual([[{ kind: 'cuts', cuts: expected }, gapOf(33)]])
    expect(flushed(repeats, isListed)).toEqual([])
  })

  it('goes in batches of bounded size; a record that is larger goes alone', () => {
    const repeats = new ControlRepeats()
    const records = [cutsOf(9000, 1), cutsOf(1000, 2), cutsOf(400, 3), cutsOf(200, 4)]
    repeats.add(records)
    expect(flushed(repeats, () => true)).toEqual([records.slice(0, 1), records.slice(1, 3), records.slice(3)])
  })

  it('stays where there is no room for it', () => {
    const repeats = new ControlRepeats()
    repeats.add([cutsOf(1, 1)])
    const refuse = (): never => {
      throw new Error('full')
    }
    expect(() => repeats.flush(() => true, refuse)).toThrow('full')
    expect(flushed(repeats, () => true)).toEqual([[cutsOf(1, 1)]])
  })
})

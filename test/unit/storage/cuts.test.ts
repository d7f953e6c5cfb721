import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { Cuts } from '../../../src/storage/cuts.ts'

const cuts = (): Cuts => {
  const made = new Cuts('budget', 7)
  made.add(16, 300, 0)
  made.add(20_000, 2 ** 40, 5)
  return made
}

describe('log starts that move up together', () => {
  it('come back from their bytes, which are those of FORMAT.md', () => {
    const bytes = cuts().encode(1)
    expect(bytes.subarray(1).toString('hex')).toBe('000000000710d80400a09c018080808080400a')
    expect(Cuts.decode(bytes, 1)).toEqual(cuts())
  })

  it('leave a gap right below the new start where something was not read', () => {
    expect(cuts().gap(0)).toBeUndefined()
    const last = 2 ** 40 - 1
    const gap = { partition: partitionId(20_000), first: last - 4, last, reason: 'budget', logAge: 7 }
    expect(cuts().gap(1)).toEqual(gap)
  })

  it('are kept without the gaps that nobody wants', () => {
    const kept = cuts().withGaps(() => false)
    expect(kept.starts).toEqual(cuts().starts)
    expect(kept.gap(1)).toBeUndefined()
    expect(cuts().withGaps(() => true)).toEqual(cuts())
  })

  it('that end in the middle are refused', () => {
    const bytes = cuts().encode(1)
    expect(() => Cuts.decode(bytes.subarray(0, bytes.length - 1), 1)).toThrow('log starts')
  })
})

import { describe, expect, it } from 'vitest'
import { murmur2, partitionOfKey } from '../../../src/core/murmur2.ts'

describe("murmur2 as Kafka's clients compute it", () => {
  // the vectors of Kafka's UtilsTest.testMurmur2
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('%s', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash)
    const around = Buffer.from(`xy${text}z`)
    expect(murmur2(around, 2, 2 + text.length)).toBe(hash)
  })

  it('chooses the partition from the hash without its sign', () => {
    expect(partitionOfKey(Buffer.from('21'), 1000)).toBe((-973932308 & 0x7fffffff) % 1000)
    expect(partitionOfKey(Buffer.from('abc'), 4)).toBe(479470107 % 4)
  })
})

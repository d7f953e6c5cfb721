import { expect, it } from 'vitest'
import { KeyOffsets } from '../../../src/storage/key-offsets.ts'

const secret = Buffer.alloc(16, 7)
const key = (index: number): Buffer => Buffer.from(`key ${index} ${'x'.repeat(index % 2000)}`)

it('knows the newest offset of many keys, whatever their order', () => {
  const keys = new KeyOffsets(1 << 20, secret)
  for (let index = 0; index < 20_000; index++) expect(keys.put(key(index), index)).toBe(true)
  for (let index = 0; index < 20_000; index += 3) keys.put(key(index), index + 100_000)
  keys.put(key(0), 5)
  expect(keys.count).toBe(20_000)
  for (let index = 0; index < 20_000; index++)
    expect(keys.get(key(index))).toBe(index % 3 === 0 ? index + 100_000 : index)
  expect(keys.get(Buffer.from('unknown'))).toBe(-1)
})

it('stays within its bytes and refuses further keys, not further offsets', () => {
  const keys = new KeyOffsets(100_000, secret)
  let taken = 0
  while (keys.put(key(taken), taken)) taken++
  expect(taken).toBe(Math.floor((100_000 / 24) * 0.7))
  expect(keys.put(key(1), 999_999)).toBe(true)
  expect(keys.get(key(1))).toBe(999_999)
  expect(keys.get(key(taken))).toBe(-1)
})

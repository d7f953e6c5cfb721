import { expect, it } from 'vitest'
import { uuidFromRandom } from '../../../src/core/uuid.ts'

it('is version 4 whatever the random bytes', () => {
  expect(uuidFromRandom(Buffer.alloc(16))).toBe('00000000000040008000000000000000')
  expect(uuidFromRandom(Buffer.alloc(16, 0xff))).toBe('ffffffffffff4fffbfffffffffffffff')
})

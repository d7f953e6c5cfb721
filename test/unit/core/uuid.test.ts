import { describe, expect, it } from 'vitest'
import { isUuid, uuidFromBase64, uuidFromRandom, uuidToBase64, ZERO_UUID } from '../../../src/core/uuid.ts'

describe('uuid', () => {
  it('is version 4 whatever the random bytes', () => {
    expect(uuidFromRandom(Buffer.alloc(16))).toBe('00000000000040008000000000000000')
    expect(uuidFromRandom(Buffer.alloc(16, 0xff))).toBe('ffffffffffff4fffbfffffffffffffff')
    expect(isUuid(uuidFromRandom(Buffer.alloc(16, 7)))).toBe(true)
  })

  it("goes to the text of Kafka's tools and back", () => {
    expect(uuidToBase64(ZERO_UUID)).toBe('AAAAAAAAAAAAAAAAAAAAAA')
    const uuid = uuidFromRandom(Buffer.from('00112233445566778899aabbccddeeff', 'hex'))
    expect(uuidFromBase64(uuidToBase64(uuid))).toBe(uuid)
    expect(uuidFromBase64('AAAA')).toBeUndefined()
    expect(uuidFromBase64('A!AAAAAAAAAAAAAAAAAAAA')).toBeUndefined()
  })

  it.each(['', 'A'.repeat(32), '0'.repeat(31), `${'0'.repeat(31)}g`])('%s is none', text => {
    expect(isUuid(text)).toBe(false)
  })
})

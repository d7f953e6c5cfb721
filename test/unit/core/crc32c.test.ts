import { describe, expect, it } from 'vitest'
import { crc32c } from '../../../src/core/crc32c.ts'

describe('CRC-32C', () => {
  // RFC 3720, appendix B.4 (bytes there in little-endian order), and the usual check value
  it.each([
    [Buffer.from('123456789'), 0xe3069283],
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
    [Buffer.from(Array.from({ length: 32 }, (_, index) => 31 - index)), 0x113fdb5c],
    [Buffer.alloc(0), 0],
  ])('vector %#', (bytes, checksum) => expect(crc32c(bytes)).toBe(checksum))

  it('goes on from the checksum of what came before, also in views', () => {
    const bytes = Buffer.from('..123456789..').subarray(2, 11)
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut)))).toBe(0xe3069283)
    }
  })
})

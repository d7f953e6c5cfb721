import { describe, expect, it } from 'vitest'
import { ByteWriter, REFERENCE_FROM_BYTES } from '../../../src/core/byte-writer.ts'

function hexOf(fill: (writer: ByteWriter) => void, firstBytes?: number): string {
  const writer = new ByteWriter(firstBytes)
  fill(writer)
  const length = writer.length
  const whole = Buffer.concat(writer.finish())
  expect(length).toBe(whole.length)
  return whole.toString('hex')
}

describe('ByteWriter', () => {
  it('writes big-endian', () => {
    expect(hexOf(writer => writer.int8(-1))).toBe('ff')
    expect(hexOf(writer => writer.int16(-2))).toBe('fffe')
    expect(hexOf(writer => writer.int32(-2147483648))).toBe('80000000')
    expect(hexOf(writer => writer.float64(1.5))).toBe('3ff8000000000000')
    expect(hexOf(writer => writer.int64Big(-(2n ** 63n)))).toBe('8000000000000000')
    expect(hexOf(writer => writer.text('\u00e4b', 3))).toBe('c3a462')
    expect(hexOf(writer => writer.hex('00ff'))).toBe('00ff')
  })

  it.each([0, -1, 1, 2 ** 31, 2 ** 32, -(2 ** 32), -(2 ** 32) - 1, 2 ** 53 - 1, -(2 ** 53) + 1, 1732000000000])(
    'writes %i in 64 bits as bigints do',
    value => {
      const expected = Buffer.alloc(8)
      expected.writeBigInt64BE(BigInt(value))
      expect(hexOf(writer => writer.int64(value))).toBe(expected.toString('hex'))
    },
  )

  it('grows from any size, every kind of value at the edge', () => {
    for (let firstBytes = 0; firstBytes < 60; firstBytes++) {
      const hex = hexOf(writer => {
        writer.int16(1)
        writer.float64(1.5)
        writer.int64Big(2n)
        writer.varint(-3)
        writer.unsignedVarint(300)
        writer.varlong(2 ** 40)
        writer.text('abc', 3)
        writer.bytes(Buffer.from('0405', 'hex'))
        writer.hex('a0b1')
        writer.int64(6)
      }, firstBytes)
      expect(hex).toBe('00013ff8000000000000000000000000000205ac028080808080406162630405a0b10000000000000006')
    }
  })

  it('refers to large payloads and copies small ones', () => {
    const large = Buffer.alloc(REFERENCE_FROM_BYTES, 1)
    const small = Buffer.alloc(REFERENCE_FROM_BYTES - 1, 1)
    const writer = new ByteWriter()
    writer.int32(0)
    writer.bytes(large)
    writer.bytes(small)
    writer.int8(9)
    writer.patchFirstInt32(writer.length - 4)
    const chunks = writer.finish()
    large.fill(2)
    small.fill(2)
    expect(chunks.map(chunk => chunk.length)).toEqual([4, large.length, small.length + 1])
    expect(chunks[0]!.readInt32BE(0)).toBe(large.length + small.length + 1)
    expect(chunks[1]![0]).toBe(2)
    expect(chunks[2]![0]).toBe(1)
  })
})

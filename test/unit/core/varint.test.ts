import { describe, expect, it } from 'vitest'
import { ByteReader } from '../../../src/core/byte-reader.ts'
import {
  unsignedVarintLength,
  varintLength,
  varlongLength,
  writeUnsignedVarint,
  writeVarint,
  writeVarlong,
} from '../../../src/core/varint.ts'

type Write = (buffer: Uint8Array, position: number, value: number) => number

function written(write: Write, value: number): Buffer {
  const buffer = Buffer.alloc(12, 0xee)
  return buffer.subarray(1, write(buffer, 1, value))
}

describe('signed, as in the Protocol Buffers encoding guide', () => {
  it.each([
    [0, '00'],
    [-1, '01'],
    [1, '02'],
    [-2, '03'],
    [63, '7e'],
    [64, '8001'],
    [300, 'd804'],
    [2147483647, 'feffffff0f'],
    [-2147483648, 'ffffffff0f'],
  ])('%i is %s', (value, hex) => {
    expect(written(writeVarint, value).toString('hex')).toBe(hex)
    expect(written(writeVarlong, value).toString('hex')).toBe(hex)
    expect(varintLength(value)).toBe(hex.length / 2)
    expect(varlongLength(value)).toBe(hex.length / 2)
    expect(new ByteReader(Buffer.from(hex, 'hex'), 'test').varint()).toBe(value)
    expect(new ByteReader(Buffer.from(hex, 'hex'), 'test').varlong()).toBe(value)
  })
})

describe('unsigned', () => {
  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [16383, 'ff7f'],
    [16384, '808001'],
    [268435455, 'ffffff7f'],
    [268435456, '8080808001'],
    [4294967295, 'ffffffff0f'],
  ])('%i is %s', (value, hex) => {
    expect(written(writeUnsignedVarint, value).toString('hex')).toBe(hex)
    expect(unsignedVarintLength(value)).toBe(hex.length / 2)
    expect(new ByteReader(Buffer.from(hex, 'hex'), 'test').unsignedVarint()).toBe(value)
  })
})

describe('varlong beyond 32 bits', () => {
  it.each([2 ** 31, -(2 ** 31) - 1, 2 ** 34 - 1, 2 ** 34, -(2 ** 41), 2 ** 48 + 5, 2 ** 53 - 1, -(2 ** 53) + 1])(
    '%i equals the zigzag code computed with bigints',
    value => {
      const bytes = written(writeVarlong, value)
      let code = (BigInt(value) << 1n) ^ (BigInt(value) >> 63n)
      const expected: number[] = []
      for (; code > 0x7fn; code >>= 7n) expected.push(Number(code & 0x7fn) | 0x80)
      expected.push(Number(code))
      expect([...bytes]).toEqual(expected)
      expect(varlongLength(value)).toBe(bytes.length)
      expect(new ByteReader(bytes, 'test').varlong()).toBe(value)
    },
  )
})

import { describe, expect, it } from 'vitest'
import { ByteReader, MAX_ELEMENTS } from '../../../src/core/byte-reader.ts'
import { MalformedFrame } from '../../../src/core/malformed-frame.ts'

const reader = (hex: string) => new ByteReader(Buffer.from(hex, 'hex'), 'some.path')

describe('ByteReader', () => {
  it('reads big-endian integers with their signs', () => {
    expect(reader('ff').int8()).toBe(-1)
    expect(reader('ff').uint8()).toBe(255)
    expect(reader('8000').int16()).toBe(-32768)
    expect(reader('8000').uint16()).toBe(32768)
    expect(reader('80000000').int32()).toBe(-2147483648)
    expect(reader('80000000').uint32()).toBe(2147483648)
    expect(reader('ffffffffffffffff').int64()).toBe(-1)
    expect(reader('001fffffffffffff').int64()).toBe(Number.MAX_SAFE_INTEGER)
    expect(reader('ffe0000000000001').int64()).toBe(Number.MIN_SAFE_INTEGER)
    expect(reader('7fffffffffffffff').int64Big()).toBe(2n ** 63n - 1n)
    expect(reader('3ff8000000000000').float64()).toBe(1.5)
  })

  it.each(['0020000000000000', '7fffffffffffffff', '8000000000000000', 'ffe0000000000000'])(
    'refuses the int64 %s, which no number holds exactly',
    hex => expect(() => reader(hex).int64()).toThrow(MalformedFrame),
  )

  it('says where bytes are missing', () => {
    const short = reader('0102')
    short.path = 'Fetch.request.topics[].topic'
    expect(() => short.int32()).toThrow('Fetch.request.topics[].topic: 4 bytes wanted, 2 left at byte 0')
    expect(short.position).toBe(0)
  })

  it.each(['', '80', 'ffffffff', 'ffffffffff', 'ffffffff1f', 'ffffffffff01'])('refuses the varint %s', hex => {
    expect(() => reader(hex).unsignedVarint()).toThrow(MalformedFrame)
  })

  it.each(['ffffffffffffffffff', 'ffffffffffffffffff01', 'ffffffffffffffffffff01', 'ffffffffffffff7f'])(
    'refuses the varlong %s',
    hex => expect(() => reader(hex).varlong()).toThrow(MalformedFrame),
  )

  it('slices without copying, and replaces ill-formed text', () => {
    const bytes = Buffer.from('61ff62', 'hex')
    const slice = new ByteReader(bytes, 'test').slice(2)
    bytes[0] = 0x7a
    expect(slice[0]).toBe(0x7a)
    expect(reader('61ff62').text(3)).toBe('a\ufffdb')
    expect(reader('00ff').hex(2)).toBe('00ff')
  })

  it('keeps to a narrowed end', () => {
    const narrowed = reader('01020304')
    narrowed.end = 2
    expect(narrowed.remaining).toBe(2)
    expect(() => narrowed.slice(3)).toThrow(MalformedFrame)
  })

  it('refuses counts that cannot fit, and too many in all', () => {
    expect(() => reader('0000').claimElements(3, 1)).toThrow(/cannot fit/)
    expect(() => reader('0000').claimElements(2, 2)).toThrow(/cannot fit/)
    const large = new ByteReader(Buffer.alloc(MAX_ELEMENTS), 'test')
    large.claimElements(MAX_ELEMENTS, 1)
    expect(() => large.claimElements(1, 1)).toThrow(/more than/)
  })
})

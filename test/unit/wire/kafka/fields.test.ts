import { describe, expect, it } from 'vitest'
import { ByteReader } from '../../../../src/core/byte-reader.ts'
import { ByteWriter } from '../../../../src/core/byte-writer.ts'
import { type Shape, UnencodableField } from '../../../../src/wire/kafka/field.ts'
import {
  array,
  bytes,
  float64,
  int8,
  int16,
  int32,
  int64,
  nullableArray,
  nullableBytes,
  nullableString,
  nullableStruct,
  records,
  string,
  struct,
  uint16,
  uuid,
} from '../../../../src/wire/kafka/fields.ts'
import { compileStruct } from '../../../../src/wire/kafka/struct-codec.ts'

/** Versions from 10 on are flexible here. */
function codecOf(shape: Shape, version: number) {
  return compileStruct(shape, { version, flexible: version >= 10, path: 'test' })
}

function encode(shape: Shape, version: number, value: object): string {
  const writer = new ByteWriter()
  codecOf(shape, version).write(writer, value)
  return Buffer.concat(writer.finish()).toString('hex')
}

function decode(shape: Shape, version: number, hex: string): unknown {
  const reader = new ByteReader(Buffer.from(hex, 'hex'), 'test')
  const value = codecOf(shape, version).read(reader)
  expect(reader.remaining).toBe(0)
  return value
}

describe('bytes on the wire, old and flexible', () => {
  it.each<[string, Shape, object, string, string]>([
    ['string', { a: string() }, { a: 'hi' }, '00026869', '03686900'],
    ['null string', { a: nullableString() }, { a: null }, 'ffff', '0000'],
    ['empty string', { a: nullableString() }, { a: '' }, '0000', '0100'],
    ['bytes', { a: bytes() }, { a: Buffer.from('hi') }, '000000026869', '03686900'],
    ['null bytes', { a: nullableBytes() }, { a: null }, 'ffffffff', '0000'],
    ['array', { a: array(int8()) }, { a: [1, 2] }, '000000020102', '03010200'],
    ['null array', { a: nullableArray(int8()) }, { a: null }, 'ffffffff', '0000'],
    ['struct', { a: struct({ b: int16() }) }, { a: { b: 1 } }, '0001', '00010000'],
    ['null struct', { a: nullableStruct({ b: int16() }) }, { a: null }, 'ff', 'ff00'],
    ['nullable struct', { a: nullableStruct({ b: int16() }) }, { a: { b: 1 } }, '010001', '0100010000'],
    [
      'uuid',
      { a: uuid() },
      { a: '000102030405060708090a0b0c0d0e0f' },
      '000102030405060708090a0b0c0d0e0f',
      '000102030405060708090a0b0c0d0e0f00',
    ],
    ['uint16', { a: uint16() }, { a: 65535 }, 'ffff', 'ffff00'],
    ['float64', { a: float64() }, { a: 1.5 }, '3ff8000000000000', '3ff800000000000000'],
  ])('%s', (_name, shape, value, old, flexible) => {
    expect(encode(shape, 0, value)).toBe(old)
    expect(decode(shape, 0, old)).toEqual(value)
    expect(encode(shape, 10, value)).toBe(flexible)
    expect(decode(shape, 10, flexible)).toEqual(value)
  })

  it('records of several buffers are one field', () => {
    const shape = { a: records() }
    const parts = [Buffer.from('ab'), Buffer.alloc(0), Buffer.from('c')]
    expect(encode(shape, 0, { a: parts })).toBe('00000003616263')
    expect(encode(shape, 10, { a: parts })).toBe('0461626300')
  })
})

describe('versions', () => {
  const shape = { a: int8(), b: int8({ since: 2, until: 3, default: 7 }), c: nullableString({ nullableSince: 2 }) }

  it('absent fields take their default', () => {
    expect(decode(shape, 0, '010000')).toEqual({ a: 1, b: 7, c: '' })
    expect(decode(shape, 2, '0105ffff')).toEqual({ a: 1, b: 5, c: null })
    expect(decode(shape, 4, '01ffff')).toEqual({ a: 1, b: 7, c: null })
    expect(encode(shape, 2, { a: 1, c: null })).toBe('0107ffff')
  })

  it('refuses null before it is legal, both ways', () => {
    expect(() => decode(shape, 0, '01ffff')).toThrow('test.c: null is not allowed')
    expect(() => encode(shape, 0, { a: 1, c: null })).toThrow(UnencodableField)
  })

  it('refuses a value that the version cannot carry, unless it is ignorable', () => {
    expect(() => encode(shape, 0, { a: 1, b: 5, c: '' })).toThrow('test.b: not part of version 0')
    expect(encode(shape, 0, { a: 1, b: 7, c: '' })).toBe('010000')
    expect(encode({ a: int8(), b: int8({ since: 2, ignorable: true }) }, 0, { a: 1, b: 5 })).toBe('01')
  })

  it('absent arrays and structs are not shared between values', () => {
    const composite = { a: array(int8(), { since: 2 }), b: struct({ c: array(int8()) }, { since: 2 }) }
    const first = decode(composite, 0, '') as { a: number[]; b: { c: number[] } }
    first.a.push(1)
    first.b.c.push(1)
    expect(decode(composite, 0, '')).toEqual({ a: [], b: { c: [] } })
  })
})

describe('tagged fields (KIP-482)', () => {
  const shape = {
    a: int8(),
    b: int32({ tagged: { tag: 1, since: 10 }, default: -1 }),
    c: struct({ d: int16({ default: -1 }) }, { tagged: { tag: 0, since: 11 } }),
  }

  it('are written only when they differ from the default, in the order of tags', () => {
    expect(encode(shape, 11, { a: 1 })).toBe('0100')
    expect(encode(shape, 11, { a: 1, b: -1, c: { d: -1 } })).toBe('0100')
    expect(encode(shape, 11, { a: 1, b: 2 })).toBe('01' + '01' + '010400000002')
    expect(encode(shape, 11, { a: 1, b: 2, c: { d: 3 } })).toBe('01' + '02' + '0003000300' + '010400000002')
  })

  it('are read where known, else skipped', () => {
    expect(decode(shape, 11, '01020003000300010400000002')).toEqual({ a: 1, b: 2, c: { d: 3 } })
    expect(decode(shape, 11, '01' + '01' + '0503aabbcc')).toEqual({ a: 1, b: -1, c: { d: -1 } })
    expect(decode(shape, 10, '01' + '01' + '0003000300')).toEqual({ a: 1, b: -1, c: { d: -1 } })
  })

  it.each([
    ['one longer than its size', '01' + '01' + '010300000002'],
    ['one shorter than its size', '01' + '01' + '01050000000200'],
    ['one beyond the frame', '01' + '01' + '0103'],
    ['tags out of order', '01' + '02' + '010400000002' + '0003000300'],
    ['the same tag twice', '01' + '02' + '010400000002' + '010400000002'],
  ])('refuses %s', (_name, hex) => expect(() => decode(shape, 11, hex)).toThrow(/^test/))
})

describe('hostile lengths', () => {
  const shape = { list: array(struct({ name: string(), id: int64() })) }

  it.each([
    ['int32 count', 0, '7fffffff'],
    ['negative count', 0, 'fffffffe'],
    ['null', 0, 'ffffffff'],
    ['compact count', 10, 'ffffffff0f'],
    ['count just too large for the least struct', 0, `00000002${'00'.repeat(19)}`],
    ['string beyond the frame', 0, '000000010010'],
    ['negative string', 0, `00000001fffe${'00'.repeat(20)}`],
    ['long varint', 10, 'ffffffffff01'],
  ])('%s', (_name, version, hex) => expect(() => decode(shape, version, hex)).toThrow(/test\.list/))

  it('a compact string is at most 32767 bytes', () => {
    const long = `818002${'61'.repeat(32768)}`
    expect(() => decode({ a: string() }, 10, long)).toThrow(/longer than 32767/)
    expect(() => encode({ a: string() }, 10, { a: 'a'.repeat(32768) })).toThrow(UnencodableField)
  })

  it('a presence byte is -1 or 1', () => {
    expect(() => decode({ a: nullableStruct({ b: int8() }) }, 0, '0001')).toThrow(/presence byte 0/)
  })
})

it.each([
  ['int8', { a: int8() }, 128],
  ['int16', { a: int16() }, -32769],
  ['int32', { a: int32() }, 2 ** 31],
  ['int64', { a: int64() }, 2 ** 53],
  ['int32', { a: int32() }, 0.5],
  ['uuid', { a: uuid() }, 'abc'],
  ['string', { a: string() }, 5],
  ['array', { a: array(int8()) }, 'abc'],
])('an encoder refuses what does not fit: %s', (_name, shape, value) => {
  expect(() => encode(shape as Shape, 0, { a: value })).toThrow(UnencodableField)
})

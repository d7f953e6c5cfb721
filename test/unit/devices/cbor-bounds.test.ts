import { describe, expect, test } from 'vitest'
import { isBoundedCbor } from '../../../devices/cbor-bounds.ts'
import { env } from '../../../devices/env.ts'
import { decodePayload } from '../../../devices/index.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

describe('isBoundedCbor', () => {
  test.each([
    ['small integer', '17'],
    ['uint64', '1b 0000019728c9c02a'],
    ['negative', '39 0105'],
    ['text', '63 736571'],
    ['a byte string', '42 00ff'],
    ['an empty byte string in a map', 'a1 61 62 40'],
    ['array', '83 01 02 03'],
    ['map', 'a1 63736571 01'],
    ['double', 'fb 402af5c28f5c28f6'],
    ['null', 'f6'],
  ])('accepts %s', (_name, bytes) => expect(isBoundedCbor(hex(bytes), 2)).toBe(true))

  test.each([
    ['nothing', ''],
    ['a text longer than the bytes', '65 7365'],
    ['an array of four thousand million', '9a ffffffff 00'],
    ['a map of 2^64 - 1', 'bb ffffffffffffffff 00 00'],
    ['an array that ends early', '83 01 02'],
    ['a head that ends early', '19 01'],
    ['bytes after the item', '01 01'],
    ['a tag', 'c1 01'],
    ['a byte string longer than the bytes', '42 00'],
    ['a byte string of 2^32 - 1', '5a ffffffff 00'],
    ['an indefinite byte string', '5f 41 00 ff'],
    ['an indefinite array', '9f 01 ff'],
    ['nesting past the limit', '81 81 81 01'],
  ])('refuses %s', (_name, bytes) => expect(isBoundedCbor(hex(bytes), 2)).toBe(false))
})

test('lying lengths, overlong payloads, arrays and text are refused with a reason', () => {
  for (const bytes of [
    hex('9affffffff00'),
    hex('8101'),
    Buffer.from('{"seq":'),
    Buffer.from('[1]'),
    Buffer.alloc(513),
  ]) {
    expect(decodePayload(env, bytes)).toMatchObject({ ok: false })
  }
})

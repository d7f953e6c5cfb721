import { describe, expect, it } from 'vitest'
import { crc32c } from '../../../src/core/crc32c.ts'
import { MalformedFrame } from '../../../src/core/malformed-frame.ts'
import { maxProxyHeaderBytes, parseProxyHeader } from '../../../src/wire/proxy-protocol.ts'
import { SimRandom } from '../../support/sim/random.ts'

const signature = '0d0a0d0a000d0a515549540a'
const hex = (...parts: string[]): Buffer => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex')
const length = (bytes: number): string => bytes.toString(16).padStart(4, '0')

// 203.0.113.7:51234 -> 192.0.2.10:8883
const tcp4 = hex(signature, '21 11 000c', 'cb007107 c000020a c822 22b3')
// [2001:db8::7]:51234 -> [2001:db8::a]:8883
const tcp6 = hex(
  signature,
  '21 21 0024',
  '20010db8000000000000000000000007',
  '20010db800000000000000000000000a c822 22b3',
)
const mapped = hex(
  signature,
  '21 21 0024',
  '00000000000000000000ffffcb007107',
  '00000000000000000000ffffc000020a c822 22b3',
)

/** With a checksum field after the addresses of `header`. */
const checked = (header: Buffer): Buffer => {
  const bytes = Buffer.concat([header, hex('03 0004 00000000')])
  bytes.writeUInt16BE(bytes.length - 16, 14)
  bytes.writeUInt32BE(crc32c(bytes), bytes.length - 4)
  return bytes
}

describe('golden headers', () => {
  it.each([
    ['TCP over IPv4', tcp4, '203.0.113.7', '192.0.2.10'],
    ['TCP over IPv6', tcp6, '2001:db8::7', '2001:db8::a'],
    ['IPv4 inside IPv6', mapped, '203.0.113.7', '192.0.2.10'],
    ['with a checksum', checked(tcp4), '203.0.113.7', '192.0.2.10'],
    [
      'with fields',
      hex(signature, '21 11 0014', 'cb007107 c000020a c822 22b3', '04 0000 05 0002 abcd'),
      '203.0.113.7',
      '192.0.2.10',
    ],
  ])('%s', (_, header, source, destination) => {
    const bytes = Buffer.concat([header, Buffer.from('first bytes of the client')])
    expect(parseProxyHeader(bytes)).toEqual({
      length: header.length,
      ends: { source: { host: source, port: 51234 }, destination: { host: destination, port: 8883 } },
    })
  })

  it.each([
    ['LOCAL', hex(signature, '20 00 0000')],
    ['LOCAL with addresses and fields that mean nothing', hex(signature, '20 11 0003 ffffff')],
    ['LOCAL with an unknown family', hex(signature, '20 ff 0000')],
    ['PROXY, unspecified', hex(signature, '21 00 0000')],
    ['PROXY of datagrams', hex(signature, '21 12 000c', 'cb007107 c000020a c822 22b3')],
    ['PROXY of Unix sockets', hex(signature, '21 31', length(216), '2f'.repeat(216))],
  ])('%s: the ends of the socket hold', (_, header) => {
    expect(parseProxyHeader(header)).toEqual({ length: header.length, ends: undefined })
  })

  it.each([tcp4, tcp6, checked(tcp6)])('in pieces it is not there until the last byte is (%#)', header => {
    for (let end = 0; end < header.length; end++) expect(parseProxyHeader(header.subarray(0, end))).toBeUndefined()
    expect(parseProxyHeader(header)?.length).toBe(header.length)
  })
})

describe('what is no header', () => {
  it.each([
    ['MQTT', hex('100c00044d51545404020000'), 'the signature of version 2 is missing'],
    ['TLS', hex('160301'), 'the signature of version 2 is missing'],
    [
      'version 1',
      Buffer.from('PROXY TCP4 203.0.113.7 192.0.2.10 51234 8883\r\n'),
      'the signature of version 2 is missing',
    ],
    [
      'a signature that is wrong in its last byte',
      hex(signature.slice(0, -2), '0b'),
      'the signature of version 2 is missing',
    ],
    ['another version', hex(signature, '11 11 000c'), 'version and command 0x11'],
    ['another command', hex(signature, '22 11 000c'), 'version and command 0x22'],
    ['an unknown family', hex(signature, '21 41 0000'), 'family 0x41'],
    ['an unknown transport', hex(signature, '21 13 0000'), 'family 0x13'],
    ['half an address', hex(signature, '21 11 000b', 'cb007107 c000020a c822 22'), 'ends inside the addresses'],
    ['half a field', hex(signature, '21 11 000e', 'cb007107 c000020a c822 22b3', '0400'), 'ends inside a field'],
    [
      'a field that is too long',
      hex(signature, '21 11 0010', 'cb007107 c000020a c822 22b3', '04 0002 ab'),
      'ends inside a field',
    ],
    ['a wrong checksum', hex(signature, '21 11 0013', 'cb007107 c000020a c822 22b3', '03 0004 00000001'), 'checksum'],
    ['a short checksum', hex(signature, '21 11 0011', 'cb007107 c000020a c822 22b3', '03 0002 0000'), 'checksum'],
    [
      'a length beyond the bound',
      hex(signature, '21 11', length(maxProxyHeaderBytes - 15)),
      '4097 bytes, at most 4096',
    ],
  ])('%s', (_, bytes, reason) => {
    expect(() => parseProxyHeader(bytes)).toThrow(reason)
    expect(() => parseProxyHeader(bytes)).toThrow(MalformedFrame)
  })
})

it('never does anything but parse or refuse, whatever comes', () => {
  const random = new SimRandom(20_261_121)
  let parsed = 0
  for (let run = 0; run < 20_000; run++) {
    const bytes = Buffer.from([tcp4, tcp6, checked(tcp4), checked(tcp6)][random.below(4)]!)
    for (let changes = random.below(3); changes > 0; changes--) {
      const from = random.chance(0.5) ? 12 : 0
      bytes[from + random.below(bytes.length - from)] = random.below(256)
    }
    const cut = bytes.subarray(0, random.chance(0.3) ? random.below(bytes.length + 1) : bytes.length)
    try {
      const header = parseProxyHeader(cut)
      if (header === undefined) continue
      parsed++
      expect(header.length).toBeLessThanOrEqual(cut.length)
      if (header.ends !== undefined) expect(header.ends.source.host).toMatch(/^[\d.]+$|^[\da-f:]+$/)
    } catch (error) {
      if (!(error instanceof MalformedFrame)) throw error
    }
  }
  expect(parsed).toBeGreaterThan(1000)
})

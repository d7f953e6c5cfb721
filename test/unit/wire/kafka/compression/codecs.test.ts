import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { MalformedFrame } from '../../../../../src/core/malformed-frame.ts'
import { codecId, codecName, compress, decompress } from '../../../../../src/wire/kafka/compression/codecs.ts'
import { lz4ContentBytes } from '../../../../../src/wire/kafka/compression/lz4-content.ts'
import { zstdOfNode, zstdOfWasm } from '../../../../../src/wire/kafka/compression/zstd.ts'
import { zstdFrames } from '../../../../../src/wire/kafka/compression/zstd-frames.ts'
import { dice, randomBytes } from '../random-values.ts'
import { GOLDEN, PLAIN } from './golden.ts'

const NAMES = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const LIMIT = 1 << 20

const foreign = [
  ['gzip', GOLDEN.gzip],
  ['snappy', GOLDEN.snappyRaw],
  ['snappy', GOLDEN.snappyXerial],
  ['lz4', GOLDEN.lz4],
  ['lz4', GOLDEN.lz4Checksums],
  ['zstd', GOLDEN.zstd],
  ['zstd', GOLDEN.zstdNoSize],
  ['zstd', GOLDEN.zstdTwoFrames],
] as const

describe('what other implementations compressed', () => {
  it.each(foreign)('%s %s', async (name, hex) => {
    const bytes = Buffer.from(hex, 'hex')
    expect(await decompress(codecId(name), bytes, PLAIN.length)).toEqual(PLAIN)
    await expect(decompress(codecId(name), bytes, PLAIN.length - 1)).rejects.toThrow(MalformedFrame)
    await expect(decompress(codecId(name), bytes.subarray(0, -1), LIMIT)).rejects.toThrow(MalformedFrame)
  })

  it('lz4 content is counted from its tokens', () => {
    expect(lz4ContentBytes(Buffer.from(GOLDEN.lz4Checksums, 'hex'), LIMIT)).toBe(PLAIN.length)
  })
})

describe.each(NAMES)('%s', name => {
  it('comes back as it went, also empty, random and of several blocks', async () => {
    const roll = dice(codecId(name) + 1)
    const inputs = [
      Buffer.alloc(0),
      PLAIN,
      randomBytes(5000, roll),
      Buffer.alloc(300_000, 'abcdefg'),
      randomBytes(70_000, roll),
    ]
    for (const input of inputs) {
      const compressed = await compress(name, input)
      expect((await decompress(codecId(name), compressed, input.length)).equals(input)).toBe(true)
    }
  })

  it('never yields more than the limit', async () => {
    const bomb = await compress(name, Buffer.alloc(8 << 20))
    await expect(decompress(codecId(name), bomb, 1000)).rejects.toThrow(MalformedFrame)
  })

  it('refuses damage with MalformedFrame or yields bytes within the limit', async () => {
    const roll = dice(codecId(name) + 100)
    const compressed = await compress(name, PLAIN)
    for (let run = 0; run < 200; run++) {
      const damaged = run % 4 === 0 ? randomBytes(roll(60), roll) : Buffer.from(compressed)
      if (damaged.length > 0) damaged[roll(damaged.length)] = roll(256)
      const outcome = await decompress(codecId(name), damaged, 10_000).catch((error: unknown) => error)
      if (outcome instanceof Buffer) expect(outcome.length).toBeLessThanOrEqual(10_000)
      else expect(outcome).toBeInstanceOf(MalformedFrame)
    }
  })
})

describe('zstd in WebAssembly, which older Node uses', () => {
  it.each([GOLDEN.zstd, GOLDEN.zstdNoSize, GOLDEN.zstdTwoFrames])('reads %s', async hex => {
    const bytes = Buffer.from(hex, 'hex')
    expect(await zstdOfWasm.decompress(bytes, PLAIN.length)).toEqual(PLAIN)
    await expect(async () => zstdOfWasm.decompress(bytes, PLAIN.length - 1)).rejects.toThrow()
  })

  it('bounds a frame that states no size by its blocks', () => {
    const [frame] = zstdFrames(Buffer.from(GOLDEN.zstdNoSize, 'hex'))
    expect(frame).toMatchObject({ contentBytes: undefined, mostBlockBytes: 128 * 1024 })
  })

  it.runIf(zstdOfNode !== undefined)("agrees with Node's", async () => {
    const byWasm = await zstdOfWasm.compress(PLAIN)
    expect(await zstdOfNode!.decompress(byWasm, PLAIN.length)).toEqual(PLAIN)
  })
})

it('ids 5 to 7 have no codec', async () => {
  for (const id of [5, 6, 7]) {
    expect(codecName(id)).toBeUndefined()
    await expect(decompress(id, Buffer.alloc(4), LIMIT)).rejects.toThrow(/unknown codec/)
  }
  expect(NAMES.map(codecId)).toEqual([0, 1, 2, 3, 4])
})

it('gzip of several members is one text', async () => {
  const bytes = Buffer.concat([gzipSync('ab'), gzipSync('cd')])
  expect((await decompress(1, bytes, 4)).toString()).toBe('abcd')
})

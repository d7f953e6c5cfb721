import { describe, expect, it } from 'vitest'
import { MalformedFrame } from '../../../../src/core/malformed-frame.ts'
import { FrameSplitter } from '../../../../src/wire/kafka/frames.ts'
import { dice, randomBytes } from './random-values.ts'

const LIMIT = 1 << 20

function framed(body: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

const bodies = [Buffer.from('first'), Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(300, 7)]
const stream = Buffer.concat(bodies.map(framed))

describe('FrameSplitter', () => {
  it('cuts one chunk into slices of it', () => {
    const frames = new FrameSplitter(LIMIT).push(stream)
    expect(frames).toEqual(bodies)
    expect(frames.every(frame => frame.buffer === stream.buffer)).toBe(true)
  })

  it('yields the same byte by byte', () => {
    const splitter = new FrameSplitter(LIMIT)
    const frames: Buffer[] = []
    for (const byte of stream) frames.push(...splitter.push(Buffer.from([byte])))
    expect(frames).toEqual(bodies)
    expect(splitter.bufferedBytes).toBe(0)
  })

  it('yields the same at random cuts, with chunks overwritten after use', () => {
    const roll = dice(42)
    for (let run = 0; run < 200; run++) {
      const large = randomBytes(roll(500), roll)
      const source = Buffer.concat([stream, framed(large), stream])
      const splitter = new FrameSplitter(LIMIT)
      const frames: Buffer[] = []
      for (let start = 0; start < source.length; ) {
        const end = Math.min(source.length, start + 1 + roll(400))
        const chunk = Buffer.from(source.subarray(start, end))
        for (const frame of splitter.push(chunk)) frames.push(Buffer.from(frame))
        chunk.fill(0xee)
        start = end
      }
      expect(frames).toEqual([...bodies, large, ...bodies])
    }
  })

  it('takes frames of many chunks and stays usable', () => {
    const large = Buffer.alloc(900_000, 3)
    const splitter = new FrameSplitter(LIMIT)
    const source = Buffer.concat([framed(large), framed(large)])
    const frames: Buffer[] = []
    for (let start = 0; start < source.length; start += 65_536) {
      frames.push(...splitter.push(source.subarray(start, start + 65_536)))
    }
    expect(frames.map(frame => frame.equals(large))).toEqual([true, true])
  })

  it.each([
    ['negative', 'ffffffff'],
    ['the least int32', '80000000'],
    ['one too large', '00100001'],
    ['text', '47455420'],
  ])('refuses a size that is %s, whole or byte by byte', (_name, hex) => {
    const prefix = Buffer.from(hex, 'hex')
    expect(() => new FrameSplitter(LIMIT).push(prefix)).toThrow(MalformedFrame)
    const splitter = new FrameSplitter(LIMIT)
    for (const byte of prefix.subarray(0, 3)) splitter.push(Buffer.from([byte]))
    expect(() => splitter.push(prefix.subarray(3))).toThrow(MalformedFrame)
  })

  it('takes a frame of exactly the limit', () => {
    expect(new FrameSplitter(5).push(framed(Buffer.from('12345')))).toHaveLength(1)
    expect(() => new FrameSplitter(4).push(framed(Buffer.from('12345')))).toThrow(MalformedFrame)
  })

  it('allocates by what came, not by what was announced', () => {
    const splitter = new FrameSplitter(100 << 20)
    const prefix = Buffer.alloc(4)
    prefix.writeInt32BE(100 << 20)
    splitter.push(prefix)
    splitter.push(Buffer.alloc(1000))
    expect(splitter.bufferedBytes).toBeLessThanOrEqual(64 * 1024)
    splitter.push(Buffer.alloc(100_000))
    expect(splitter.bufferedBytes).toBeLessThanOrEqual(2 * 101_004)
  })
})

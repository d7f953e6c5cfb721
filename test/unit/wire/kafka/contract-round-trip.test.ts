import { describe, expect, it } from 'vitest'
import { MalformedFrame } from '../../../../src/core/malformed-frame.ts'
import {
  type AnyApi,
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../../../src/wire/kafka/api.ts'
import * as contracts from '../../../../src/wire/kafka/contracts/index.ts'
import { type Dice, dice, randomBytes, randomStruct } from './random-values.ts'

const apis = Object.values(contracts) as readonly AnyApi[]
const cases = apis.flatMap(api => versionsOf(api).map(version => [api.name, version, api] as const))

function versionsOf(api: AnyApi): number[] {
  return Array.from({ length: api.versions[1] - api.versions[0] + 1 }, (_, index) => api.versions[0] + index)
}

function seedOf(api: AnyApi, version: number): number {
  return api.key * 1000 + version
}

function joinFrame(chunks: readonly Buffer[]): Buffer {
  const whole = Buffer.concat(chunks)
  expect(whole.readInt32BE(0)).toBe(whole.length - 4)
  return whole.subarray(4)
}

function randomRequest(api: AnyApi, version: number, roll: Dice): { frame: Buffer; body: Record<string, unknown> } {
  const body = randomStruct(api.request, version, roll)
  return { frame: joinFrame(encodeRequest(api, version, { correlationId: 7, clientId: 'client' }, body)), body }
}

function randomResponse(api: AnyApi, version: number, roll: Dice): { frame: Buffer; body: Record<string, unknown> } {
  const body = randomStruct(api.response, version, roll)
  return { frame: joinFrame(encodeResponse(api, version, 7, body)), body }
}

describe.each(cases)('%s v%i', (_name, version, api) => {
  it('comes back as it went, both directions', () => {
    const roll = dice(seedOf(api, version))
    for (let run = 0; run < 30; run++) {
      const request = randomRequest(api, version, roll)
      const decoded = decodeRequest(api, request.frame)
      expect(decoded.body).toEqual(request.body)
      expect(decoded.header).toEqual({ apiKey: api.key, apiVersion: version, correlationId: 7, clientId: 'client' })
      const response = randomResponse(api, version, roll)
      expect(decodeResponse(api, version, response.frame)).toEqual({ correlationId: 7, body: response.body })
    }
  })

  it('refuses every truncation, and bytes left over in answers', () => {
    const roll = dice(seedOf(api, version) + 1)
    const { frame } = randomRequest(api, version, roll)
    const response = randomResponse(api, version, roll).frame
    const step = Math.max(1, Math.floor(frame.length / 150))
    for (let length = 8; length < frame.length; length += step) {
      expect(() => decodeRequest(api, frame.subarray(0, length))).toThrow(MalformedFrame)
    }
    // as Kafka: some clients leave bytes after a request
    expect(decodeRequest(api, Buffer.concat([frame, Buffer.alloc(1)])).body).toEqual(decodeRequest(api, frame).body)
    expect(() => decodeResponse(api, version, response.subarray(0, -1))).toThrow(MalformedFrame)
    expect(() => decodeResponse(api, version, Buffer.concat([response, Buffer.alloc(3)]))).toThrow(/3 bytes left over/)
  })

  it('throws nothing but MalformedFrame at damaged bytes', () => {
    const roll = dice(seedOf(api, version) + 2)
    for (let run = 0; run < 60; run++) {
      const { frame } = randomRequest(api, version, roll)
      const damaged = damage(frame, roll)
      expectDecodedOrMalformed(() => decodeRequest(api, damaged))
      const response = run % 2 === 0 ? damage(randomResponse(api, version, roll).frame, roll) : randomBytes(64, roll)
      expectDecodedOrMalformed(() => decodeResponse(api, version, response))
    }
  })
})

/** Some bytes of the body changed, mostly to values that make lengths large or negative. */
function damage(frame: Buffer, roll: Dice): Buffer {
  const damaged = Buffer.from(frame)
  const bodyStart = Math.min(16, damaged.length - 1)
  for (let count = 1 + roll(4); count > 0; count--) {
    const position = bodyStart + roll(damaged.length - bodyStart)
    damaged[position] = [0xff, 0x7f, 0x80, 0x00, roll(256)][roll(5)]!
  }
  return damaged
}

function expectDecodedOrMalformed(decode: () => unknown): void {
  try {
    decode()
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedFrame)
  }
}

import type { AnyField, Shape } from '../../../../src/wire/kafka/field.ts'
import { defaultOf, existsAt, isNullableAt } from '../../../../src/wire/kafka/field.ts'

/** One to four bytes each in UTF-8. */
const LETTERS = ['a', 'Z', '9', '.', '_', '\u00e4', '\u6f22', '\u{1f600}']

/** A small seeded generator (mulberry32): each call yields an integer in 0..limit-1. */
export type Dice = (limit: number) => number

export function dice(seed: number): Dice {
  let state = seed >>> 0
  return limit => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}

/** A random value of a struct as it comes out of the decoder at `version`: absent fields have their defaults. */
export function randomStruct(shape: Shape, version: number, roll: Dice): Record<string, unknown> {
  const entries = Object.entries(shape).map(([name, field]) => {
    const isThere = existsAt(field, version) && !(field.options.tagged !== undefined && roll(3) === 0)
    return [name, isThere ? randomValue(field, version, roll) : defaultOf(field)] as const
  })
  return Object.fromEntries(entries)
}

function randomValue(field: AnyField, version: number, roll: Dice): unknown {
  if (isNullableAt(field, version) && roll(4) === 0) return null
  switch (field.type) {
    case 'bool':
      return roll(2) === 1
    case 'int8':
      return roll(0x100) - 0x80
    case 'int16':
      return roll(0x10000) - 0x8000
    case 'uint16':
      return roll(0x10000)
    case 'int32':
      return roll(2 ** 32) - 2 ** 31
    case 'int64':
      return [-1, 0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, roll(2 ** 32) * 1000 - 2 ** 31][roll(5)]
    case 'int64Big':
      return BigInt.asIntN(64, (BigInt(roll(2 ** 32)) << 32n) | BigInt(roll(2 ** 32)))
    case 'float64':
      return roll(1000) / 8 - 60
    case 'uuid':
      return randomBytes(16, roll).toString('hex')
    case 'string':
      return Array.from({ length: roll(12) }, () => LETTERS[roll(LETTERS.length)]).join('')
    case 'bytes':
      return randomBytes(roll(40), roll)
    case 'records':
      return randomBytes(roll(8) === 0 ? 3000 : roll(100), roll)
    case 'array':
      return Array.from({ length: roll(4) }, () => randomValue(field.element!, version, roll))
    case 'struct':
      return randomStruct(field.shape!, version, roll)
  }
}

export function randomBytes(length: number, roll: Dice): Buffer {
  return Buffer.from(Array.from({ length }, () => roll(256)))
}

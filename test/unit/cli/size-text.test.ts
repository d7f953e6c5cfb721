import { expect, it } from 'vitest'
import { sizeText } from '../../../src/cli/size-text.ts'

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [256 << 20, '256 MiB'],
  [5 * 2 ** 40, '5 TiB'],
  [5 * 2 ** 50, '5120 TiB'],
])('shows %i bytes as %s', (bytes, text) => expect(sizeText(bytes)).toBe(text))

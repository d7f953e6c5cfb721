import { randomBytes } from 'node:crypto'
import type { Random } from '../random.ts'

export const nodeRandom: Random = {
  bytes: length => randomBytes(length),
  fraction: () => Math.random(),
}

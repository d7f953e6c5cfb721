import { blockBytes, type CrashKind, type SimDisk, type Subset, sectorBytes, type Tear } from './disk.ts'
import type { SimRandom } from './random.ts'

export interface Crash {
  readonly kind: CrashKind
  readonly tear: Tear
}

const plainCrashes: readonly Crash[] = [
  { kind: 'power', tear: 'lose' },
  { kind: 'power', tear: 'keep' },
  { kind: 'kill', tear: 'lose' },
  { kind: 'kill', tear: 'random' },
  { kind: 'kill', tear: 'keep' },
  { kind: 'failed', tear: 'keep' },
]

/** Up to so many pieces every subset is tried; past it every prefix and every single loss are drawn from, and subsets at random. */
const exhaustivePieces = 4
const samplesPerUnit = 8

/** One crash, drawn. */
export const anyCrash = (random: SimRandom): Crash =>
  random.chance(0.4) ? { kind: 'power', tear: 'random' } : random.pick(plainCrashes)

/**
 * Everything that a crash of this disk now may leave: the process alone dies; the write under way fails; all, nothing, and each subset of what was not
 * synced survives, by sectors and by blocks.
 */
export const everyCrash = (disk: SimDisk, random: SimRandom): Crash[] => {
  const crashes = [...plainCrashes]
  for (const unitBytes of [sectorBytes, blockBytes]) {
    for (const kept of subsetsOf(disk.pieces(unitBytes), random)) {
      crashes.push({ kind: 'power', tear: { unitBytes, kept } })
    }
  }
  return crashes
}

/** Without the empty and the whole one. */
const subsetsOf = (pieces: number, random: SimRandom): Subset['kept'][] => {
  const of = (keeps: (index: number) => boolean): boolean[] =>
    Array.from({ length: pieces }, (_, index) => keeps(index))
  if (pieces < 2) return []
  if (pieces <= exhaustivePieces) {
    return Array.from({ length: 2 ** pieces - 2 }, (_, bits) => of(index => ((bits + 1) & (1 << index)) !== 0))
  }
  const last = pieces - 1
  const [prefix, suffix, lost, only] = [random.between(1, last), random.between(1, last), random.below(pieces), last]
  const chosen = [
    of(index => index < prefix),
    of(index => index >= suffix),
    of(index => index !== lost),
    of(index => index === only),
  ]
  while (chosen.length < samplesPerUnit) {
    const share = random.pick([0.1, 0.5, 0.9])
    chosen.push(of(() => random.chance(share)))
  }
  return chosen
}

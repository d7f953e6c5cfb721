/**
 * Seeded random numbers that split: a child's stream depends on the seed and the labels on the way to it, never on how much
 * the parent or a sibling has drawn. So device 17 measures the same whether it runs alone or among thousands.
 * Not for secrets. The generator is sfc32 by Chris Doty-Humphrey (PractRand), public domain.
 */
export class Random {
  private readonly key: number
  private a: number
  private b: number
  private c: number
  private counter = 1

  constructor(seed: number) {
    this.key = mix(seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0)
    this.a = mix(this.key, 1)
    this.b = mix(this.key, 2)
    this.c = mix(this.key, 3)
    for (let round = 0; round < 12; round++) this.next()
  }

  /** A generator of its own for what the label names. */
  split(label: string | number): Random {
    let hash = this.key
    for (const letter of String(label)) hash = mix(hash, letter.codePointAt(0) ?? 0)
    return new Random(mix(hash, typeof label === 'number' ? 0x9e3779b9 : 0x85ebca6b))
  }

  /** Uniform in [0, 1). */
  next(): number {
    const sum = (this.a + this.b + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum
    return (sum >>> 0) / 2 ** 32
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.next()
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** Normal with mean 0 and deviation 1 (Box-Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next())
  }

  /** Exponential: the wait for the next event of a Poisson process. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next())
  }
}

const mix = (hash: number, value: number): number => {
  let h = Math.imul(hash ^ value, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) ^ (value + 0x9e3779b9)
  h = Math.imul(h ^ (h >>> 16), 0x45d9f3b)
  return (h ^ (h >>> 15)) >>> 0
}

import { readdirSync, readFileSync } from 'node:fs'

/** What a process holds at a moment. */
export interface Holding {
  readonly rssMiB: number
  readonly descriptors: number
}

/** From /proc. */
export const holdingOf = (pid: number): Holding => ({
  rssMiB: Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024,
  descriptors: readdirSync(`/proc/${pid}/fd`).length,
})

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

/**
 * How much more is held in the last third of the samples than in the middle one, by their medians. The first third is for what every run takes once: code,
 * buffers, the first lap.
 */
export const growthOf = (samples: readonly Holding[]): Holding => {
  const third = Math.floor(samples.length / 3)
  const middle = samples.slice(third, 2 * third)
  const last = samples.slice(2 * third)
  const growth = (of: (sample: Holding) => number): number => median(last.map(of)) - median(middle.map(of))
  return { rssMiB: growth(({ rssMiB }) => rssMiB), descriptors: growth(({ descriptors }) => descriptors) }
}

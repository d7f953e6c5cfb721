import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** What a process holds at a moment. */
export interface Holding {
  readonly rssMiB: number
  /** Without those of slots, of which there are more as the log fills. */
  readonly descriptors: number
}

const slotFile = /\/log\/\d+\.slot$/

/** From /proc. */
export const holdingOf = (pid: number): Holding => ({
  rssMiB: Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024,
  descriptors: readdirSync(`/proc/${pid}/fd`).filter(name => !slotFile.test(linkOf(`/proc/${pid}/fd/${name}`))).length,
})

/** Empty for one that was closed meanwhile. */
const linkOf = (path: string): string => {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

/**
 * How much more is held in the last fifth of the samples than in the second one, by their medians. The first one is for what every run takes once: code,
 * buffers, connections.
 */
export const growthOf = (samples: readonly Holding[]): Holding => {
  const fifth = Math.floor(samples.length / 5)
  const [early, late] = [samples.slice(fifth, 2 * fifth), samples.slice(-fifth)]
  const growth = (of: (sample: Holding) => number): number => median(late.map(of)) - median(early.map(of))
  return { rssMiB: growth(({ rssMiB }) => rssMiB), descriptors: growth(({ descriptors }) => descriptors) }
}

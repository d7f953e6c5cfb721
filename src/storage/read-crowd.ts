import type { Segment } from './segment.ts'

/** Reads that are remembered. */
const rememberedReads = 16
/** So many different partitions among them, near to each other, are a crowd. */
const crowdSize = 8

interface Place {
  readonly segment: Segment
  readonly position: number
}

interface Read extends Place {
  readonly partition: number
}

/**
 * Tells whether many partitions are read at the same place of the log, by one consumer or by many: then all of the log is needed there, not only the
 * blocks of the one that comes first.
 */
export class ReadCrowd {
  readonly #recent: Read[] = []

  /** A read begins there; true when it is one of many within so many bytes. */
  join(partition: number, segment: Segment, position: number, nearBytes: number): boolean {
    const near = new Set([partition])
    for (const other of this.#recent) {
      if (distance(other, { segment, position }) < nearBytes) near.add(other.partition)
    }
    this.#recent.push({ partition, segment, position })
    if (this.#recent.length > rememberedReads) this.#recent.shift()
    return near.size >= crowdSize
  }
}

/** In bytes of the log; from what was cleaned to what was not it is infinite. */
const distance = (one: Place, other: Place): number => {
  const [{ sequence, isCold, header }, { segment }] = [one.segment, other]
  if (isCold !== segment.isCold) return Number.POSITIVE_INFINITY
  return Math.abs((sequence - segment.sequence) * header.slotBytes + one.position - other.position)
}

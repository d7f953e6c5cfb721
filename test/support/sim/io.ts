import { type SimClock, SimCrashed } from './clock.ts'
import type { SimDisk } from './disk.ts'
import type { SimRandom } from './random.ts'

/** How long operations take, in milliseconds. */
export interface DiskSpeed {
  readonly readMs: number
  readonly writeMs: number
  readonly syncMs: number
}

export const sdCard: DiskSpeed = { readMs: 0.2, writeMs: 0.1, syncMs: 4 }

/** Planted bugs, for the test that the checker finds them. */
export interface PlantedBugs {
  /** A commit resolves before the bytes are on the device: they wait in the page cache for a sync that never comes. */
  acksEarly?: boolean
  /** A commit puts its own bytes on the device, and leaves in the page cache what was handed over before it. */
  syncsCommitsAlone?: boolean
  /** What the page cache already shows is not written again. */
  skipsRewrites?: boolean
  /** The same for groups of the log control partition alone: so a slot is reused before the log start that made it dead is on the device. */
  acksControlEarly?: boolean
  /** Syncs of files, commits apart, do nothing: so a cold segment is published, and a slot reused, before what they stand on is there. */
  skipsSyncs?: boolean
  /** After a crash the newest commit cannot be seen: the log is cut below what was acked. */
  cutsTooMuch?: boolean
}

/** The disk as one running machine uses it: operations take time, and never end once the machine has crashed. */
export class SimIo {
  readonly disk: SimDisk
  readonly clock: SimClock
  readonly random: SimRandom
  speed: DiskSpeed = sdCard

  constructor(disk: SimDisk, clock: SimClock, random: SimRandom) {
    this.disk = disk
    this.clock = clock
    this.random = random
  }

  /** Runs `operate` at the end of an operation that takes about `durationMs`; what it throws is the operation's failure. */
  operation<T>(durationMs: number, operate: () => T): Promise<T> {
    if (this.clock.crashed) return new Promise(() => {})
    return new Promise((resolve, reject) => {
      this.clock.after(durationMs * (0.5 + this.random.fraction()), () => {
        try {
          resolve(operate())
        } catch (error) {
          if (!(error instanceof SimCrashed)) reject(error)
        }
      })
    })
  }

  /** The same for one that changes the disk: its beginning and its end are crash points. */
  change<T>(durationMs: number, text: string, operate: () => T): Promise<T> {
    if (this.clock.crashed) return new Promise(() => {})
    this.#point(`begin ${text}`)
    if (this.clock.crashed) return new Promise(() => {})
    return this.operation(durationMs, () => {
      this.#point(`end ${text}`)
      if (this.clock.crashed) throw new SimCrashed(text)
      return operate()
    })
  }

  #point(text: string): void {
    this.disk.note(`${this.clock.nowMs.toFixed(2)} ${text}`)
    this.disk.onPoint?.()
  }
}

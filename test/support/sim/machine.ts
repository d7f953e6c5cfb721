import type { LockDirectory } from '../../../src/platform/lock.ts'
import type { Logger } from '../../../src/platform/logger.ts'
import type { Platform } from '../../../src/platform/platform.ts'
import { type SimCheckpoints, simCheckpointStore } from './checkpoint-store.ts'
import { SimClock } from './clock.ts'
import { simCommitWriter } from './commit-writer.ts'
import { type CrashKind, SimDisk, type Tear } from './disk.ts'
import { simFiles } from './files.ts'
import { type PlantedBugs, SimIo } from './io.ts'
import { SimNetwork } from './network.ts'
import { SimRandom } from './random.ts'

export type { PlantedBugs }

const noteLog =
  (disk: SimDisk, part: string): Logger['info'] =>
  (fields, event) =>
    disk.note(`log ${part}: ${event} ${JSON.stringify(fields)}`)

const simLogger = (disk: SimDisk, part: string): Logger => ({
  debug: noteLog(disk, part),
  info: noteLog(disk, part),
  warn: noteLog(disk, part),
  error: noteLog(disk, part),
  child: child => simLogger(disk, child),
})

/**
 * A gateway's machine: what outlives a crash (disk, checkpoints) and what does not (clock, whatever runs). After `crash` the same object
 * is the machine started again; promises of before never settle.
 */
export class SimMachine {
  readonly disk: SimDisk
  readonly random: SimRandom
  readonly bugs: PlantedBugs = {}
  clock: SimClock
  io: SimIo
  network: SimNetwork
  readonly #checkpoints: SimCheckpoints
  readonly #locked = new Set<string>()
  #boots = 1

  constructor(seed: number, from?: SimMachine) {
    this.random = new SimRandom(seed)
    this.disk = from?.disk.fork() ?? new SimDisk()
    this.#checkpoints = from === undefined ? new Map() : new Map(from.#checkpoints)
    this.#boots = from === undefined ? 1 : from.#boots
    this.clock =
      from === undefined
        ? new SimClock(1000, 'boot-1', 0)
        : new SimClock(from.clock.nowMs, from.clock.bootId, from.clock.bootedAtMs)
    this.io = new SimIo(this.disk, this.clock, this.random.fork())
    this.network = new SimNetwork(this.clock, this.random.fork())
  }

  get platform(): Platform {
    return {
      clock: this.clock,
      files: simFiles(this.io, this.bugs),
      network: this.network,
      random: this.random,
      logger: simLogger(this.disk, 'main'),
      openCommitWriter: simCommitWriter(this.io, this.bugs),
      openCheckpointStore: simCheckpointStore(this.io, this.#checkpoints),
    }
  }

  get lockDirectory(): LockDirectory {
    const locked = this.#locked
    return async directory => {
      if (locked.has(directory)) return undefined
      locked.add(directory)
      return {
        release: async () => {
          locked.delete(directory)
        },
      }
    }
  }

  /** A copy of the machine at this moment, still to be crashed; nothing of what runs comes along. */
  fork(seed: number): SimMachine {
    return new SimMachine(seed, this)
  }

  /** Ends whatever runs, treats the disk accordingly, and starts the machine again. */
  crash(kind: CrashKind, tear: Tear = 'random'): void {
    const { speed } = this.io
    const { nowMs, bootedAtMs, bootId, wallOffsetMs } = this.clock
    this.clock.crash()
    this.#locked.clear()
    this.disk.crash(kind, this.random.below(2 ** 32), tear)
    const downMs = kind === 'power' ? 5000 : 500
    this.clock =
      kind === 'power'
        ? new SimClock(nowMs + downMs, `boot-${++this.#boots}`)
        : new SimClock(nowMs + downMs, bootId, bootedAtMs)
    this.clock.wallOffsetMs = wallOffsetMs
    this.io = new SimIo(this.disk, this.clock, this.random.fork())
    this.io.speed = speed
    this.network = new SimNetwork(this.clock, this.random.fork())
  }

  /** Every value of the checkpoints, by directory and key. */
  *checkpointValues(): Generator<readonly [directory: string, key: string, value: Buffer]> {
    for (const [directory, entries] of this.#checkpoints) {
      for (const [key, value] of entries) yield [directory, key, value]
    }
  }

  /** Turns a bit of one value over, as a store without checksums of its own would give it. */
  flipCheckpointBit(directory: string, key: string, position: number, bit: number): void {
    const entries = new Map(this.#checkpoints.get(directory))
    const value = Buffer.from(entries.get(key)!)
    value[position]! ^= 1 << bit
    this.#checkpoints.set(directory, entries.set(key, value))
  }

  /** Checkpoints are never needed: drops them. */
  dropCheckpoints(): void {
    this.#checkpoints.clear()
  }
}

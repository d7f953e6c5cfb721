import { SimCrashed } from './clock.ts'
import type { CrashKind, Tear } from './disk.ts'
import { LogModel } from './log-model.ts'
import { LogRun, type LogRunOptions } from './log-run.ts'
import { type PlantedBugs, SimMachine } from './machine.ts'
import { SimRandom } from './random.ts'
import { reportHistory } from './report.ts'

interface Crash {
  readonly kind: CrashKind
  readonly tear: Tear
}

const crashKinds: readonly Crash[] = [
  { kind: 'power', tear: 'random' },
  { kind: 'power', tear: 'random' },
  { kind: 'power', tear: 'lose' },
  { kind: 'power', tear: 'keep' },
  { kind: 'kill', tear: 'random' },
  { kind: 'kill', tear: 'keep' },
  { kind: 'failed', tear: 'keep' },
]

export interface CrashPlan {
  readonly seed: number
  readonly steps: number
  /** Clean restarts inside the workload. */
  readonly restarts: number
  /** Crashes tried at each point. */
  readonly crashesPerPoint: number
  /** Share of the points that are tried; all when absent. */
  readonly share?: number
  readonly options?: LogRunOptions
  readonly bugs?: PlantedBugs
  readonly damagesNeighbours?: boolean
}

/** What a run went through. */
export interface CrashReport {
  readonly crashes: number
  /** Records that left the log in the workload, so that space was reused. */
  readonly evictedRecords: number
  /** Cold segments that were written in the workload. */
  readonly cleanings: number
  /** Records that compaction removed in the workload. */
  readonly compactedRecords: number
}

/**
 * Runs a workload once and stops the world at the beginning and before the end of everything that changes the disk. At each such point
 * copies of the machine crash, each in its own way, recover (some crash again while they do), are compared with the model, go on for a
 * while, and crash once more.
 */
export const crashEverywhere = async (plan: CrashPlan): Promise<CrashReport> => {
  const machine = new SimMachine(plan.seed)
  machine.disk.damagesNeighbours = plan.damagesNeighbours ?? false
  Object.assign(machine.bugs, plan.bugs)
  const random = new SimRandom(plan.seed)
  const run = new LogRun(machine, new LogModel(), plan.seed, plan.options)
  const waiting: {
    readonly machine: SimMachine
    readonly model: LogModel
    readonly crash: Crash
    readonly seed: number
  }[] = []
  let crashes = 0
  let evictedRecords = 0
  let cleanings = 0
  let compactedRecords = 0

  machine.disk.onPoint = () => {
    if (!random.chance(plan.share ?? 1)) return
    for (let index = 0; index < plan.crashesPerPoint; index++) {
      const seed = random.below(2 ** 32)
      const copy = machine.fork(seed)
      Object.assign(copy.bugs, plan.bugs)
      waiting.push({ machine: copy, model: run.model.clone(), crash: random.pick(crashKinds), seed })
    }
  }
  machine.clock.betweenEvents = async () => {
    for (const point of waiting.splice(0)) {
      await reportHistory(point.machine, () =>
        surviveCrashes(point.machine, point.model, point.crash, point.seed, plan),
      )
      crashes++
    }
  }
  await reportHistory(machine, () =>
    machine.clock.run(
      (async () => {
        for (let start = 0; start <= plan.restarts; start++) {
          await run.open()
          await run.steps(plan.steps)
          evictedRecords += run.metrics.count('storageEvictedRecords')
          cleanings += run.metrics.count('storageCleanings')
          compactedRecords += run.metrics.count('storageCompactedRecords')
          await run.close()
        }
      })(),
    ),
  )
  return { crashes, evictedRecords, cleanings, compactedRecords }
}

const surviveCrashes = async (
  machine: SimMachine,
  model: LogModel,
  crash: Crash,
  seed: number,
  plan: CrashPlan,
): Promise<void> => {
  const random = new SimRandom(seed)
  machine.crash(crash.kind, crash.tear)
  // checkpoints are only a cache
  if (random.chance(0.1)) machine.dropCheckpoints()
  const run = new LogRun(machine, model, seed, plan.options)
  if (random.chance(0.3)) {
    await crashWithin(machine, random.between(1, 25), async () => {
      await run.open()
      await run.steps(3)
    })
    machine.crash(random.pick<CrashKind>(['power', 'kill', 'failed']))
  }
  await machine.clock.run(run.open())
  // what recovery has shown must outlive a power cut, though nothing was written since
  const goesOn = random.chance(0.5)
  if (goesOn) await machine.clock.run(run.steps(random.between(1, 12)))
  machine.crash('power', random.pick<Tear>(['lose', 'random', 'keep']))
  await machine.clock.run(run.open())
  machine.clock.crash()
}

/** Runs `body` until the `points`th crash point, if it gets so far. */
const crashWithin = async (machine: SimMachine, points: number, body: () => Promise<void>): Promise<void> => {
  let left = points
  const { clock, disk } = machine
  disk.onPoint = () => {
    if (--left === 0) clock.crash()
  }
  try {
    await clock.run(body())
  } catch (error) {
    if (!(error instanceof SimCrashed)) throw error
  } finally {
    disk.onPoint = undefined
  }
}

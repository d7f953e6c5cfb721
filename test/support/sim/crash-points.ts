import { SimCrashed } from './clock.ts'
import type { CrashKind, Tear } from './disk.ts'
import { LogModel } from './log-model.ts'
import { LogRun, type LogRunOptions, type Workload } from './log-run.ts'
import { type PlantedBugs, SimMachine } from './machine.ts'
import { SimRandom } from './random.ts'
import { reportHistory } from './report.ts'
import { anyCrash, type Crash, everyCrash } from './tears.ts'

export interface CrashPlan {
  readonly seed: number
  readonly steps: number
  /** Clean restarts inside the workload. */
  readonly restarts: number
  /** Crashes tried at each point: so many that are drawn, or every one that differs. */
  readonly crashesPerPoint: number | 'every'
  /** Share of the points that are tried; all when absent. */
  readonly share?: number
  /** The first so many of them; all when absent. */
  readonly mostPoints?: number
  /** Share of the crashes after which recovery is crashed at each of its own points; none when absent. */
  readonly recoveryShare?: number
  readonly options?: LogRunOptions
  readonly workload?: Workload
  readonly bugs?: PlantedBugs
  readonly damagesNeighbours?: boolean
}

/** What a run went through. */
export class CrashReport {
  /** Beginnings and ends of writes, syncs and other changes of the disk at which the world was stopped. */
  points = 0
  /** Machines that crashed there, recovered and were compared. */
  crashes = 0
  /** Of them, those in which some subset of what was not synced survived. */
  torn = 0
  /** Crashes at the points of a recovery. */
  recoveryCrashes = 0
  /** Records that left the log in the workload, so that space was reused. */
  evictedRecords = 0
  /** Cold segments that were written in the workload. */
  cleanings = 0
  compactedRecords = 0
  removedPartitions = 0

  add(other: CrashReport): void {
    for (const key of Object.keys(this) as (keyof CrashReport)[]) {
      if (key !== 'add') this[key] += other[key]
    }
  }
}

interface Point {
  readonly machine: SimMachine
  readonly model: LogModel
  readonly crash: Crash
  readonly seed: number
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
  const run = new LogRun(machine, new LogModel(), plan.seed, plan.options, plan.workload)
  const report = new CrashReport()
  atEveryPoint(
    machine,
    run.model,
    random,
    plan,
    async point => {
      report.crashes++
      if (point.crash.tear !== 'lose' && point.crash.tear !== 'keep') report.torn++
      await surviveCrashes(point, plan, report)
    },
    () => {
      const isTried = report.points < (plan.mostPoints ?? Number.POSITIVE_INFINITY) && random.chance(plan.share ?? 1)
      if (isTried) report.points++
      return isTried
    },
  )
  try {
    await reportHistory(machine, () => machine.clock.run(runThrough(run, plan, report)))
  } catch (error) {
    throw new Error(`seed ${plan.seed}, point ${report.points}: ${(error as Error).message}`, { cause: error })
  }
  report.removedPartitions = run.removedPartitions
  return report
}

/** The workload, with its clean restarts. */
const runThrough = async (run: LogRun, plan: CrashPlan, report: CrashReport): Promise<void> => {
  for (let start = 0; start <= plan.restarts; start++) {
    await run.open()
    await run.steps(plan.steps)
    report.evictedRecords += run.metrics.count('storageEvictedRecords')
    report.cleanings += run.metrics.count('storageCleanings')
    report.compactedRecords += run.metrics.count('storageCompactedRecords')
    await run.close()
  }
}

/** Calls `visit` with copies of the machine, and what they are to go through, at each point that `tries` wants. */
const atEveryPoint = (
  machine: SimMachine,
  model: LogModel,
  random: SimRandom,
  plan: CrashPlan,
  visit: (point: Point) => Promise<void>,
  tries: () => boolean,
): void => {
  const waiting: Point[] = []
  const { clock, disk } = machine
  disk.onPoint = () => {
    if (!tries()) return
    const count = plan.crashesPerPoint
    const crashes = count === 'every' ? everyCrash(disk, random) : Array.from({ length: count }, () => anyCrash(random))
    for (const crash of crashes) {
      const seed = random.below(2 ** 32)
      const copy = machine.fork(seed)
      Object.assign(copy.bugs, machine.bugs)
      waiting.push({ machine: copy, model: model.clone(), crash, seed })
    }
  }
  clock.betweenEvents = async () => {
    for (const point of waiting.splice(0)) await reportHistory(point.machine, () => visit(point))
  }
}

const surviveCrashes = async (point: Point, plan: CrashPlan, report: CrashReport): Promise<void> => {
  const { machine, model, crash, seed } = point
  const random = new SimRandom(seed)
  const run = new LogRun(machine, model, seed, plan.options, plan.workload)
  run.crash(crash.kind, crash.tear)
  // checkpoints are only a cache
  if (random.chance(0.1)) machine.dropCheckpoints()
  if (random.chance(plan.recoveryShare ?? 0)) await crashRecoveryEverywhere(point, plan, report)
  if (random.chance(0.3)) {
    await crashWithin(machine, random.between(1, 25), async () => {
      await run.open()
      await run.steps(3)
    })
    run.crash(random.pick<CrashKind>(['power', 'kill', 'failed']))
  }
  await machine.clock.run(run.open())
  // what recovery has shown must outlive a power cut, though nothing was written since
  const goesOn = random.chance(0.5)
  if (goesOn) await machine.clock.run(run.steps(random.between(1, 12)))
  run.crash('power', random.pick<Tear>(['lose', 'random', 'keep']))
  await machine.clock.run(run.open())
  machine.clock.crash()
}

/** A copy of the crashed machine recovers, and other copies crash at each point of that; some of them once more while they recover from it. */
const crashRecoveryEverywhere = async (point: Point, plan: CrashPlan, report: CrashReport): Promise<void> => {
  const random = new SimRandom(point.seed + 1)
  const machine = point.machine.fork(point.seed)
  Object.assign(machine.bugs, point.machine.bugs)
  const run = new LogRun(machine, point.model.clone(), point.seed, plan.options, plan.workload)
  const once = { ...plan, crashesPerPoint: 2, recoveryShare: 0 }
  atEveryPoint(
    machine,
    run.model,
    random,
    once,
    async inner => {
      report.recoveryCrashes++
      await surviveCrashes(inner, once, report)
    },
    () => true,
  )
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

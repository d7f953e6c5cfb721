import type { CrashPlan } from './crash-points.ts'

const slotBytes = 64 * 1024

/** What a run is made of, apart from its seed and from how many of its points are tried. */
export type Scenario = Omit<CrashPlan, 'seed' | 'crashesPerPoint' | 'share' | 'recoveryShare'>

/** Kinds of load, by name. A seed draws one: see `scenarioOf`. */
export const scenarios = {
  appends: { steps: 60, restarts: 2 },
  neighbours: { steps: 60, restarts: 1, damagesNeighbours: true, options: { align: 'always' } },
  evicts: { steps: 500, restarts: 1, options: { budgetBytes: 8 * slotBytes } },
  removes: { steps: 400, restarts: 1, options: { budgetBytes: 9 * slotBytes }, workload: { removes: true } },
  compacts: { steps: 400, restarts: 1, options: { budgetBytes: 10 * slotBytes }, workload: { compacts: true } },
  'changes budget': { steps: 300, restarts: 3, workload: { budgetSlots: [8, 10, 14, 20] } },
  all: {
    steps: 500,
    restarts: 2,
    workload: { removes: true, compacts: true, clockJumps: true, budgetSlots: [9, 10, 16] },
  },
} as const satisfies Record<string, Scenario>

/** Half of the topics have `durability=relaxed`. Apart: what the seeds of the long run once found is found with those above. */
export const relaxes: Scenario = { steps: 120, restarts: 1, workload: { relaxes: true } }

export type ScenarioName = keyof typeof scenarios

export const scenarioNames = Object.keys(scenarios) as ScenarioName[]

/** The load of a seed. */
export const scenarioOf = (seed: number): ScenarioName => scenarioNames[seed % scenarioNames.length]!

/** What the long run tries of a seed: about as many crashes of each, since a run of many steps has many points. */
export const soakPlan = (seed: number, scenario: Scenario = scenarios[scenarioOf(seed)]): CrashPlan => {
  const share = Math.min(1, 20 / scenario.steps)
  return { ...scenario, seed, crashesPerPoint: 2, share, mostPoints: 150, recoveryShare: 0.01 }
}

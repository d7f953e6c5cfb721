import { type LinkConditions, wire } from './delay-line.ts'
import type { FaultKind } from './link.ts'

/** A fault of all links at one time of the run, once or again and again. */
export interface TimedFault {
  readonly kind: FaultKind
  readonly startMs: number
  readonly durationMs: number
  /** From start to start; without it the fault comes once. */
  readonly everyMs?: number
}

/** What the links of a fleet go through. */
export interface Scenario {
  readonly name: string
  readonly describe: string
  readonly conditions: LinkConditions
  readonly faults: readonly TimedFault[]
  /** Each link for itself fails at random: mean times between failures, and of a failure. */
  readonly flaps?: { readonly kind: FaultKind; readonly meanUpMs: number; readonly meanDownMs: number }
  /** Overrides the reconnect limits of the firmware. */
  readonly reconnect?: { readonly minMs: number; readonly maxMs: number }
}

const second = 1_000

export const scenarios: readonly Scenario[] = [
  { name: 'steady', describe: 'a cable: no faults', conditions: wire, faults: [] },
  {
    name: 'flaky',
    describe: '2 % loss, 40 ms each way, every link drops about once a minute for some 5 s',
    conditions: { lossRatio: 0.02, latencyMs: 40, jitterMs: 40, bytesPerSecond: 32_000 },
    faults: [],
    flaps: { kind: 'drop', meanUpMs: 60 * second, meanDownMs: 5 * second },
  },
  {
    name: 'cellular',
    describe: '3G: 0.5 % loss, 75 ms each way, 48 kB/s, every link is silent about every 5 min for some 3 s',
    conditions: { lossRatio: 0.005, latencyMs: 75, jitterMs: 50, bytesPerSecond: 48_000 },
    faults: [],
    flaps: { kind: 'stall', meanUpMs: 300 * second, meanDownMs: 3 * second },
  },
  {
    name: 'satellite',
    describe: '2 % loss, 300 ms each way, 8 kB/s',
    conditions: { lossRatio: 0.02, latencyMs: 300, jitterMs: 20, bytesPerSecond: 8_000 },
    faults: [],
  },
  {
    name: 'outage',
    describe: 'every 3 min all links fall silent for 1 min; firmware has to find out by its keep alive',
    conditions: wire,
    faults: [{ kind: 'stall', startMs: 20 * second, durationMs: 60 * second, everyMs: 180 * second }],
  },
  {
    name: 'storm',
    describe: 'every 20 s all connections break for 1 s, and all devices reconnect at once, without jitter',
    conditions: wire,
    faults: [{ kind: 'drop', startMs: 20 * second, durationMs: second, everyMs: 20 * second }],
    reconnect: { minMs: 1, maxMs: 1 },
  },
]

export const steady = scenarios[0]!

export const scenarioNamed = (name: string): Scenario | undefined => scenarios.find(scenario => scenario.name === name)

/** True where a link may fall silent instead of breaking. */
export const mayStall = ({ faults, flaps }: Scenario): boolean =>
  flaps?.kind === 'stall' || faults.some(fault => fault.kind === 'stall')

/** A scenario with other conditions or more faults on top. */
export const withFaults = (
  scenario: Scenario,
  conditions: Partial<LinkConditions>,
  faults: readonly TimedFault[],
): Scenario => ({
  ...scenario,
  conditions: { ...scenario.conditions, ...conditions },
  faults: [...scenario.faults, ...faults],
})

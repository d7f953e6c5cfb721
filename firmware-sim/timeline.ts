import type { Link } from './link.ts'
import type { Random } from './random.ts'
import type { Scenario, TimedFault } from './scenario.ts'

/** Plays a scenario's faults on the links of a fleet, in real time, until it is stopped. */
export class Timeline {
  private readonly scenario: Scenario
  private readonly links: readonly Link[]
  private readonly random: Random
  private readonly timers = new Set<NodeJS.Timeout>()
  private readonly undo = new Set<() => void>()

  /** When each link flaps follows from the random generator. */
  constructor(scenario: Scenario, links: readonly Link[], random: Random) {
    this.scenario = scenario
    this.links = links
    this.random = random
  }

  start(): void {
    for (const fault of this.scenario.faults) this.after(fault.startMs, () => this.play(fault))
    for (const [index, link] of this.links.entries()) this.flap(link, this.random.split(index))
  }

  /** Ends all faults: the links are well from now on. */
  stop(): void {
    for (const timer of this.timers) clearTimeout(timer)
    this.timers.clear()
    for (const undo of this.undo) undo()
    this.undo.clear()
  }

  private play(fault: TimedFault): void {
    this.fail(this.links, fault.kind, fault.durationMs)
    if (fault.everyMs !== undefined) this.after(fault.everyMs, () => this.play(fault))
  }

  private flap(link: Link, random: Random): void {
    const flaps = this.scenario.flaps
    if (flaps === undefined) return
    const downMs = random.exponential(flaps.meanDownMs)
    this.after(random.exponential(flaps.meanUpMs), () => {
      this.fail([link], flaps.kind, downMs)
      this.after(downMs, () => this.flap(link, random))
    })
  }

  private fail(links: readonly Link[], kind: TimedFault['kind'], durationMs: number): void {
    for (const link of links) link.begin(kind)
    const undo = () => {
      for (const link of links) link.end(kind)
    }
    this.undo.add(undo)
    this.after(durationMs, () => {
      this.undo.delete(undo)
      undo()
    })
  }

  private after(delayMs: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      act()
    }, delayMs)
    this.timers.add(timer)
  }
}

import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { LinkConditions } from './delay-line.ts'
import { FaultyStream } from './faulty-stream.ts'
import type { Random } from './random.ts'

/** `drop`: the interface goes down, connections die at once. `stall`: bytes go nowhere and nobody is told. */
export type FaultKind = 'drop' | 'stall'

export interface LinkOptions {
  readonly dial: () => Socket
  readonly conditions: LinkConditions
  readonly random: Random
  readonly now: () => number
  /** True where a stall is to come; without one, a perfect link hands out the bare socket. */
  readonly mayStall: boolean
}

export const linkDownCode = 'ELINKDOWN'

/**
 * The way from one device to the gateway. The socket is real; the faults are put between it and the MQTT client, so whole
 * and half packets are late or lost just as on a bad radio. Faults may overlap: the link is well again when the last one ends.
 */
export class Link {
  private readonly options: LinkOptions
  private readonly faults = { drop: 0, stall: 0 }
  private stream: Duplex | undefined
  private opened = 0

  constructor(options: LinkOptions) {
    this.options = options
  }

  get isDown(): boolean {
    return this.faults.drop > 0
  }

  /** A stream to the gateway. On a link that is down it fails as a connect without a route would. */
  open(): Duplex {
    this.stream = this.isDown ? deadStream() : this.connect()
    return this.stream
  }

  begin(fault: FaultKind): void {
    this.faults[fault]++
    if (fault === 'drop') this.stream?.destroy(linkDown())
    else if (this.stream instanceof FaultyStream) this.stream.freeze()
  }

  /** @throws where no such fault was begun. */
  end(fault: FaultKind): void {
    if (this.faults[fault] === 0) throw new Error(`no ${fault} to end`)
    this.faults[fault]--
    if (this.faults.stall === 0 && this.stream instanceof FaultyStream) this.stream.thaw()
  }

  private connect(): Duplex {
    const { dial, conditions, random, now, mayStall } = this.options
    const { lossRatio, latencyMs, jitterMs, bytesPerSecond } = conditions
    const isPerfect = lossRatio + latencyMs + jitterMs === 0 && bytesPerSecond === Number.POSITIVE_INFINITY
    if (isPerfect && !mayStall) return dial()
    const isStalled = this.faults.stall > 0
    return new FaultyStream({ conditions, random: random.split(++this.opened), now, dial, isStalled })
  }
}

const linkDown = (): Error => Object.assign(new Error('the simulated link is down'), { code: linkDownCode })

const deadStream = (): Duplex => {
  const stream = new Duplex({ read: () => {}, write: () => {} })
  process.nextTick(() => stream.destroy(linkDown()))
  return stream
}

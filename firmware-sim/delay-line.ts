import type { Random } from './random.ts'

/** What a link does to the bytes of one direction. All zero and an infinite rate is a wire. */
export interface LinkConditions {
  /** Share of segments lost, 0 to 1. On TCP a loss is a delay: the segment waits for its retransmission. */
  readonly lossRatio: number
  /** One way. */
  readonly latencyMs: number
  /** Greatest addition to the latency; segments never overtake each other. */
  readonly jitterMs: number
  readonly bytesPerSecond: number
}

export const wire: LinkConditions = {
  lossRatio: 0,
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
}

/** First wait for a retransmission, doubled at each further loss of the segment, as TCP stacks do (RFC 6298). */
const retransmitMs = 200
const maxRetransmits = 6

/** Bytes under way in one direction of one connection. */
export class DelayLine {
  private readonly conditions: LinkConditions
  private readonly random: Random
  private readonly now: () => number
  private readonly onBroken: () => void
  private underWay: { readonly atMs: number; readonly arrive: () => void }[] = []
  private timer: NodeJS.Timeout | undefined
  private isFrozen = false
  private freeAtMs = 0
  private lastAtMs = 0

  /** `onBroken` is called when a segment was lost so often that TCP gives up the connection. */
  constructor(conditions: LinkConditions, random: Random, now: () => number, onBroken: () => void) {
    this.conditions = conditions
    this.random = random
    this.now = now
    this.onBroken = onBroken
  }

  /** Calls `arrive` when that many bytes have come through; in the order of the calls. */
  send(bytes: number, arrive: () => void): void {
    const retransmissionMs = this.retransmissionMs()
    if (retransmissionMs === undefined) {
      this.onBroken()
      return
    }
    const { latencyMs, jitterMs, bytesPerSecond } = this.conditions
    this.freeAtMs = Math.max(this.now(), this.freeAtMs) + (bytes / bytesPerSecond) * 1000
    const arrivalMs = this.freeAtMs + latencyMs + jitterMs * this.random.next() + retransmissionMs
    this.lastAtMs = Math.max(this.lastAtMs, arrivalMs)
    this.underWay.push({ atMs: this.lastAtMs, arrive })
    this.arm()
  }

  /** Nothing arrives until `thaw`, and then all that is due does. */
  freeze(): void {
    this.isFrozen = true
    this.disarm()
  }

  thaw(): void {
    this.isFrozen = false
    this.arm()
  }

  /** Forgets what is under way: it never arrives. */
  clear(): void {
    this.underWay = []
    this.disarm()
  }

  private retransmissionMs(): number | undefined {
    let waitMs = 0
    for (let losses = 0; this.random.chance(this.conditions.lossRatio); losses++) {
      if (losses === maxRetransmits) return undefined
      waitMs += retransmitMs * 2 ** losses
    }
    return waitMs
  }

  private arm(): void {
    const first = this.underWay[0]
    if (first === undefined || this.isFrozen || this.timer !== undefined) return
    this.timer = setTimeout(() => this.deliver(), Math.max(0, first.atMs - this.now()))
  }

  private disarm(): void {
    clearTimeout(this.timer)
    this.timer = undefined
  }

  private deliver(): void {
    this.timer = undefined
    // a timer may fire up to a millisecond early
    const dueMs = this.now() + 1
    while (!this.isFrozen && this.underWay[0] !== undefined && this.underWay[0].atMs <= dueMs) {
      this.underWay.shift()?.arrive()
    }
    this.arm()
  }
}

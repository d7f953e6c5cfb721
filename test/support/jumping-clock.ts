import { VirtualClock } from './virtual-clock.ts'

/** A virtual clock whose wall time is set by hand while the rest goes on. */
export class JumpingClock extends VirtualClock {
  #apartMs = 0
  #asleepMs = 0

  override wallMs(): number {
    return super.wallMs() + this.#apartMs + this.#asleepMs
  }

  override sinceBootMs(): number {
    return super.sinceBootMs() + this.#asleepMs
  }

  /** Somebody sets the wall clock. */
  jump(byMs: number): void {
    this.#apartMs += byMs
  }

  /** The machine sleeps: the monotonic clock stands still. */
  suspend(forMs: number): void {
    this.#asleepMs += forMs
  }
}

export interface Timer {
  /** Does nothing when the timer has fired or was cancelled. */
  cancel(): void
}

/** The only source of time. Three clocks, because a gateway has no trustworthy one. */
export interface Clock {
  /** Wall clock, milliseconds since 1970. Jumps either way; only for stamps that people and clients read. */
  wallMs(): number
  /** Never goes back; starts anywhere. For timeouts and rates. */
  monotonicMs(): number
  /** Milliseconds since the machine booted, sleep included; the base of log age. Restarts at zero with every boot. */
  sinceBootMs(): number
  /** Differs after every boot of the machine. */
  readonly bootId: string
  /** Calls `callback` once, not before `delayMs`. Does not keep the process alive on its own. */
  after(delayMs: number, callback: () => void): Timer
  /** Calls `callback` once the I/O events at hand are handled: the end of a batch of socket reads. */
  afterIo(callback: () => void): void
}

/** Resolves after `delayMs` of `clock`. */
export const sleep = (clock: Clock, delayMs: number): Promise<void> =>
  new Promise(resolve => clock.after(delayMs, resolve))

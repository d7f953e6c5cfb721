import type { Clock } from '../../platform/clock.ts'

/** What became of a publication. `abandoned`: the sessions that had it have ended without a word. */
export type Verdict =
  | { readonly kind: 'delivered' | 'expired' | 'abandoned' }
  | { readonly kind: 'refused'; readonly reasonCode: number }

const firstError = 0x80

/**
 * Who owes an answer to one publication: each session that took it with QoS 1 or 2. All of them have to answer, and one has to have it. Told once
 * what became of it.
 */
export class Receipt {
  readonly #clock: Clock
  readonly #judged: (verdict: Verdict) => void
  /** The hand over itself counts. */
  #open = 1
  #wasSent = false
  #isDelivered = false
  #hasExpired = false
  #refusal: number | undefined
  #isClosed = false

  constructor(clock: Clock, judged: (verdict: Verdict) => void) {
    this.#clock = clock
    this.#judged = judged
  }

  /** A PUBLISH has left: the device may have it. */
  get wasSent(): boolean {
    return this.#wasSent
  }

  /** All who are to get it were asked; who did not take it owes nothing. */
  handedOver(): void {
    this.#left()
  }

  /** A session has it and will answer. */
  taken(): void {
    this.#open++
  }

  sent(): void {
    this.#wasSent = true
  }

  /** PUBACK or PUBREC. */
  answered(reasonCode: number): void {
    if (reasonCode < firstError) this.#isDelivered = true
    else this.#refusal = reasonCode
    this.#left()
  }

  /** Its time was over before it could be sent. */
  expired(): void {
    this.#hasExpired = true
    this.#left()
  }

  /** The session does not have it any more; another member of its share may get it in this turn of the event loop. */
  abandoned(): void {
    this.#open--
    this.#clock.afterIo(() => this.#judge())
  }

  /** Nobody waits for what becomes of it. */
  close(): void {
    this.#isClosed = true
  }

  #left(): void {
    this.#open--
    this.#judge()
  }

  #judge(): void {
    if (this.#open > 0 || this.#isClosed) return
    this.#isClosed = true
    this.#judged(this.#verdict())
  }

  #verdict(): Verdict {
    if (this.#isDelivered) return { kind: 'delivered' }
    if (this.#refusal !== undefined) return { kind: 'refused', reasonCode: this.#refusal }
    return { kind: this.#hasExpired ? 'expired' : 'abandoned' }
  }
}

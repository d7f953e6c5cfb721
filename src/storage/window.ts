/** Bytes of a slot at hand: `buffer` holds positions from `start` on. */
export interface Window {
  readonly buffer: Buffer
  readonly start: number
  /** Position after the last byte that holds anything; `buffer` may be longer. */
  readonly end: number
  /** Came from memory that this process wrote; other bytes are verified before they are believed. */
  readonly trusted: boolean
}

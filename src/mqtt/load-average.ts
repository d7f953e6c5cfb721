/** What Mosquitto shows under `$SYS/broker/load`. */
export const loadMinutes = [1, 5, 15] as const

/** How fast a number rises, per minute: averages over 1, 5 and 15 minutes in which the past fades exponentially, as in Mosquitto. */
export class LoadAverage {
  readonly #averages: [number, number, number] = [0, 0, 0]
  #before = 0

  get averages(): readonly [number, number, number] {
    return this.#averages
  }

  /** `total` is the number now, `seconds` after the last call. */
  update(total: number, seconds: number): void {
    const perMinute = ((total - this.#before) * 60) / seconds
    this.#before = total
    for (const [index, minutes] of loadMinutes.entries()) {
      const kept = Math.exp(-seconds / (60 * minutes))
      this.#averages[index] = perMinute + kept * (this.#averages[index]! - perMinute)
    }
  }
}

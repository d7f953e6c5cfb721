export interface HistogramSample {
  /** Behind the name of the metric. */
  readonly suffix: '_bucket' | '_sum' | '_count'
  readonly labels: string
  readonly value: number
}

/** How often values came, by upper bounds, as Prometheus has it. */
export class Histogram {
  /** Rising. */
  readonly #bounds: readonly number[]
  /** Values up to each bound and above the one before; the last: above all of them. */
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0)
  }

  observe(value: number, times: number): void {
    const found = this.#bounds.findIndex(bound => value <= bound)
    this.#counts[found < 0 ? this.#bounds.length : found]! += times
    this.#sum += value * times
  }

  *samples(): Generator<HistogramSample> {
    let count = 0
    for (const [index, own] of this.#counts.entries()) {
      count += own
      yield { suffix: '_bucket', labels: `{le="${this.#bounds[index] ?? '+Inf'}"}`, value: count }
    }
    yield { suffix: '_sum', labels: '', value: this.#sum }
    yield { suffix: '_count', labels: '', value: count }
  }
}

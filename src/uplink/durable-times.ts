/** A mark stands for several commits where there are more of them. */
const mostMarks = 64

/** A time, and the number of records that it is about. */
export interface Waited {
  readonly records: number
  readonly ms: number
}

/**
 * When the records of a partition became durable, for as long as they are not upstream: how long they wait there. With a backlog the times are coarser,
 * and rather too early. Of what was durable before the gateway started nobody knows.
 */
export class DurableTimes {
  /** Rising offsets; the records below, and not below the mark before, were durable at that monotonic time. */
  readonly #marks: { readonly end: number; readonly atMs: number }[] = []
  /** Records below are upstream, or nobody knows since when they are durable: what was there at the first call. */
  #from: number | undefined

  /** Records below `end` are durable. */
  advanced(end: number, atMs: number): void {
    const last = this.#marks.at(-1)?.end ?? this.#from
    if (last === undefined) this.#from = end
    if (last === undefined || end <= last) return
    this.#marks.push({ end, atMs })
    if (this.#marks.length > mostMarks) this.#merge()
  }

  /** Records below `next` are upstream: for how long those waited that had not been. */
  *acknowledged(next: number, atMs: number): Generator<Waited> {
    while (this.#marks.length > 0 && this.#from! < next) {
      const [mark] = this.#marks
      const end = Math.min(mark!.end, next)
      yield { records: end - this.#from!, ms: atMs - mark!.atMs }
      this.#from = end
      if (end === mark!.end) this.#marks.shift()
    }
  }

  /** The two neighbours with the fewest records become one, with the time of the earlier. */
  #merge(): void {
    const spanFrom = (index: number): number =>
      this.#marks[index + 1]!.end - (index === 0 ? this.#from! : this.#marks[index - 1]!.end)
    let least = 0
    for (let index = 1; index < this.#marks.length - 1; index++) if (spanFrom(index) < spanFrom(least)) least = index
    const [one, other] = this.#marks.slice(least, least + 2)
    this.#marks.splice(least, 2, { end: other!.end, atMs: one!.atMs })
  }
}

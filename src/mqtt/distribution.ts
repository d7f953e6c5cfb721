import type { GroupNumber } from '../core/brand.ts'
import { type Clock, sleep } from '../platform/clock.ts'
import type { GroupWork } from './group-work.ts'
import type { Publication } from './publication.ts'
import type { Subscriptions } from './subscriptions.ts'

interface Waiting {
  readonly group: GroupNumber
  readonly publications: Publication[]
}

/** Copies that are made in one turn of the event loop. */
const turnCopies = 4096
/** How long a deliver rule waits for subscribers before its next record. */
const congestedMs = 20
const congestedRounds = 5

/** Brings publications to their subscribers, in the order in which they came, none before it is durable. [MQTT-4.6.0-5] [MQTT-4.6.0-6] */
export class Distribution {
  readonly #work: GroupWork
  readonly #subscriptions: Subscriptions
  readonly #clock: Clock
  readonly #waiting: Waiting[] = []
  #ready: Publication[] = []
  #goesOn = false

  constructor(work: GroupWork, subscriptions: Subscriptions, clock: Clock) {
    this.#work = work
    this.#subscriptions = subscriptions
    this.#clock = clock
  }

  /** Once `group` is durable; what is not stored (undefined) comes after what waits. */
  publish(publication: Publication, group: GroupNumber | undefined): void {
    const last = this.#waiting.at(-1)
    if (last !== undefined && (group === undefined || last.group >= group)) last.publications.push(publication)
    else if (group === undefined) this.#deliver([publication])
    else {
      this.#waiting.push({ group, publications: [publication] })
      this.#work.after(group, error => this.#durable(error))
    }
  }

  /** Publishes what the log holds already; resolves when those who are connected can take more, or take too long. */
  async deliver(publication: Publication): Promise<void> {
    this.publish(publication, undefined)
    for (let round = 0; round < congestedRounds; round++) {
      if (!this.#goesOn && !this.#subscriptions.audienceOf(publication.topic).isCongested) return
      await sleep(this.#clock, congestedMs)
    }
  }

  #durable(error: Error | undefined): void {
    const { publications } = this.#waiting.shift()!
    // nobody sees what the log does not hold
    if (error === undefined) this.#deliver(publications)
  }

  #deliver(publications: readonly Publication[]): void {
    for (const publication of publications) this.#ready.push(publication)
    if (!this.#goesOn) this.#run()
  }

  /** Goes on in the next turn after so many copies: others have their turn, and what was made can be collected. */
  #run(): void {
    let copies = 0
    let taken = 0
    while (taken < this.#ready.length && copies < turnCopies) {
      const publication = this.#ready[taken++]!
      const audience = this.#subscriptions.audienceOf(publication.topic)
      audience.deliver(publication)
      copies += audience.size
    }
    this.#ready = taken === this.#ready.length ? [] : this.#ready.slice(taken)
    this.#goesOn = this.#ready.length > 0
    if (this.#goesOn) this.#clock.afterIo(() => this.#run())
  }
}

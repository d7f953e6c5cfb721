import type { Metrics } from '../core/metrics.ts'
import type { Publication } from './publication.ts'
import { identifiersOf, lowerQos, type Subscription } from './subscription.ts'

/**
 * The members of one `$share/{name}/{filter}`: each publication goes to one of them, in turn (section 4.8.2). Members that are connected and
 * keep up come first, then connected ones, then absent ones with a session.
 */
export class SharedSubscription {
  readonly #metrics: Metrics
  readonly #members: Subscription[] = []
  #next = 0

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  get isEmpty(): boolean {
    return this.#members.length === 0
  }

  get hasConnectedMember(): boolean {
    return this.#members.some(({ session }) => session.isConnected)
  }

  add(member: Subscription): void {
    this.#members.push(member)
  }

  remove(member: Subscription): void {
    const index = this.#members.indexOf(member)
    if (index < 0) return
    this.#members.splice(index, 1)
    if (index < this.#next) this.#next--
  }

  /** To one member; counted when there is none that can take it. */
  deliver(publication: Publication): void {
    const member = this.#choose(publication.qos)
    if (member === undefined) {
      this.#metrics.add('mqttDropped', 1, 'no member of the share')
      return
    }
    const { session, qos, retainAsPublished, identifier } = member
    session.deliver(
      publication,
      // [MQTT-4.8.2-3]
      lowerQos(qos, publication.qos),
      retainAsPublished && publication.retain,
      identifiersOf(identifier),
      this,
    )
  }

  #choose(qos: number): Subscription | undefined {
    const isReady = ({ session }: Subscription): boolean => session.isReady
    const isConnected = ({ session }: Subscription): boolean => session.isConnected
    const keeps = (member: Subscription): boolean => qos > 0 && member.qos > 0
    return this.#nextThat(isReady) ?? this.#nextThat(isConnected) ?? this.#nextThat(keeps)
  }

  #nextThat(fits: (member: Subscription) => boolean): Subscription | undefined {
    const count = this.#members.length
    for (let step = 0; step < count; step++) {
      const index = (this.#next + step) % count
      const member = this.#members[index]!
      if (!fits(member)) continue
      this.#next = (index + 1) % count
      return member
    }
    return undefined
  }
}

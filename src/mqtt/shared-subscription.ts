import type { PartitionId } from '../core/brand.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import { waitMs } from './backlog-reader.ts'
import type { Place } from './exchange.ts'
import type { Publication } from './publication.ts'
import { ShareBacklog } from './share-backlog.ts'
import { ShareReader } from './share-reader.ts'
import { identifiersOf, lowerQos, type Subscription, sharedFilterOf } from './subscription.ts'

export interface SharedSubscriptionParts {
  /** As subscribed, `$share/{name}/{filter}`. */
  readonly filter: string
  readonly metrics: Metrics
  /** Its last lasting member has gone: it needs no positions any more. */
  readonly unkept: () => void
}

/**
 * The members of one `$share/{name}/{filter}`: each publication goes to one of them, in turn (section 4.8.2). While one of them has a session that
 * outlives its connection, the share has positions in the log: what nobody can take is read from there when somebody can. Copies are made of what has
 * no place in the log, and for shares that are not kept.
 */
export class SharedSubscription {
  readonly filter: string
  /** What topics have to match. */
  readonly topicFilter: string
  readonly backlog = new ShareBacklog()
  readonly #parts: SharedSubscriptionParts
  readonly #members: Subscription[] = []
  #next = 0
  #isKept = false
  #isReading = false
  /** Ends the wait of the reader for a member that is ready. */
  #wake: (() => void) | undefined

  constructor(parts: SharedSubscriptionParts) {
    this.#parts = parts
    this.filter = parts.filter
    this.topicFilter = sharedFilterOf(parts.filter)!.filter
  }

  get isEmpty(): boolean {
    return this.#members.length === 0
  }

  get hasConnectedMember(): boolean {
    return this.#members.some(({ session }) => session.isConnected)
  }

  /** A member's session outlives its connection: what is published with QoS 1 or 2 waits for it. */
  get isKept(): boolean {
    return this.#isKept
  }

  add(member: Subscription): void {
    this.#members.push(member)
    this.refresh()
  }

  remove(member: Subscription): void {
    const index = this.#members.indexOf(member)
    if (index < 0) return
    this.#members.splice(index, 1)
    if (index < this.#next) this.#next--
    this.refresh()
  }

  /** The session of a member lasts longer now, or shorter. */
  refresh(): void {
    const wasKept = this.#isKept
    this.#isKept = this.#members.some(({ session, qos }) => qos > 0 && session.outlivesConnection)
    if (!wasKept || this.#isKept) return
    this.backlog.unstored()
    this.#parts.unkept()
  }

  /** Do positions tell of it, or will they, when a share that was kept is kept again? */
  mayTellOf(place: Place): boolean {
    return this.#isKept || this.backlog.tellsOf(place)
  }

  /** Needs the log a position before something is appended to the partition? */
  awaitsPosition(partition: PartitionId): boolean {
    return this.#isKept && !this.backlog.expects(partition)
  }

  /** To one member, or left in the log for whoever comes; counted when there is none that can take what is not in the log. */
  deliver(publication: Publication): void {
    const place = placeOf(publication)
    if (place === undefined || publication.qos === 0 || !this.backlog.tellsOf(place)) this.#deliverCopy(publication)
    else if (!this.backlog.covers(place) && !this.#handOver(this.#nextThat(isReady, hasRoom), publication, place)) {
      this.backlog.miss(place)
      this.catchUp()
    }
  }

  /** To a member that is ready for it. False: none is. */
  offer(publication: Publication, place: Place): boolean {
    return this.#handOver(this.#nextThat(isReady), publication, place)
  }

  /** A member has come, or one has left something: the backlog goes to those that are here. */
  catchUp(): void {
    const client = this.#members.find(isConnected)?.session.client
    if (client === undefined || this.#isReading || this.backlog.isEmpty) return
    this.#isReading = true
    void new ShareReader(this, client.connection.services).read().finally(() => {
      this.#isReading = false
      // something may have been missed in the moment in which it ended
      this.catchUp()
    })
  }

  /** Resolves when a member may be ready for more. */
  someoneReady(clock: Clock): Promise<void> {
    return new Promise(resolve => {
      const timer = clock.after(waitMs, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  /** Does it go to others, now or later, when the member that it waits for leaves? */
  takesBack(publication: Publication): boolean {
    const place = placeOf(publication)
    return (place !== undefined && this.backlog.isOpen(place)) || this.hasConnectedMember
  }

  /** The member that had it has gone. [MQTT-4.8.2-4] */
  givenBack(publication: Publication): void {
    const place = placeOf(publication)
    if (place !== undefined && this.backlog.givenBack(place)) this.catchUp()
    else this.deliver(publication)
  }

  /** A member has acknowledged it to the end, or it is over in another way. */
  done(place: Place): void {
    this.backlog.done(place)
    this.#wake?.()
    this.#wake = undefined
  }

  #handOver(member: Subscription | undefined, publication: Publication, place: Place): boolean {
    if (member === undefined) return false
    const isOpen = lowerQos(member.qos, publication.qos) > 0
    if (isOpen && !member.session.flow.hasRoomFor(publication)) return false
    // before: it may be over at once
    this.backlog.handedOver(place, isOpen)
    this.#give(member, publication)
    return true
  }

  #deliverCopy(publication: Publication): void {
    const member = this.#nextThat(isReady, isConnected, publication.qos > 0 ? keeps : isConnected)
    if (member !== undefined) this.#give(member, publication)
    else this.#parts.metrics.add('mqttDropped', 1, 'no member of the share')
  }

  #give({ session, qos, retainAsPublished, identifier }: Subscription, publication: Publication): void {
    const retain = retainAsPublished && publication.retain
    // [MQTT-4.8.2-3]
    session.deliver(publication, lowerQos(qos, publication.qos), retain, identifiersOf(identifier), this)
  }

  /** The next in turn that fits the first of `kinds` that any fits. */
  #nextThat(...kinds: readonly ((member: Subscription) => boolean)[]): Subscription | undefined {
    const count = this.#members.length
    for (const fits of kinds)
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

const placeOf = ({ partition, offset }: Publication): Place | undefined =>
  partition === undefined ? undefined : { partition, offset }

/** It is sent at once. */
const isReady = ({ session }: Subscription): boolean => session.isReady

/** It waits for its turn. */
const hasRoom = ({ session: { client, flow } }: Subscription): boolean =>
  client !== undefined && !client.isSlow && !flow.isHalfFull

const isConnected = ({ session }: Subscription): boolean => session.isConnected

/** The member is away, and has a session. */
const keeps = ({ qos }: Subscription): boolean => qos > 0

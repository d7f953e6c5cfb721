import type { Metrics } from '../core/metrics.ts'
import { FilterTree, filterMatches } from '../wire/mqtt/topic-filter.ts'
import { Audience, nobody } from './audience.ts'
import type { MemoryShare } from './memory-share.ts'
import type { Replay } from './replay.ts'
import type { Session } from './session.ts'
import { SharedSubscription } from './shared-subscription.ts'
import { type Subscription, sharedFilterOf, subscriptionBytes } from './subscription.ts'

/** After so many changes all audiences are forgotten: those that nobody asks for would keep sessions that have ended. */
const maxChanges = 512
const maxAudiences = 16_384
/** Characters of the topics whose audience is remembered. */
const maxAudienceLength = 1 << 20

interface KnownAudience {
  readonly audience: Audience
  /** How many of the changes it takes into account. */
  seen: number
}

/** Subscriptions of all sessions, present or not, found by topic. `generation` rises with every change: an audience is good as long as it stands. */
export class Subscriptions {
  readonly #metrics: Metrics
  readonly #memory: MemoryShare
  readonly #tree = new FilterTree<Subscription | SharedSubscription | Replay>()
  readonly #shares = new Map<string, SharedSubscription>()
  /** Filters of shared subscriptions that need no positions any more, as far as the log has not heard of it. */
  readonly unkept = new Set<string>()
  readonly #audiences = new Map<string, KnownAudience>()
  #audienceLength = 0
  /** Filters that were added and removed since the audiences were forgotten. */
  #changes: string[] = []
  #size = 0
  #sharedSize = 0
  #systemSize = 0

  constructor(memory: MemoryShare, metrics: Metrics) {
    this.#memory = memory
    this.#metrics = metrics
  }

  get generation(): number {
    return this.#tree.generation
  }

  /** Subscriptions of all sessions. */
  get size(): number {
    return this.#size
  }

  /** Those of them that are members of a shared one. */
  get sharedSize(): number {
    return this.#sharedSize
  }

  /** Does anybody subscribe to topics of the broker itself? */
  get hasSystemFilters(): boolean {
    return this.#systemSize > 0
  }

  /** Is there room for these filters? */
  hasRoom(filters: Iterable<string>): boolean {
    let bytes = 0
    for (const filter of filters) bytes += subscriptionBytes(filter)
    return this.#memory.hasRoom(bytes)
  }

  hasRoomForReplay({ bytes }: Replay): boolean {
    return this.#memory.hasRoom(bytes)
  }

  add(subscription: Subscription): void {
    const { filter } = subscription
    const shared = sharedFilterOf(filter)
    if (shared === undefined) this.#addTo(filter, subscription)
    else {
      let share = this.#shares.get(filter)
      if (share === undefined) {
        const unkept = (): void => void this.unkept.add(filter)
        this.#shares.set(filter, (share = new SharedSubscription({ filter, metrics: this.#metrics, unkept })))
        this.#addTo(shared.filter, share)
      }
      share.add(subscription)
    }
    this.#count(filter, 1)
  }

  remove(subscription: Subscription): void {
    const { filter } = subscription
    const shared = sharedFilterOf(filter)
    if (shared === undefined) this.#deleteFrom(filter, subscription)
    else {
      const share = this.#shares.get(filter)
      share?.remove(subscription)
      if (share?.isEmpty) {
        this.#shares.delete(filter)
        this.#deleteFrom(shared.filter, share)
      }
    }
    this.#count(filter, -1)
  }

  get shares(): Iterable<SharedSubscription> {
    return this.#shares.values()
  }

  /** By its filter as subscribed; undefined: it has no members. */
  share(filter: string): SharedSubscription | undefined {
    return this.#shares.get(filter)
  }

  /** Those that the session is a member of. */
  *sharesOf({ subscriptions }: Session): Iterable<SharedSubscription> {
    for (const filter of subscriptions.keys()) {
      const share = this.#shares.get(filter)
      if (share !== undefined) yield share
    }
  }

  /** What matches its filter goes to the replay too. */
  addReplay(replay: Replay): void {
    this.#addTo(replay.filter, replay)
    this.#memory.hold(replay.bytes)
    this.#size++
  }

  removeReplay(replay: Replay): void {
    this.#deleteFrom(replay.filter, replay)
    this.#memory.hold(-replay.bytes)
    this.#size--
  }

  /** Whose subscriptions match the topic. */
  audienceOf(topic: string): Audience {
    const known = this.#audiences.get(topic)
    if (known !== undefined && this.#holds(known, topic)) return known.audience
    const audience = this.#find(topic)
    if (known === undefined) {
      if (this.#audiences.size >= maxAudiences || this.#audienceLength + topic.length > maxAudienceLength)
        this.#forgetAudiences()
      this.#audienceLength += topic.length
    }
    this.#audiences.set(topic, { audience, seen: this.#changes.length })
    return audience
  }

  /** No filter that came or went since then matches the topic. Where more changed than there are subscribers, to find them again costs less than to look. */
  #holds(known: KnownAudience, topic: string): boolean {
    const changes = this.#changes
    if (changes.length - known.seen > known.audience.size) return false
    for (let index = known.seen; index < changes.length; index++)
      if (filterMatches(changes[index]!, topic)) return false
    known.seen = changes.length
    return true
  }

  #addTo(filter: string, value: Subscription | SharedSubscription | Replay): void {
    this.#tree.add(filter, value)
    this.#changed(filter)
  }

  #deleteFrom(filter: string, value: Subscription | SharedSubscription | Replay): void {
    this.#tree.delete(filter, value)
    this.#changed(filter)
  }

  #changed(filter: string): void {
    if (this.#changes.length >= maxChanges) this.#forgetAudiences()
    else this.#changes.push(filter)
  }

  #count(filter: string, by: 1 | -1): void {
    this.#memory.hold(by * subscriptionBytes(filter))
    const shared = sharedFilterOf(filter)
    this.#size += by
    if (shared !== undefined) this.#sharedSize += by
    if ((shared?.filter ?? filter).startsWith('$SYS')) this.#systemSize += by
  }

  #forgetAudiences(): void {
    this.#audiences.clear()
    this.#audienceLength = 0
    this.#changes = []
  }

  #find(topic: string): Audience {
    const found = this.#tree.match(topic)
    if (found.length === 0) return nobody
    const subscriptions: Subscription[] = []
    const shares: SharedSubscription[] = []
    const replays: Replay[] = []
    for (const one of found) {
      if ('session' in one) subscriptions.push(one)
      else if (one instanceof SharedSubscription) shares.push(one)
      else replays.push(one)
    }
    return new Audience(subscriptions, shares, replays)
  }
}

import type { Publication } from './publication.ts'
import type { Session } from './session.ts'
import type { SharedSubscription } from './shared-subscription.ts'
import { lowerQos, type Subscription } from './subscription.ts'

/** Subscriptions of one session that match a topic, taken together: they make one copy (section 3.3.4). */
export interface Grant {
  /** The highest of them. [MQTT-3.3.4-2] */
  readonly qos: 0 | 1 | 2
  readonly retainAsPublished: boolean
  /** All of them. [MQTT-3.3.4-4] [MQTT-3.3.4-3] [MQTT-3.3.4-5] */
  readonly identifiers: readonly number[]
}

interface Target extends Grant {
  readonly session: Session
  /** What the session gets of its own publications; undefined: nothing. [MQTT-3.8.3-3] */
  readonly own: Grant | undefined
}

/** What stands between a topic and a session, and makes one copy: a replay. */
export interface Receiver {
  deliver(publication: Publication): void
}

/** Who gets what is published to one topic. [MQTT-3.3.2-3] [MQTT-4.5.0-1] */
export class Audience {
  readonly targets: readonly Target[]
  readonly shares: readonly SharedSubscription[]
  readonly receivers: readonly Receiver[]

  constructor(
    subscriptions: readonly Subscription[],
    shares: readonly SharedSubscription[],
    receivers: readonly Receiver[],
  ) {
    this.targets = [...bySession(subscriptions)].map(([session, own]) => targetOf(session, own))
    this.shares = shares
    this.receivers = receivers
  }

  /** How many copies a publication makes. */
  get size(): number {
    return this.targets.length + this.shares.length + this.receivers.length
  }

  /** Somebody who is connected has much to take already. */
  get isCongested(): boolean {
    return this.targets.some(({ session }) => session.isConnected && session.flow.isHalfFull)
  }

  deliver(publication: Publication): void {
    for (const target of this.targets) {
      const { session } = target
      const wanted = session.clientId === publication.publisher ? target.own : target
      if (wanted === undefined) continue
      const qos = lowerQos(wanted.qos, publication.qos)
      // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
      session.deliver(publication, qos, wanted.retainAsPublished && publication.retain, wanted.identifiers, undefined)
    }
    for (const share of this.shares) share.deliver(publication)
    for (const receiver of this.receivers) receiver.deliver(publication)
  }
}

const bySession = (subscriptions: readonly Subscription[]): Map<Session, Subscription[]> => {
  const groups = new Map<Session, Subscription[]>()
  for (const subscription of subscriptions) {
    const group = groups.get(subscription.session)
    if (group === undefined) groups.set(subscription.session, [subscription])
    else group.push(subscription)
  }
  return groups
}

const targetOf = (session: Session, subscriptions: readonly Subscription[]): Target => {
  const others = subscriptions.filter(({ noLocal }) => !noLocal)
  return { session, ...grantOf(subscriptions), own: others.length === 0 ? undefined : grantOf(others) }
}

export const grantOf = (subscriptions: readonly Subscription[]): Grant => ({
  qos: Math.max(...subscriptions.map(({ qos }) => qos)) as 0 | 1 | 2,
  retainAsPublished: subscriptions.some(({ retainAsPublished }) => retainAsPublished),
  identifiers: subscriptions.flatMap(({ identifier }) => (identifier === 0 ? [] : [identifier])),
})

/** Of a topic to which nobody subscribes. */
export const nobody = new Audience([], [], [])

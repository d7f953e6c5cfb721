import type { LogRecord } from '../wire/kafka/records.ts'
import { filterMatches } from '../wire/mqtt/topic-filter.ts'
import { type BacklogTaker, readBacklog } from './backlog-reader.ts'
import { PassedOver } from './backlog-retention.ts'
import type { Place } from './exchange.ts'
import { originOf, publicationOf } from './logged-publication.ts'
import type { MqttServices } from './services.ts'
import type { ShareBacklog } from './share-backlog.ts'
import type { SharedSubscription } from './shared-subscription.ts'

/** Hands the backlog of a shared subscription to its members, each publication to one that is ready. Ends when none is connected. */
export class ShareReader implements BacklogTaker {
  readonly backlog: ShareBacklog
  isHere = true
  readonly #share: SharedSubscription
  readonly #services: MqttServices
  readonly #passedOver: PassedOver

  constructor(share: SharedSubscription, services: MqttServices) {
    this.backlog = share.backlog
    this.#share = share
    this.#services = services
    this.#passedOver = new PassedOver(services, { subscription: share.filter })
  }

  /** Until everything was read, or nobody is here. */
  async read(): Promise<void> {
    await readBacklog(this.#services, this)
    this.#passedOver.log()
  }

  async take(record: LogRecord, place: Place, logAge: number): Promise<void> {
    const origin = originOf(record)
    if (origin === undefined || origin.qos === 0 || !filterMatches(this.#share.topicFilter, origin.topic)) return
    const publication = publicationOf(this.#services, record, origin, place, logAge)
    while (this.backlog.missedFrom(place.partition) === place.offset && !this.#share.offer(publication, place)) {
      if (!this.#share.hasConnectedMember) {
        this.isHere = false
        return
      }
      await this.#share.someoneReady(this.#services.clock)
    }
  }

  refusal(logAge: number): string | undefined {
    const { broker, limits } = this.#services
    const isOld = (broker.logAge - logAge) * 1000 > limits.sessionRetentionMs
    return isOld ? 'beyond mqtt.session.retention.ms' : undefined
  }

  passedOver(records: number, reason: string): void {
    this.#passedOver.add(records, reason)
  }
}

import type { PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import { sleep } from '../platform/clock.ts'
import type { LogRecord } from '../wire/kafka/records.ts'
import { filterMatches } from '../wire/mqtt/topic-filter.ts'
import { Backlog } from './backlog.ts'
import { type BacklogTaker, readBacklog, waitMs } from './backlog-reader.ts'
import type { Client } from './client.ts'
import type { Outgoing, Place } from './exchange.ts'
import { originOf, publicationOf } from './logged-publication.ts'
import type { Publication } from './publication.ts'
import type { ReplayFilter } from './replay-filter.ts'
import type { MqttServices } from './services.ts'
import { identifiersOf, lowerQos, type Qos, subscriptionBytes } from './subscription.ts'

/** What a partition costs in its backlog, about. */
const partitionBytes = 100

export interface ReplayParts {
  readonly client: Client
  /** As the client wrote it. */
  readonly text: string
  readonly wanted: ReplayFilter
  readonly qos: Qos
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** 0: none. */
  readonly identifier: number
}

/**
 * A `$replay/{start}/{filter}` of a connected client: what the log holds, then what comes, each publication once, in the order of each partition, no
 * faster than the client takes it. It belongs to the connection. What was handed over is the session's, as copies: a replay has no positions on the log.
 */
export class Replay implements BacklogTaker {
  readonly text: string
  readonly filter: string
  /** What it costs in memory, about. */
  readonly bytes: number
  readonly backlog = new Backlog()
  /** It has not come to the end of the log yet. */
  isInPast = true
  readonly #parts: ReplayParts
  readonly #services: MqttServices
  #isOver = false
  #isReading = false

  /** From now on nothing that is published is left out; nothing is read before `start`. */
  constructor(parts: ReplayParts) {
    this.#parts = parts
    this.#services = parts.client.connection.services
    this.text = parts.text
    this.filter = parts.wanted.filter
    const { broker } = this.#services
    for (const { partitions } of broker.topics.all())
      for (const partition of partitions) this.backlog.miss(partition, this.#firstOffset(partition))
    this.bytes = subscriptionBytes(this.text) + partitionBytes * this.backlog.missed().length
  }

  get isHere(): boolean {
    return !this.#isOver
  }

  /** Reads what is past, and goes on with what comes. */
  start(): void {
    this.#read(() => this.#readPast())
  }

  /** It was unsubscribed, or the connection is gone. */
  end(): void {
    this.#isOver = true
  }

  /** A publication that matches has become durable, or is not stored at all. */
  deliver(publication: Publication): void {
    const { partition, offset } = publication
    if (this.#isOwn(publication.publisher)) return
    if (partition === undefined) {
      const { qos, retain, identifiers } = this.#formOf(publication)
      this.#parts.client.session.deliver(publication, qos, retain, identifiers, undefined)
    } else if (!this.backlog.covers(partition, offset) && !this.#offer(publication)) {
      this.backlog.miss(partition, offset)
      this.#read(() => readBacklog(this.#services, this))
    }
  }

  async take(record: LogRecord, place: Place, logAge: number): Promise<void> {
    const origin = originOf(record)
    if (origin === undefined || this.#isOwn(origin.publisher) || !filterMatches(this.filter, origin.topic)) return
    const publication = publicationOf(this.#services, record, origin, place, logAge)
    const { flow } = this.#parts.client.session
    while (this.isHere && (flow.isHalfFull || !this.#offer(publication))) await sleep(this.#services.clock, waitMs)
  }

  /** It gets what the log has, however old. */
  refusal(): undefined {
    return undefined
  }

  passedOver(records: number, reason: string): void {
    this.#services.metrics.add('mqttDropped', records, reason)
  }

  /** One reader at a time. */
  #read(work: () => Promise<void>): void {
    if (this.#isReading || this.#isOver) return
    this.#isReading = true
    void work().finally(() => {
      this.#isReading = false
      // something may have been missed in the moment in which it ended
      if (!this.backlog.isEmpty) this.#read(() => readBacklog(this.#services, this))
    })
  }

  async #readPast(): Promise<void> {
    const { broker } = this.#services
    const { start } = this.#parts.wanted
    // nobody told this replay of what was appended before it: that has to be read, not awaited; a log that has failed is read as far as it goes
    await broker.whenDurable(broker.openGroup).catch(expected)
    if ('ageMs' in start) await this.#seek(broker.logAge - start.ageMs / 1000)
    await readBacklog(this.#services, this)
    this.isInPast = false
  }

  /** Goes on to the first batch of each partition that is not older. */
  async #seek(logAge: number): Promise<void> {
    const { broker } = this.#services
    for (const [partition] of this.backlog.missed()) {
      if (!this.isHere) return
      const found = await broker.findOffsetByLogAge(partition, logAge).catch(expected)
      // unless the topic was deleted meanwhile
      if (found !== undefined && this.backlog.missedFrom(partition) !== undefined)
        this.backlog.proceed(partition, found)
    }
  }

  #firstOffset(partition: PartitionId): number {
    const { logStart, logEnd } = this.#services.broker.offsets(partition)
    const { start } = this.#parts.wanted
    return 'offset' in start ? Math.min(Math.max(start.offset, logStart), logEnd) : logStart
  }

  /** False: the client takes no more at the moment. */
  #offer(publication: Publication): boolean {
    const { client } = this.#parts
    const { qos, retain, identifiers } = this.#formOf(publication)
    if (client.isSlow) return false
    if (qos !== 0)
      return client.session.flow.add({
        publication: publication.unplaced(),
        qos,
        retain,
        identifiers,
        shared: undefined,
      })
    client.session.deliver(publication, 0, retain, identifiers, undefined)
    return true
  }

  #formOf({ qos, retain }: Publication): Pick<Outgoing, 'retain' | 'identifiers'> & { qos: Qos } {
    const { retainAsPublished, identifier } = this.#parts
    return {
      qos: lowerQos(this.#parts.qos, qos),
      retain: retainAsPublished && retain,
      identifiers: identifiersOf(identifier),
    }
  }

  #isOwn(publisher: string): boolean {
    return this.#parts.noLocal && publisher === this.#parts.client.clientId
  }
}

function expected(error: unknown): undefined {
  if (!(error instanceof BrokerError)) throw error
}

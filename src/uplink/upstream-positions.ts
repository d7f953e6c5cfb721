import type { Broker } from '../broker/broker.ts'
import { BrokerError } from '../core/errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { StateLog } from '../state/state-log.ts'
import type { PositionsPlace, UplinkView, UpstreamPosition } from '../state/uplink.ts'
import type { StateChange } from '../state/view.ts'
import type { Position } from './position.ts'
import { UplinkFenced } from './uplink-errors.ts'

export interface UpstreamParts {
  readonly broker: Broker
  readonly state: StateLog
  readonly view: UplinkView
  readonly clock: Clock
  readonly incarnation: string
}

/** Between copies: a copy costs a commit, and an old one only costs reading a little more at the next session. */
const copyEveryMs = 10_000

/**
 * What is upstream, as far as this gateway knows: the copy in the log's own state first, then what sessions read and rounds bring. Also the
 * judge of whether it is this log that it speaks of.
 */
export class UpstreamPositions {
  readonly #parts: UpstreamParts
  readonly #known = new Map<string, Position>()
  #place: PositionsPlace | undefined
  /** Known here, and newer than the copy. */
  readonly #uncopied = new Set<string>()
  #copiedAtMs: number

  constructor(parts: UpstreamParts) {
    this.#parts = parts
    this.#place = parts.view.place
    this.#copiedAtMs = parts.clock.monotonicMs()
  }

  /** From where the positions topic is read on. */
  get place(): PositionsPlace | undefined {
    return this.#place
  }

  /** Undefined: nothing of the partition was ever sent. */
  of(topic: string, partition: number): UpstreamPosition | undefined {
    return this.#known.get(`${topic}/${partition}`) ?? this.#parts.view.position(topic, partition)
  }

  take(position: Position): void {
    const key = `${position.topic}/${position.partition}`
    this.#known.set(key, position)
    this.#uncopied.add(key)
  }

  /** All positions of this log below the place are taken. */
  readThrough(place: PositionsPlace): void {
    this.#place = place
  }

  /** Throws `UplinkFenced`, now and at every later start, when another log has sent under this one's name. */
  check(): void {
    const { view, state, broker } = this.#parts
    const fenced = view.fenced(broker.logId)
    if (fenced !== undefined) throw new UplinkFenced(fenced)
    for (const position of this.#known.values()) {
      const reason = this.#strangeness(position)
      if (reason === undefined) continue
      state.write([view.putFenced(broker.logId, reason)])
      throw new UplinkFenced(reason)
    }
  }

  /** From now on positions by this start of the log are its own; durable when it resolves. */
  async claim(): Promise<void> {
    const { view, state, incarnation } = this.#parts
    if (!view.hasIncarnation(incarnation)) state.write([view.putIncarnation(incarnation, state.logAge)])
    await state.durable(view)
  }

  /** Copies what is known to the log, when the last copy is old enough; a failure leaves it for later. */
  copy(options: { now?: boolean } = {}): void {
    const { view, state, clock } = this.#parts
    const nowMs = clock.monotonicMs()
    if (this.#uncopied.size === 0 || (!options.now && nowMs - this.#copiedAtMs < copyEveryMs)) return
    const changes: StateChange[] = [...this.#uncopied].map(key => {
      const { topic, partition, topicId, last, records } = this.#known.get(key)!
      return view.putPosition(topic, partition, { topicId, last, records })
    })
    if (this.#place !== undefined) changes.push(view.putPlace(this.#place))
    try {
      state.write(changes)
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      return
    }
    this.#uncopied.clear()
    this.#copiedAtMs = nowMs
  }

  /** Why the position cannot be of this log. */
  #strangeness({ topic, partition, topicId, last, incarnation, gateway }: Position): string | undefined {
    const { view, broker } = this.#parts
    const advice = 'a log restored from a backup of this one (brooklet restore) has a name of its own'
    if (incarnation !== this.#parts.incarnation && !view.hasIncarnation(incarnation))
      return `another copy of this log has sent as ${gateway} (a clone, or this is an old backup); ${advice}`
    const local = broker.topics.find(topic)
    const id = local?.id === topicId ? local.partitions[partition] : undefined
    if (id === undefined) return undefined
    const { highWatermark } = broker.offsets(id)
    if (last < highWatermark) return undefined
    return `partition ${partition} of ${topic} ends before ${highWatermark}, but ${last} was sent (an old backup, or its end was lost); ${advice}`
  }
}

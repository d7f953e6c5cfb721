import type { Broker } from '../broker/broker.ts'
import { BrokerError } from '../core/errors.ts'
import type { Clock } from '../platform/clock.ts'
import { type StateLog, writeInOrder } from '../state/state-log.ts'
import type { KnownStart, PositionsPlace, StartOffset, UplinkView, UpstreamPosition } from '../state/uplink.ts'
import type { StateChange } from '../state/view.ts'
import type { Ancestor } from '../storage/meta.ts'
import { broughtByParents, endBefore } from './inheritance.ts'
import { startSends } from './known-starts.ts'
import type { Lane } from './lane.ts'
import { isLate, type Position } from './position.ts'
import type { Tails } from './tails.ts'
import { endOf, trackOf } from './track.ts'
import { UplinkFenced } from './uplink-errors.ts'

export interface UpstreamParts {
  readonly broker: Broker
  readonly state: StateLog
  readonly view: UplinkView
  readonly clock: Clock
  readonly incarnation: string
  /** The logs that this one was made of, oldest first; absent: none. */
  readonly ancestors?: readonly Ancestor[]
}

/** Between copies: a copy costs a commit, and an old one only costs reading a little more at the next session. */
const copyEveryMs = 10_000
/** Starts that a position names, so that a copy of the log finds where its own history begins. */
const namedStarts = 4

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
  /** All of `#known` is of this log, as far as anybody can tell. */
  #isJudged = true
  /** The newest starts, as positions name them. */
  #starts: readonly KnownStart[] = []

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
    const known = this.#known.get(`${topic}/${partition}`)
    if (known !== undefined) return known
    const copied = this.#parts.view.position(topic, partition)
    return copied !== undefined && this.heirOf.length > 0 ? broughtByParents(copied, trackOf(copied)) : copied
  }

  /** The logs whose positions upstream are this one's, too, and are still to be read; oldest first. */
  get heirOf(): readonly Ancestor[] {
    const { view, broker, ancestors = [] } = this.#parts
    return view.hasInherited(broker.logId) ? [] : ancestors
  }

  /** Late ones are passed over, but not those of another copy of this log. */
  take(position: Position): void {
    const { view, broker, incarnation } = this.#parts
    const { topic, partition, starts } = position
    const key = `${topic}/${partition}`
    const isOurs = view.start(starts[0]!.incarnation) !== undefined
    if (isOurs && isLate(position, this.of(topic, partition), broker.topics.find(topic)?.id)) return
    if (starts[0]!.incarnation !== incarnation) this.#isJudged = false
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
    this.#isJudged = true
  }

  /** All positions are known; those that this start of the log sends from now on are its own. Durable when it resolves. */
  async claim(): Promise<void> {
    const { view, state, broker, incarnation } = this.#parts
    if (view.start(incarnation)?.mayHaveSent !== true)
      state.write(startSends(view, incarnation, broker.leaderEpoch, this.#namedStarts()))
    this.#starts = view.starts().slice(0, namedStarts)
    await state.durable(view)
  }

  /** Those that positions upstream are by. */
  #namedStarts(): ReadonlySet<string> {
    const copied = this.#parts.view
      .positions()
      .filter(({ topic, partition }) => !this.#known.has(`${topic}/${partition}`))
    const positions = [...this.#known.values(), ...copied.map(({ position }) => position)]
    return new Set(positions.flatMap(({ starts }) => starts.slice(0, 1)).map(({ incarnation }) => incarnation))
  }

  /** This start of the log and those before it, newest first, each with the offset at which it began in the partition. */
  startsOf({ id, topic, topicId, partition }: Lane): readonly StartOffset[] {
    const position = this.of(topic, partition)
    const said = position?.topicId === topicId ? position.starts : []
    return this.#starts.map(({ incarnation, epoch }) => {
      // said while its records were there
      const before = said.find(start => start.incarnation === incarnation)
      return before ?? { incarnation, from: endBefore(this.#parts.broker, id, epoch) }
    })
  }

  /** Copies what is known to the log, with the starts of the tails, when the last copy is old enough; a failure leaves it for later. */
  copy(tails: Pick<Tails, 'changes' | 'copied'>, options: { now?: boolean } = {}): void {
    const { view, state, clock, broker } = this.#parts
    // what another copy of the log has sent, or may have, is nothing to remember
    if (!this.#isJudged || view.fenced(broker.logId) !== undefined) return
    const nowMs = clock.monotonicMs()
    if (this.#uncopied.size === 0 || (!options.now && nowMs - this.#copiedAtMs < copyEveryMs)) return
    const changes: StateChange[] = [...this.#uncopied].map(key => {
      const { topic, partition, gateway: _, ...position } = this.#known.get(key)!
      return view.putPosition(topic, partition, position)
    })
    if (this.#place !== undefined) changes.push(view.putPlace(this.#place))
    // behind them: a start that were newer than these positions would hide what they do not know
    changes.push(...tails.changes())
    try {
      writeInOrder(state, changes)
      tails.copied()
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      return
    }
    this.#uncopied.clear()
    this.#copiedAtMs = nowMs
  }

  /** Why the position cannot be of this log. */
  #strangeness({ topic, partition, topicId, starts, gateway, ...position }: Position): string | undefined {
    const last = endOf(trackOf(position)) - 1
    const { view, broker } = this.#parts
    const advice = 'brooklet uplink fork gives this log a name of its own'
    const start = view.start(starts[0]!.incarnation)
    if (start === undefined)
      return `another copy of this log has sent as ${gateway} (a clone, or this is an old backup); ${advice}`
    const local = broker.topics.find(topic)
    const id = local?.id === topicId ? local.partitions[partition] : undefined
    if (id === undefined) return undefined
    // what a start has sent stands before what the next one took in
    const end = endBefore(broker, id, start.epoch + 1)
    if (last < end) return undefined
    return `partition ${partition} of ${topic} ends before ${end}, but ${last} was sent (an old backup, or its end was lost); ${advice}`
  }
}

import type { Broker } from '../broker/broker.ts'
import { type GroupNumber, type PartitionId, partitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import { type Clock, sleep } from '../platform/clock.ts'
import type { MqttOutboundView, StoredWindow } from '../state/mqtt-outbound.ts'
import type { MqttSessionsView, StoredSession } from '../state/mqtt-sessions.ts'
import { type StateLog, writeInOrder } from '../state/state-log.ts'
import type { StateChange } from '../state/view.ts'
import type { Audience } from './audience.ts'
import { presentOffsets } from './present-offsets.ts'
import type { Session } from './session.ts'
import type { ShareLog } from './share-log.ts'
import type { SharedSubscription } from './shared-subscription.ts'

export interface SessionLogParts {
  readonly log: StateLog
  readonly sessions: MqttSessionsView
  readonly outbound: MqttOutboundView
  readonly shareLog: ShareLog
  readonly broker: Broker
  readonly clock: Clock
}

const retryAfterMs = 50

/**
 * The part of sessions that is in the log: what they have subscribed to, and a position in each partition from which on they may have missed
 * something. A position is written before the publication that it is for, so that no acknowledged one is missed after a crash; it follows
 * the client's acknowledgements now and then, so that a crash repeats what was delivered in the last seconds.
 */
export class SessionLog {
  readonly #log: StateLog
  readonly #view: MqttSessionsView
  readonly #outbound: MqttOutboundView
  readonly #shareLog: ShareLog
  readonly #broker: Broker
  readonly #clock: Clock
  /** What could not be written yet. */
  readonly #unsaved = new Set<string>()
  /** Their sessions have ended, and the log could not take that yet. */
  readonly #unremoved = new Set<string>()

  constructor({ log, sessions, outbound, shareLog, broker, clock }: SessionLogParts) {
    this.#log = log
    this.#view = sessions
    this.#outbound = outbound
    this.#shareLog = shareLog
    this.#broker = broker
    this.#clock = clock
  }

  /** Sessions from before the start. */
  clients(): string[] {
    return [...new Set([...this.#view.clients(), ...this.#outbound.clients()])]
  }

  stored(clientId: string): StoredSession | undefined {
    return this.#view.session(clientId)
  }

  /** Positions of the client in partitions that still exist. */
  positions(clientId: string): Iterable<[PartitionId, number]> {
    const present = new Set([...this.#broker.topics.all()].flatMap(({ partitions }) => partitions))
    return [...this.#view.positions(clientId)].filter(([partition]) => present.has(partition))
  }

  /** Packet ids that were given to publishes to the client. */
  windows(clientId: string): readonly (readonly [number: number, window: StoredWindow])[] {
    return this.#outbound.windows(clientId)
  }

  /** Writes the session as it is, if that is news; returns the group of the change. What cannot be written now is tried again. */
  save(session: Session): GroupNumber | undefined {
    const { clientId } = session
    const before = this.#view.session(clientId)
    const now = session.expiryMs === 0 ? undefined : storedForm(session)
    if (JSON.stringify(before) === JSON.stringify(now)) return undefined
    // windows go when they are done with
    return this.#write(clientId, now === undefined ? this.#view.remove(clientId) : [this.#view.put(clientId, now)])
  }

  /** The session has ended. Where the log has failed for good it stays there, and a restart finds it. */
  remove(clientId: string): void {
    this.#unsaved.delete(clientId)
    const changes = [...this.#view.remove(clientId), ...this.#outbound.removeAll(clientId)]
    if (changes.length === 0 || this.#tryRemove(changes) || !this.#log.writable) this.#unremoved.delete(clientId)
    else this.#unremoved.add(clientId)
  }

  /** Is nothing of an ended session left? */
  isRemoved(clientId: string): boolean {
    return !this.#unremoved.has(clientId)
  }

  /** Resolves then: the client's next session waits for that, else it would have positions and packet ids that are not its own after a restart. */
  async removed(clientId: string): Promise<void> {
    while (!this.isRemoved(clientId)) {
      this.remove(clientId)
      if (!this.isRemoved(clientId)) await sleep(this.#clock, retryAfterMs)
    }
  }

  /** Tries again what could not be written; `find` gives the session as it is now. */
  retry(find: (clientId: string) => Session | undefined): void {
    this.#shareLog.retry()
    for (const clientId of [...this.#unremoved]) this.remove(clientId)
    for (const clientId of [...this.#unsaved]) {
      this.#unsaved.delete(clientId)
      const session = find(clientId)
      if (session !== undefined) this.save(session)
    }
  }

  /**
   * A publication with this QoS is about to be appended to the partition: sessions that are to get it have a position from then on. Throws
   * what `StateLog.write` throws.
   */
  expect(audience: Audience, qos: number, partition: PartitionId): void {
    if (qos === 0 || audience.size === 0) return
    let changes: StateChange[] | undefined
    let sessions: Session[] | undefined
    for (const { session, qos: wanted } of audience.targets) {
      if (wanted === 0 || session.expiryMs === 0 || session.backlog.expected.has(partition)) continue
      const { logEnd } = this.#broker.offsets(partition)
      changes = [...(changes ?? []), this.#view.putPosition(session.clientId, partition, logEnd)]
      sessions = [...(sessions ?? []), session]
    }
    let shares: SharedSubscription[] | undefined
    for (const share of audience.shares) {
      if (!share.awaitsPosition(partition)) continue
      changes = [...(changes ?? []), ...this.#shareLog.expected(share, partition)]
      shares = [...(shares ?? []), share]
    }
    if (changes === undefined) return
    const { logEnd } = this.#broker.offsets(partition)
    if (changes.length > 0) this.#log.write(changes)
    for (const { backlog } of sessions ?? []) backlog.expect(partition)
    for (const { backlog } of shares ?? []) backlog.stored(partition, logEnd)
  }

  /** Brings the positions of the session forward to what its client has not acknowledged; gives up those, and windows, that are not needed any more. */
  advance(session: Session): void {
    const { clientId, backlog, flow, windows } = session
    const changes: StateChange[] = []
    const outstanding = flow.lowestOffsets()
    const positions = new Map<PartitionId, number>()
    const needless = new Set<PartitionId>()
    for (const partition of backlog.expected) {
      const offset = lower(outstanding.get(partition), backlog.missedFrom(partition))
      if (offset !== undefined) {
        if (offset > (this.#view.position(clientId, partition) ?? 0)) positions.set(partition, offset)
      } else if (backlog.wasQuiet(partition) && this.#isSettled(partition) && !windows.hasOpen(partition))
        needless.add(partition)
    }
    for (const [partition, offset] of positions) changes.push(this.#view.putPosition(clientId, partition, offset))
    for (const partition of needless) changes.push(this.#view.removePosition(clientId, partition))
    const positionOf = (partition: PartitionId): number | undefined =>
      needless.has(partition) ? undefined : (positions.get(partition) ?? this.#view.position(clientId, partition))
    const settled = windows.settled(positionOf, this.#shareLog.isPassed)
    for (const number of settled) changes.push(this.#outbound.remove(clientId, number))
    // what cannot be written now stands lower than it could
    if (changes.length === 0 || !this.#tryWrite(changes)) return
    windows.forget(settled)
    if (settled.length > 0) flow.proceed()
    for (const partition of needless) backlog.forget(partition)
  }

  /** The partitions are gone. */
  forget(session: Session, partitions: readonly PartitionId[]): void {
    const gone = partitions.filter(partition => session.backlog.expected.has(partition))
    for (const partition of gone) session.backlog.forget(partition)
    if (gone.length > 0) this.#tryWrite(gone.map(partition => this.#view.removePosition(session.clientId, partition)))
  }

  /** Nothing in the partition waits to become durable. */
  #isSettled(partition: PartitionId): boolean {
    const offsets = presentOffsets(this.#broker, partition)
    return offsets === undefined || offsets.highWatermark === offsets.logEnd
  }

  #write(clientId: string, changes: readonly StateChange[]): GroupNumber | undefined {
    if (changes.length === 0) return undefined
    try {
      return this.#writeWithShares(changes)
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      this.#unsaved.add(clientId)
      return undefined
    }
  }

  #tryRemove(changes: readonly StateChange[]): boolean {
    try {
      this.#writeWithShares(changes)
      return true
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      return false
    }
  }

  #writeWithShares(changes: readonly StateChange[]): GroupNumber | undefined {
    const group = writeInOrder(this.#log, this.#shareLog.around(changes))
    this.#shareLog.written()
    return group
  }

  #tryWrite(changes: readonly StateChange[]): boolean {
    try {
      this.#log.write(changes)
      return true
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      return false
    }
  }
}

const lower = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)

const storedForm = ({ expiryMs, subscriptions }: Session): StoredSession => ({
  expiryMs: expiryMs === Number.POSITIVE_INFINITY ? null : expiryMs,
  subscriptions: [...subscriptions.values()].map(({ filter, qos, noLocal, retainAsPublished, identifier, from }) => ({
    filter,
    qos,
    noLocal,
    retainAsPublished,
    identifier,
    from: [...from],
  })),
})

/** The offsets of a stored subscription by partition. */
export const offsetsOf = (from: readonly (readonly [number, number])[]): ReadonlyMap<PartitionId, number> =>
  new Map(from.map(([partition, offset]) => [partitionId(partition), offset]))

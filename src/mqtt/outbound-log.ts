import type { GroupNumber, PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { MqttOutboundView } from '../state/mqtt-outbound.ts'
import type { MqttSessionsView } from '../state/mqtt-sessions.ts'
import type { StateLog } from '../state/state-log.ts'
import type { StateChange } from '../state/view.ts'
import type { GroupWork } from './group-work.ts'
import { storedWindow, type WindowStep } from './packet-id-windows.ts'
import type { Session } from './session.ts'
import type { ShareLog } from './share-log.ts'

export interface OutboundLogParts {
  readonly log: StateLog
  readonly outbound: MqttOutboundView
  readonly sessions: MqttSessionsView
  readonly shareLog: ShareLog
  /** What goes on once a group is on the device. */
  readonly work: GroupWork
  readonly clock: Clock
}

/** Whatever `commit.max.bytes` is, a group holds so much. */
const groupBytes = 32 * 1024
const retryAfterMs = 50

interface Prepared {
  readonly session: Session
  readonly step: WindowStep
  readonly changes: readonly StateChange[]
  readonly positions: ReadonlyMap<PartitionId, number>
  readonly settled: readonly number[]
}

/**
 * Writes the packet id windows of all sessions, once in a turn of the event loop: ids that were given out, before their PUBLISH leaves; what
 * clients have received, before its PUBREL leaves. The latter is the session's position where all before it was received too.
 */
export class OutboundLog {
  readonly #parts: OutboundLogParts
  readonly #changed = new Set<Session>()
  #isScheduled = false
  /** Of the newest write. */
  #group: GroupNumber | undefined

  constructor(parts: OutboundLogParts) {
    this.#parts = parts
  }

  /** The windows of the session have something to write. */
  changed(session: Session): void {
    this.#changed.add(session)
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#parts.clock.afterIo(() => this.#run())
  }

  #run(): void {
    this.#isScheduled = false
    const sessions = [...this.#changed]
    this.#changed.clear()
    let prepared: Prepared[] = []
    let bytes = 0
    for (const [index, session] of sessions.entries()) {
      const one = this.#prepare(session)
      prepared.push(one)
      bytes += bytesOf(one.changes)
      if (bytes < groupBytes && index < sessions.length - 1) continue
      if (!this.#write(prepared)) {
        this.#retry([...prepared.map(({ session }) => session), ...sessions.slice(index + 1)])
        return
      }
      prepared = []
      bytes = 0
    }
  }

  /** False: not now. With a device that has failed nothing of QoS 2 leaves any more. */
  #write(prepared: readonly Prepared[]): boolean {
    const { log, work } = this.#parts
    const changes = prepared.flatMap(one => one.changes)
    try {
      if (changes.length > 0) this.#group = log.write(changes)
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      return !log.writable
    }
    for (const { session, step, positions, settled } of prepared) {
      session.windows.written(step)
      session.windows.forget(settled)
      for (const partition of positions.keys()) session.backlog.expect(partition)
    }
    const goOn = (error?: Error): void => {
      if (error === undefined) for (const { session, step } of prepared) session.flow.logged(step)
    }
    if (this.#group === undefined) goOn()
    else work.after(this.#group, goOn)
    return true
  }

  #retry(sessions: readonly Session[]): void {
    for (const session of sessions) this.#changed.add(session)
    this.#isScheduled = true
    this.#parts.clock.after(retryAfterMs, () => this.#run())
  }

  #prepare(session: Session): Prepared {
    const { outbound, sessions, shareLog } = this.#parts
    const { clientId, windows } = session
    // windows that wait for positions only are room for more
    if (windows.isFull) for (const share of windows.shares) shareLog.save(share)
    const step = windows.next()
    const { assigned, received } = step
    const changes: StateChange[] = []
    if (assigned.some(({ qos }) => qos === 2))
      changes.push(outbound.put(clientId, windows.nextNumber, storedWindow(assigned)))
    const positions = this.#positions(session, received)
    for (const [partition, offset] of positions) changes.push(sessions.putPosition(clientId, partition, offset))
    const positionOf = (partition: PartitionId): number | undefined =>
      positions.get(partition) ?? sessions.position(clientId, partition)
    // a window of which something was received out of order says so itself
    const told = received.filter(({ isOwn, place }) => !isOwn || (positionOf(place!.partition) ?? 0) <= place!.offset)
    const settled = windows.settled(positionOf, shareLog.isPassed)
    for (const number of new Set(told.map(({ window }) => window))) {
      const window = settled.includes(number) ? undefined : windows.stored(number)
      if (window !== undefined) changes.push(outbound.put(clientId, number, window))
    }
    for (const number of settled) changes.push(outbound.remove(clientId, number))
    return { session, step, changes, positions, settled }
  }

  /** Positions that rise because of what the client has received. */
  #positions(session: Session, received: WindowStep['received']): Map<PartitionId, number> {
    const positions = new Map<PartitionId, number>()
    const partitions = new Set(received.flatMap(({ isOwn, place }) => (isOwn ? [place!.partition] : [])))
    if (partitions.size === 0) return positions
    const lowest = session.flow.lowestOffsets()
    for (const partition of partitions) {
      const position = session.backlog.position(partition, lowest.get(partition))
      const before = this.#parts.sessions.position(session.clientId, partition) ?? 0
      if (position !== undefined && position > before) positions.set(partition, position)
    }
    return positions
  }
}

const bytesOf = (changes: readonly StateChange[]): number =>
  changes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)

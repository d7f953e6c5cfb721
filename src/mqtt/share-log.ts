import type { Broker } from '../broker/broker.ts'
import { type PartitionId, partitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { StoredWindow } from '../state/mqtt-outbound.ts'
import { isDoneAt, type MqttSharesView } from '../state/mqtt-shares.ts'
import { type StateLog, writeInOrder } from '../state/state-log.ts'
import type { StateChange } from '../state/view.ts'
import type { Place } from './exchange.ts'
import { presentOffsets } from './present-offsets.ts'
import type { SharedSubscription } from './shared-subscription.ts'
import type { Subscriptions } from './subscriptions.ts'

export interface ShareLogParts {
  readonly log: StateLog
  readonly shares: MqttSharesView
  readonly broker: Broker
}

/**
 * Positions of shared subscriptions in the log. One is written before the publication that it is for, follows acknowledgements now and then, and goes
 * with the last member whose session outlives its connection. What it says of QoS 2 stands in packet id windows until it says it.
 */
export class ShareLog {
  readonly #log: StateLog
  readonly #view: MqttSharesView
  readonly #broker: Broker
  readonly #subscriptions: Subscriptions
  /** Their positions have to be written before something that a session has of them goes. */
  readonly #changed = new Set<SharedSubscription>()

  constructor({ log, shares, broker }: ShareLogParts, subscriptions: Subscriptions) {
    this.#log = log
    this.#view = shares
    this.#broker = broker
    this.#subscriptions = subscriptions
  }

  /** Positions from before the start, once all members are there; those that nobody needs go. */
  restore(): void {
    for (const filter of this.#view.filters()) {
      const share = this.#subscriptions.share(filter)
      for (const [partition, position] of this.#view.positions(filter))
        if (share?.isKept && presentOffsets(this.#broker, partition) !== undefined)
          share.backlog.restore(partition, position)
      this.#subscriptions.unkept.add(filter)
    }
  }

  /** Does the position of the share say that the publication there is done? True where it has none. */
  readonly isPassed = (share: SharedSubscription, { partition, offset }: Place): boolean => {
    const position = this.#view.position(share.filter, partition)
    return position === undefined || isDoneAt(position, offset)
  }

  /** The change that gives the share a position in the partition, before something is appended there. */
  expected({ backlog, filter }: SharedSubscription, partition: PartitionId): StateChange[] {
    const next = this.#broker.offsets(partition).logEnd
    const change = this.#view.put(filter, partition, backlog.position(partition) ?? { next, pending: [] })
    return change === undefined ? [] : [change]
  }

  /** What a session has of the share is about to go from the log. */
  changed(share: SharedSubscription): void {
    this.#changed.add(share)
  }

  /** A session has ended with these windows: what it was sent goes to nobody else. [MQTT-4.8.2-5] */
  abandoned(windows: readonly StoredWindow[]): void {
    for (const [filter, ids] of windows.flatMap(({ shared }) => shared)) {
      const share = this.#subscriptions.share(filter)
      if (share === undefined) continue
      for (const [, partition, offset] of ids) share.backlog.claim({ partition: partitionId(partition), offset })
      this.#changed.add(share)
    }
  }

  /** The changes of a session, between what has to be in the log before them and what has to be after them. */
  around(changes: readonly StateChange[]): StateChange[] {
    const before = [...this.#changed].flatMap(share => this.#positions(share))
    return [...before, ...changes, ...this.#removals()]
  }

  /** What `around` gave is in the log. */
  written(): void {
    this.#changed.clear()
    this.#subscriptions.unkept.clear()
  }

  /** Writes what could not be written with a session. */
  retry(): void {
    if (this.#changed.size + this.#subscriptions.unkept.size > 0 && this.#tryWrite(this.around([]))) this.written()
  }

  /** Positions of the share, as they are now. What cannot be written stands lower than it could. */
  save(share: SharedSubscription): void {
    this.#tryWrite(this.#positions(share))
  }

  /** Brings positions forward to what members have not acknowledged; gives up those that are not needed any more. */
  advance(share: SharedSubscription): void {
    const { backlog, filter } = share
    const needless = [...backlog.partitions].filter(
      partition => backlog.wasQuiet(partition) && this.#isSettled(partition),
    )
    const removals = needless.flatMap(partition => this.#removal(filter, partition))
    const positions = this.#positions(share).filter(({ key }) => !removals.some(removal => removal.key.equals(key)))
    this.#tryWrite([...positions, ...removals])
    for (const partition of needless) if (!this.#has(filter, partition)) backlog.forget(partition)
  }

  /** The partitions are gone. */
  forget({ backlog, filter }: SharedSubscription, partitions: readonly PartitionId[]): void {
    for (const partition of partitions) backlog.forget(partition)
    this.#tryWrite(partitions.flatMap(partition => this.#removal(filter, partition)))
  }

  /** Positions as they are now, as far as that is news. */
  #positions({ backlog, filter }: SharedSubscription): StateChange[] {
    return [...backlog.partitions].flatMap(partition => {
      const position = backlog.isStored(partition) ? backlog.position(partition) : undefined
      return (position && this.#view.put(filter, partition, position)) ?? []
    })
  }

  /** Positions of shares that need none. */
  #removals(): StateChange[] {
    return [...this.#subscriptions.unkept].flatMap(filter => {
      const share = this.#subscriptions.share(filter)
      return [...this.#view.positions(filter).keys()].flatMap(partition =>
        share?.backlog.isStored(partition) ? [] : [this.#view.remove(filter, partition)],
      )
    })
  }

  #removal(filter: string, partition: PartitionId): StateChange[] {
    return this.#has(filter, partition) ? [this.#view.remove(filter, partition)] : []
  }

  #has(filter: string, partition: PartitionId): boolean {
    return this.#view.position(filter, partition) !== undefined
  }

  /** Nothing in the partition waits to become durable. */
  #isSettled(partition: PartitionId): boolean {
    const offsets = presentOffsets(this.#broker, partition)
    return offsets === undefined || offsets.highWatermark === offsets.logEnd
  }

  #tryWrite(changes: readonly StateChange[]): boolean {
    try {
      writeInOrder(this.#log, changes)
      return true
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      return false
    }
  }
}

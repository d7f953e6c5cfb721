import { type PartitionId, partitionId } from '../core/brand.ts'
import { LazyMap } from '../core/lazy-map.ts'
import type { StoredPacketId, StoredWindow } from '../state/mqtt-outbound.ts'
import { Exchange, type Place } from './exchange.ts'
import type { SharedSubscription } from './shared-subscription.ts'

/** Publishes whose packet ids are written together, at most. */
const windowLimit = 512
/** Packet ids that the log keeps for one client, at most; no more publishes are sent then. */
const limit = 8192

/** What the next write has of one session. */
export interface WindowStep {
  /** Their PUBLISH may leave afterwards, in this order; those with QoS 1 wait for their turn only. */
  readonly assigned: readonly Exchange[]
  /** Their PUBREL may leave afterwards. */
  readonly received: readonly Exchange[]
}

/** What the log says beside windows. */
export interface RestoredPositions {
  /** Of the client, by partition. */
  readonly positions: ReadonlyMap<number, number>
  /** Undefined: the shared subscription has no members any more. */
  readonly shareOf: (filter: string) => SharedSubscription | undefined
}

/** The session that the windows are of. */
export interface WindowsKeeper {
  readonly outlivesConnection: boolean
  /** There is something to write. */
  windowsChanged(): void
}

/**
 * QoS 2 packet ids of one session as the log has them: given out in windows, each a record that is written before the first PUBLISH of it leaves.
 * A window stays until the client has acknowledged all of it and its position has passed it, so that what was received is not read from the log again.
 */
export class PacketIdWindows {
  readonly #keeper: WindowsKeeper
  readonly #windows = new LazyMap<number, Exchange[]>()
  #assigned: Exchange[] = []
  #received: Exchange[] = []
  #nextNumber = 0
  /** In windows, and assigned. */
  #count = 0
  #pending = 0
  /** Offsets that exchanges from before the start stand at. */
  readonly #restored = new LazyMap<PartitionId, Set<number>>()

  constructor(keeper: WindowsKeeper) {
    this.#keeper = keeper
  }

  get areNeeded(): boolean {
    return this.#keeper.outlivesConnection
  }

  get isEmpty(): boolean {
    return this.#windows.size === 0
  }

  get isFull(): boolean {
    return this.#count >= limit
  }

  /** Something waits until its packet id is in the log. */
  get isPending(): boolean {
    return this.#pending > 0
  }

  /** Its PUBLISH leaves after those that came before; with QoS 2 not before the log has its packet id. */
  assign(exchange: Exchange): void {
    exchange.stage = 'logging'
    this.#assigned.push(exchange)
    this.#pending++
    if (exchange.qos === 2) this.#count++
    this.#keeper.windowsChanged()
  }

  /** PUBREC came. */
  receive(exchange: Exchange): void {
    this.#received.push(exchange)
    this.#keeper.windowsChanged()
  }

  /** The exchange is at its end. */
  completed(exchange: Exchange): void {
    exchange.finish()
    if (this.isFull) this.#keeper.windowsChanged()
  }

  /** What is to be written now. Nothing is forgotten before `written`. */
  next(): WindowStep {
    return { assigned: this.#assigned.slice(0, windowLimit), received: [...this.#received] }
  }

  /** The number that the next window gets. */
  get nextNumber(): number {
    return this.#nextNumber
  }

  /** The step is in the log, though it may not be durable. */
  written({ assigned, received }: WindowStep): void {
    this.#assigned = this.#assigned.slice(assigned.length)
    this.#received = this.#received.slice(received.length)
    const numbered = assigned.filter(({ qos }) => qos === 2)
    if (numbered.length > 0) {
      for (const exchange of numbered) exchange.window = this.#nextNumber
      this.#windows.set(this.#nextNumber++, numbered)
    }
    if (this.#assigned.length > 0) this.#keeper.windowsChanged()
  }

  /** What was assigned is durable. */
  logged({ assigned }: WindowStep): void {
    this.#pending -= assigned.length
  }

  /** The window as it is to be written now; undefined: it is forgotten. */
  stored(number: number): StoredWindow | undefined {
    const exchanges = this.#windows.get(number)
    return exchanges && storedWindow(exchanges)
  }

  /**
   * Windows of which nothing is needed any more. `position` is what the log says of the client in a partition, undefined when it keeps no
   * position there; `isPassed` whether it says of a shared subscription that a publication is done.
   */
  settled(
    position: (partition: PartitionId) => number | undefined,
    isPassed: (share: SharedSubscription, place: Place) => boolean,
  ): number[] {
    const isSettled = ({ isDone, isOwn, share, place }: Exchange): boolean => {
      if (!isDone) return false
      if (isOwn) return (position(place!.partition) ?? Number.POSITIVE_INFINITY) > place!.offset
      return share === undefined || isPassed(share, place!)
    }
    return [...this.#windows].flatMap(([number, exchanges]) => (exchanges.every(isSettled) ? [number] : []))
  }

  /** They are removed from the log. */
  forget(numbers: readonly number[]): void {
    for (const number of numbers) {
      const exchanges = this.#windows.get(number) ?? []
      this.#windows.delete(number)
      this.#count -= exchanges.length
      for (const { place } of exchanges)
        if (place !== undefined) this.#restored.get(place.partition)?.delete(place.offset)
    }
  }

  /** Shared subscriptions that exchanges in windows are for: their positions have to say what is over before a window goes. */
  get shares(): ReadonlySet<SharedSubscription> {
    const shares = new Set<SharedSubscription>()
    for (const exchanges of this.#windows.values())
      for (const { share } of exchanges) if (share !== undefined) shares.add(share)
    return shares
  }

  /** Something in the partition is under way for the client's own subscriptions. */
  hasOpen(partition: PartitionId): boolean {
    for (const exchanges of this.#windows.values())
      if (exchanges.some(({ isDone, isOwn, place }) => !isDone && isOwn && place!.partition === partition)) return true
    return false
  }

  /** An exchange from before the start has this publication: it is not to be read from the log as a new one. */
  has(partition: PartitionId, offset: number): boolean {
    return this.#restored.get(partition)?.has(offset) ?? false
  }

  /** Windows from before the start; returns what is under way, in the order in which it began. Nobody else of a shared subscription gets it. */
  restore(windows: readonly (readonly [number: number, window: StoredWindow])[], told: RestoredPositions): Exchange[] {
    const underWay = new Map<number, Exchange>()
    for (const [number, window] of windows) {
      const exchanges = restored(window, told)
      for (const exchange of exchanges) {
        exchange.window = number
        // a packet id that is given again was done with
        const before = underWay.get(exchange.packetId)
        before?.finish()
        underWay.delete(exchange.packetId)
        underWay.set(exchange.packetId, exchange)
        this.#remember(exchange)
      }
      this.#windows.set(number, exchanges)
      this.#count += exchanges.length
      this.#nextNumber = number + 1
    }
    for (const exchanges of this.#windows.values())
      for (const { share, place } of exchanges) share?.backlog.claim(place!)
    return [...underWay.values()]
  }

  /** The session has ended. */
  end(): void {
    this.#windows.clear()
    this.#restored.clear()
    this.#assigned = []
    this.#received = []
    this.#count = 0
    this.#pending = 0
  }

  #remember({ isOwn, place }: Exchange): void {
    if (!isOwn) return
    const offsets = this.#restored.get(place!.partition)
    if (offsets === undefined) this.#restored.set(place!.partition, new Set([place!.offset]))
    else offsets.add(place!.offset)
  }
}

/** A window of these exchanges, those with QoS 1 left out. */
export const storedWindow = (exchanges: readonly Exchange[]): StoredWindow => {
  const numbered = exchanges.filter(({ qos }) => qos === 2)
  const shares = new Set(numbered.flatMap(({ share }) => share ?? []))
  return {
    own: numbered.filter(({ isOwn }) => isOwn).map(storedId),
    other: numbered.filter(({ isOwn, share }) => !isOwn && share === undefined).map(storedId),
    shared: [...shares].map(one => [one.filter, numbered.filter(({ share }) => share === one).map(storedId)]),
    received: numbered.filter(({ isUnreceived, isDone }) => !isUnreceived || isDone).map(({ packetId }) => packetId),
  }
}

const storedId = ({ packetId, place }: Exchange): StoredPacketId => [
  packetId,
  place?.partition ?? -1,
  place?.offset ?? -1,
]

const restored = (window: StoredWindow, { positions, shareOf }: RestoredPositions): Exchange[] => {
  const told = new Set(window.received)
  const exchange =
    (from: 'own' | 'other' | SharedSubscription) =>
    ([packetId, partition, offset]: StoredPacketId): Exchange => {
      const place = partition < 0 ? undefined : { partition: partitionId(partition), offset }
      const isPassed = from === 'own' && offset < (positions.get(partition) ?? 0)
      return Exchange.restored(packetId, place, from, told.has(packetId) || isPassed)
    }
  return [
    ...window.own.map(exchange('own')),
    ...window.other.map(exchange('other')),
    ...window.shared.flatMap(([filter, ids]) => ids.map(exchange(shareOf(filter) ?? 'other'))),
  ]
}

import type { Broker } from '../../broker/broker.ts'
import type { RemoteLog, RemoteRead } from '../../broker/remote-log.ts'
import type { Cluster } from '../../client/cluster.ts'
import { isClientError } from '../../client/kafka-error.ts'
import { earliestOffset, offsetFor } from '../../client/partition-offsets.ts'
import type { Settings } from '../../config/settings.ts'
import type { PartitionId } from '../../core/brand.ts'
import { toCentral } from '../../core/offset-syncs.ts'
import type { Clock, Timer } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Random } from '../../platform/random.ts'
import type { StateLog } from '../../state/state-log.ts'
import type { Topic } from '../../state/topics.ts'
import type { UplinkView } from '../../state/uplink.ts'
import { emptyBatch } from '../../wire/kafka/empty-batch.ts'
import { Backoff } from '../backoff.ts'
import type { Lane } from '../lane.ts'
import type { Uplink } from '../uplink.ts'
import { Bookmarks } from './bookmarks.ts'
import { FoundStarts } from './found-starts.ts'
import { fetchBytes, RemoteReader } from './remote-reader.ts'
import { isSameStretch, type NoStretch, type Stretch, stretchOf } from './stretch.ts'

export interface RemoteReadsParts {
  readonly broker: Broker
  readonly uplink: Pick<Uplink, 'lanes' | 'offsetMaps' | 'delivery' | 'state' | 'isSettled' | 'openCluster'>
  readonly state: StateLog
  readonly view: UplinkView
  readonly settings: Settings
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Part of `memory.budget` that all of it may take, but for one batch more of each reader. */
const shareOfBudget = 1 / 8
const readerBytes = 1 << 20
const mostReaders = 8
/** Readers that wait for the central cluster, or unpack what it gave, at once. */
const mostAtOnce = 2
/** Nobody has asked for so long: what was read ahead is let go. */
const idleMs = 30_000
const sweepMs = 5_000
/** The first record that is left may stand behind many of other gateways. */
const searchMs = 60_000

export interface RemoteStatus {
  readonly start: number
  readonly problem: string | null
}

/**
 * Reads below the local log start, from the central cluster (decision 070): some readers, each with one place in one partition and a little ahead of who
 * asks, on connections of their own.
 */
export class RemoteReads implements RemoteLog {
  readonly #parts: RemoteReadsParts
  readonly #readers = new Set<RemoteReader>()
  /** Those with something to do, in turns. */
  readonly #queue = new Set<RemoteReader>()
  readonly #mostReaders: number
  readonly #bookmarks = new Bookmarks()
  readonly #starts: FoundStarts
  readonly #searches = new Map<PartitionId, Promise<void>>()
  readonly #errors = new Map<PartitionId, string>()
  /** Absent while nobody reads. */
  #cluster: Cluster | undefined
  readonly #running = new Set<RemoteReader>()
  #heldBytes = 0
  #sweep: Timer | undefined
  #awaitsMemory = false
  #isStopped = false

  constructor(parts: RemoteReadsParts) {
    this.#parts = parts
    this.#starts = new FoundStarts(parts.clock)
    const { memory, metrics } = parts.broker
    const budgetBytes = memory.limitBytes * shareOfBudget
    this.#mostReaders = Math.min(mostReaders, Math.max(1, Math.floor(budgetBytes / readerBytes)))
    metrics.gauge('remoteReadHeldBytes', () => this.#heldBytes)
  }

  read({ name }: Topic, partition: number, offset: number, maxBytes: number): RemoteRead {
    const { broker, uplink, clock } = this.#parts
    const lane = uplink.lanes.find(name, partition)
    if (lane === undefined) return { kind: 'gone' }
    const stretch = this.#stretchOf(lane)
    // before the first session nobody knows what is upstream
    if (stretch === undefined) return { kind: 'awaited' }
    if ('reason' in stretch || offset < this.#lowest(lane, stretch)) return { kind: 'gone' }
    const { logStart } = broker.offsets(lane.id)
    const gap: RemoteRead = { kind: 'batches', batches: [emptyBatch(offset, logStart - 1)] }
    // it left before it was sent
    if (offset >= lane.next) return uplink.isSettled(lane) ? gap : { kind: 'awaited' }
    const reader = this.#readerAt(lane, stretch, offset)
    if (reader === undefined) return { kind: 'awaited' }
    reader.askedMs = clock.monotonicMs()
    if (!reader.covers(offset)) return this.#awaited(reader)
    const batches = reader.take(offset, Math.min(logStart, lane.next), maxBytes)
    this.#account()
    const isOver =
      reader.upcoming === undefined ? reader.isAtEnd && uplink.isSettled(lane) : reader.upcoming >= logStart
    if (batches === undefined && isOver) return gap
    const awaited = this.#awaited(reader)
    return batches === undefined ? awaited : { kind: 'batches', batches }
  }

  async totalStart(topic: Topic, partition: number, timeoutMs: number): Promise<number | undefined> {
    const { broker, uplink, clock } = this.#parts
    const id = topic.partitions[partition]!
    const lane = uplink.lanes.find(topic.name, partition)
    const stretch = lane && this.#stretchOf(lane)
    const { logStart } = broker.offsets(id)
    if (lane === undefined || logStart === 0 || (stretch !== undefined && 'reason' in stretch)) return logStart
    if (stretch === undefined) return undefined
    if (this.#lowest(lane, stretch) >= logStart) return logStart
    if (!this.#starts.isFresh(lane, stretch)) {
      const search = this.#searches.get(id) ?? this.#search(lane, stretch)
      let timer: Timer | undefined
      await Promise.race([search, new Promise<void>(resolve => void (timer = clock.after(timeoutMs, resolve)))])
      timer?.cancel()
    }
    return this.#starts.isFresh(lane, stretch) ? this.knownStart(topic, partition) : undefined
  }

  knownStart(topic: Topic, partition: number): number | undefined {
    const lane = this.#parts.uplink.lanes.find(topic.name, partition)
    const stretch = lane && this.#stretchOf(lane)
    if (lane === undefined || stretch === undefined || 'reason' in stretch) return undefined
    const start = this.#starts.of(lane, stretch)
    return start && Math.min(this.#lowest(lane, stretch), this.#parts.broker.offsets(lane.id).logStart)
  }

  async deleteBefore({ name, id }: Topic, partition: number, offset: number): Promise<void> {
    const { view, state } = this.#parts
    if (offset <= this.#deletedBelow(name, id, partition)) return
    state.write([view.putDeleted(name, partition, { topicId: id, below: offset })])
    await state.durable(view)
  }

  /** For `uplink status`: from where on the partition can be read there or here, as far as it is known, and what is against reading it there. */
  status(lane: Lane): RemoteStatus {
    const stretch = this.#stretchOf(lane)
    const { logStart } = this.#parts.broker.offsets(lane.id)
    const isNothing = Object.keys(lane.ledger.central).length === 0
    if (isNothing) return { start: logStart, problem: null }
    if (stretch === undefined) return { start: logStart, problem: 'the uplink has had no session since the start' }
    if ('reason' in stretch) return { start: logStart, problem: stretch.reason }
    return { start: Math.min(logStart, this.#lowest(lane, stretch)), problem: this.#errors.get(lane.id) ?? null }
  }

  stop(): void {
    this.#isStopped = true
    this.#sweep?.cancel()
    for (const reader of [...this.#readers]) this.#end(reader)
    this.#cluster?.close()
  }

  /** Undefined: not known before the first session. */
  #stretchOf(lane: Lane): Stretch | NoStretch | undefined {
    const { uplink } = this.#parts
    // its positions are those of a log of the same name, which has other records
    if (uplink.state === 'fenced') return { reason: 'this log is fenced' }
    return uplink.delivery === undefined ? undefined : stretchOf(lane)
  }

  /** Below it nothing is read: a start only rises. */
  #lowest(lane: Lane, stretch: Stretch): number {
    const { topic, topicId, partition } = lane
    const deleted = this.#deletedBelow(topic, topicId, partition)
    return Math.max(stretch.named, deleted, this.#starts.of(lane, stretch)?.local ?? 0)
  }

  #deletedBelow(topic: string, topicId: string, partition: number): number {
    const deleted = this.#parts.view.deleted(topic, partition)
    return deleted?.topicId === topicId ? deleted.below : 0
  }

  #awaited(reader: RemoteReader): RemoteRead {
    if (this.#hasMoreToRead(reader)) this.#queue.add(reader)
    this.#pump()
    return { kind: 'awaited' }
  }

  #readerAt(lane: Lane, stretch: Stretch, offset: number): RemoteReader | undefined {
    const covering = this.#readersOf(lane, stretch).find(reader => reader.covers(offset))
    const found = covering ?? this.#searcherOf(lane, stretch)
    return found ?? this.#begin(lane, stretch, offset, this.#placeOf(lane, stretch, offset))
  }

  #readersOf(lane: Lane, stretch: Stretch): readonly RemoteReader[] {
    return [...this.#readers].filter(reader => reader.lane === lane && isSameStretch(reader.stretch, stretch))
  }

  /** One that looks for the first record that is left. */
  #searcherOf(lane: Lane, stretch: Stretch): RemoteReader | undefined {
    return this.#readersOf(lane, stretch).find(({ from }) => from === undefined)
  }

  /** The best central offset that is known for a local one: it leaves out nothing. */
  #placeOf(lane: Lane, stretch: Stretch, offset: number): number {
    const map = this.#parts.uplink.offsetMaps.of(lane)
    const synced = map && toCentral(map, offset).get(stretch.central)?.offset
    const start = this.#starts.of(lane, stretch)
    const marked = this.#bookmarks.at(lane.id, stretch.targetId, offset)
    return Math.max(stretch.firstCentral, synced ?? 0, start?.central ?? 0, marked ?? 0)
  }

  /** Undefined: all readers are in use, it comes to its turn. */
  #begin(lane: Lane, stretch: Stretch, local: number | undefined, central: number): RemoteReader | undefined {
    const { broker, settings, random, clock } = this.#parts
    const nowMs = clock.monotonicMs()
    if (this.#isStopped || (this.#readers.size >= this.#mostReaders && !this.#makeRoom(nowMs))) return undefined
    const backoff = new Backoff(settings['uplink.retry.backoff.ms'], settings['uplink.retry.backoff.max.ms'], random)
    const reader = new RemoteReader(lane, stretch, { local, central }, { logId: broker.logId, backoff, nowMs })
    this.#readers.add(reader)
    this.#sweep ??= clock.after(sweepMs, () => this.#dropIdle())
    return reader
  }

  /** Whoever has had something, or does not ask any more, makes room for another: the one that asked longest ago. */
  #makeRoom(nowMs: number): boolean {
    const [oldest] = [...this.#readers]
      .filter(({ hasServed, askedMs }) => hasServed || nowMs - askedMs > sweepMs)
      .sort((one, other) => one.askedMs - other.askedMs)
    if (oldest !== undefined) this.#end(oldest)
    return oldest !== undefined
  }

  #end(reader: RemoteReader): void {
    this.#readers.delete(reader)
    this.#queue.delete(reader)
    const { local, central } = reader.place
    if (local !== undefined) this.#bookmarks.put(reader.lane.id, reader.stretch.targetId, { local, central })
    this.#account()
  }

  #dropIdle(): void {
    const { clock, broker } = this.#parts
    const leastMs = clock.monotonicMs() - (broker.memory.awaited ? sweepMs : idleMs)
    for (const reader of [...this.#readers]) if (reader.askedMs < leastMs) this.#end(reader)
    const isIdle = this.#readers.size === 0 && this.#running.size === 0 && this.#searches.size === 0
    if (isIdle) {
      this.#cluster?.close()
      this.#cluster = undefined
    }
    this.#sweep = isIdle ? undefined : clock.after(sweepMs, () => this.#dropIdle())
  }

  #hasMoreToRead(reader: RemoteReader): boolean {
    if (!this.#readers.has(reader) || reader.isAtEnd) return false
    const { clock, broker } = this.#parts
    const isWanted = clock.monotonicMs() - reader.askedMs < idleMs
    const isLocal = (reader.next ?? 0) >= broker.offsets(reader.lane.id).logStart
    return isWanted && !isLocal && reader.readyBytes < readerBytes - fetchBytes
  }

  #pump(): void {
    const { clock, broker } = this.#parts
    if (broker.memory.exhausted) {
      if (!this.#awaitsMemory) broker.memory.onRelief(() => this.#relieved())
      this.#awaitsMemory = true
      return
    }
    const nowMs = clock.monotonicMs()
    for (const reader of this.#queue) {
      if (this.#running.size >= mostAtOnce) return
      if (this.#running.has(reader) || reader.restUntilMs > nowMs) continue
      this.#queue.delete(reader)
      void this.#run(reader)
    }
  }

  #relieved(): void {
    this.#awaitsMemory = false
    this.#pump()
  }

  /** One step of a reader. */
  async #run(reader: RemoteReader): Promise<void> {
    const { broker, clock } = this.#parts
    const { lane } = reader
    const wasSearching = reader.from === undefined
    this.#running.add(reader)
    try {
      if (reader.mustFetch) {
        const bytes = await reader.fetch(this.#openCluster())
        broker.metrics.add('remoteReads')
        broker.metrics.add('remoteReadBytes', bytes)
      }
      await reader.unpack()
      reader.backoff.reset()
      this.#errors.delete(lane.id)
    } catch (error) {
      this.#failed(lane, error)
      const pauseMs = reader.backoff.pauseMs()
      reader.restUntilMs = clock.monotonicMs() + pauseMs
      clock.after(pauseMs, () => this.#pump())
    } finally {
      this.#running.delete(reader)
      this.#account()
    }
    if (wasSearching && (reader.from !== undefined || reader.isAtEnd)) this.#foundStart(reader)
    if (this.#hasMoreToRead(reader)) this.#queue.add(reader)
    if (wasSearching || reader.upcoming !== undefined || reader.isAtEnd) broker.wakeReaders(lane.id)
    // devices have their turn between two batches
    clock.afterIo(() => this.#pump())
  }

  #openCluster(): Cluster {
    this.#cluster ??= this.#parts.uplink.openCluster()
    return this.#cluster
  }

  #failed(lane: Lane, error: unknown): void {
    if (!isClientError(error)) throw error
    if (this.#isStopped) return
    const { logger, broker } = this.#parts
    this.#cluster?.forgetAll()
    broker.metrics.add('remoteReadErrors')
    const { topic, partition } = lane
    if (this.#errors.get(lane.id) !== error.message)
      logger.warn({ topic, partition, error: error.message }, 'records cannot be read from the central cluster')
    this.#errors.set(lane.id, error.message)
  }

  /** One search at a time for a partition; it ends when the start is known or cannot be found. */
  #search(lane: Lane, stretch: Stretch): Promise<void> {
    this.#sweep ??= this.#parts.clock.after(sweepMs, () => this.#dropIdle())
    const search = this.#findStart(lane, stretch)
      .catch(error => this.#failed(lane, error))
      .finally(() => this.#searches.delete(lane.id))
    this.#searches.set(lane.id, search)
    return search
  }

  async #findStart(lane: Lane, stretch: Stretch): Promise<void> {
    const { clock, broker } = this.#parts
    const source = { topic: stretch.target, partition: stretch.central }
    const central = (await offsetFor(this.#openCluster(), source, earliestOffset)) ?? 0
    this.#errors.delete(lane.id)
    const known = this.#starts.of(lane, stretch)
    if (central <= stretch.firstCentral) return this.#starts.note(lane, stretch, stretch.named, stretch.firstCentral)
    if (known !== undefined && central <= known.central)
      return this.#starts.note(lane, stretch, known.local, known.central)
    // nothing of it is left
    if (central > lane.ledger.central[stretch.central]!.last)
      return this.#starts.note(lane, stretch, lane.next, central)
    const endsMs = clock.monotonicMs() + searchMs
    while (clock.monotonicMs() < endsMs && !this.#isStopped && !this.#starts.isFresh(lane, stretch)) {
      const reader = this.#searcherOf(lane, stretch) ?? this.#begin(lane, stretch, undefined, central)
      if (reader !== undefined) {
        reader.askedMs = clock.monotonicMs()
        this.#awaited(reader)
      }
      await broker.waitForAdvance([lane.id], sweepMs / 5).advanced
    }
  }

  /** The first record that is left, or that there is none. */
  #foundStart({ lane, stretch, from, place }: RemoteReader): void {
    this.#starts.note(lane, stretch, Math.max(stretch.named, from ?? lane.next), place.central)
  }

  #account(): void {
    const { memory } = this.#parts.broker
    const heldBytes = [...this.#readers].reduce((sum, reader) => sum + reader.heldBytes, 0)
    const more = heldBytes - this.#heldBytes
    this.#heldBytes = heldBytes
    if (more >= 0) memory.take(more)
    else memory.give(-more)
  }
}

import type { Broker } from '../../broker/broker.ts'
import type { ClockQuality } from '../../broker/clock-quality.ts'
import type { DownlinkSkip } from '../../broker/downlink-summary.ts'
import { Cluster } from '../../client/cluster.ts'
import type { Credentials } from '../../client/credentials.ts'
import { readTogether } from '../../client/fetch-together.ts'
import { maxUnpackedBytes } from '../../client/fetched-records.ts'
import { isClientError, UnreadableBatch } from '../../client/kafka-error.ts'
import { latestOffset, offsetFor, type TopicPartition } from '../../client/partition-offsets.ts'
import type { FetchedRecord, ReaderOptions } from '../../client/partition-reader.ts'
import type { Settings } from '../../config/settings.ts'
import { priorities } from '../../config/uplink-rules.ts'
import { BrokerError } from '../../core/errors.ts'
import { version } from '../../core/version.ts'
import { type Clock, sleep, type Timer } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Network } from '../../platform/network.ts'
import type { Random } from '../../platform/random.ts'
import type { DownlinkView } from '../../state/downlink.ts'
import type { StateLog } from '../../state/state-log.ts'
import { Backoff } from '../backoff.ts'
import { LinkRate } from '../link-rate.ts'
import type { Inlet } from './inlet.ts'
import { Intake } from './intake.ts'
import { RuleFilter } from './rule-filter.ts'
import { SourceTopic } from './source-topic.ts'
import { TakenOffsets } from './taken-offsets.ts'

export interface DownlinkParts {
  readonly broker: Broker
  readonly state: StateLog
  readonly view: DownlinkView
  readonly settings: Settings
  readonly gatewayId: string
  readonly clockQuality: () => ClockQuality
  readonly network: Network
  readonly credentials: Credentials
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** How long a broker may sit on a fetch while it has nothing: an idle link costs two small packets in that time. */
const maxWaitMs = 10_000
/** Most that one fetch asks for. */
const fetchBytes = 1 << 20
/** Part of memory.budget that what a fetch brings of one partition may take, decompressed. */
const unpackedShare = 8
/** While memory.budget is out nothing is fetched. */
const memoryWaitMs = 100
/** What is under way when the gateway stops may take this long. */
const finishMs = 2_000

/**
 * Records of central topics to topics here, each once (decision 065): the position of every central partition is in the group of the records
 * that it speaks of. One fetch at a time to each central broker, for all partitions that it leads.
 */
export class Downlink {
  readonly topics: readonly SourceTopic[]
  readonly taken: TakenOffsets
  readonly #parts: DownlinkParts
  /** What is asked beside fetches has connections of its own: a broker answers nothing behind a fetch that waits. */
  readonly #lookups: Cluster
  readonly #fetches: Cluster
  readonly #intake: Intake
  readonly #rate = new LinkRate()
  readonly #tasks = new Set<Promise<void>>()
  /** Fetches under way, by node, with what becomes of what they bring. */
  readonly #fetching = new Map<number, Promise<void>>()
  #timer: Timer | undefined
  #isEnding = false
  #lastError: string | undefined

  constructor(parts: DownlinkParts) {
    const { settings, clock, network, credentials, gatewayId, random, state, view, logger } = parts
    this.#parts = parts
    const connecting = {
      bootstrap: settings['uplink.bootstrap.servers'],
      clientId: `brooklet-${gatewayId}-downlink`,
      connectTimeoutMs: settings['uplink.request.timeout.ms'],
      requestTimeoutMs: settings['uplink.request.timeout.ms'],
      softwareVersion: version,
      credentials,
    }
    this.#lookups = new Cluster(network, clock, connecting)
    this.#fetches = new Cluster(network, clock, connecting)
    this.#intake = new Intake({
      ...parts,
      maxRecordBytes: settings['max.message.bytes'],
      isClockRight: () => parts.clockQuality() === 'synchronised',
      isEnding: () => this.#isEnding,
    })
    const [firstMs, longestMs] = [settings['uplink.retry.backoff.ms'], settings['uplink.retry.backoff.max.ms']]
    const newBackoff = (): Backoff => new Backoff(firstMs, longestMs, random)
    const clusters = { lookups: this.#lookups, fetches: this.#fetches }
    const { logId } = parts.broker
    const sourceParts = { ...clusters, logId, state, view, logger, options: this.#readerOptions(), newBackoff }
    const names = new Set(settings.downlink.map(({ topic }) => topic))
    this.topics = [...names].map(name => {
      const filters = settings.downlink.filter(({ topic }) => topic === name)
      const compiled = filters.map(rule => new RuleFilter(rule, gatewayId))
      return new SourceTopic(sourceParts, name, compiled)
    })
    this.taken = new TakenOffsets({
      cluster: this.#lookups,
      logId,
      clock,
      logger,
      backoff: newBackoff(),
      inlets: () => this.topics.flatMap(({ inlets }) => inlets),
    })
    parts.broker.metrics.gauge('downlinkLag', () => this.lagInAll)
  }

  /** What went wrong last, while something is still held up. */
  get lastError(): string | undefined {
    const troubles = this.topics.flatMap(({ trouble, inlets }) => [trouble, ...inlets.map(inlet => inlet.trouble)])
    return troubles.find(one => one !== undefined && one === this.#lastError) ?? troubles.find(one => one !== undefined)
  }

  /** Offsets of all partitions that were not read yet, as far as it is known. */
  get lagInAll(): number {
    return this.topics.reduce((sum, { inlets }) => sum + inlets.reduce((lag, one) => lag + (one.lag ?? 0), 0), 0)
  }

  start(): void {
    this.#step()
    this.taken.start()
  }

  /** Ends the connections and lets what they brought be written. */
  async stop(): Promise<void> {
    this.#isEnding = true
    this.#timer?.cancel()
    this.#fetches.close()
    await this.#ended(this.#fetching.values())
    await this.taken.stop()
    this.#lookups.close()
    await this.#ended(this.#tasks)
  }

  /** Gives up what stands at the position of a partition and cannot be read. Undefined when that is durable, otherwise why it is not done. */
  async skip({ topic, partition, first, last }: DownlinkSkip): Promise<string | undefined> {
    const inlet = this.topics.find(({ name }) => name === topic)?.inlets[partition]
    const where = `partition ${partition} of ${topic}`
    if (inlet === undefined) return `${where} does not come down; downlink status lists those that do`
    const { unreadable } = inlet
    if (unreadable === undefined) return `${where}: nothing of it is known that cannot be read`
    if (unreadable.first !== first || unreadable.last !== last)
      return `${where}: what cannot be read is ${unreadable.first} to ${unreadable.last}, not ${first} to ${last}`
    if (inlet.isBusy) return `${where} is tried again just now; ask again after that`
    const { broker, state, view, logger, clock } = this.#parts
    const reason = inlet.trouble
    inlet.skip(unreadable)
    broker.metrics.add('downlinkLost', last - first + 1, topic)
    logger.warn({ topic, partition, first, last, reason }, 'an operator has given up what could not be read')
    const { position } = inlet
    await state.whenDurable(state.write([view.putPosition(topic, partition, position)]))
    inlet.durable(position, clock.monotonicMs())
    this.#step()
    return undefined
  }

  /** Or what takes too long. */
  #ended(tasks: Iterable<Promise<void>>): Promise<unknown> {
    return Promise.race([Promise.all(tasks), sleep(this.#parts.clock, finishMs)])
  }

  /** Begins what can begin now, and comes back when something has ended or is due. */
  #step(): void {
    if (this.#isEnding) return
    this.#timer?.cancel()
    const nowMs = this.#parts.clock.monotonicMs()
    for (const topic of this.topics) if (topic.isDue(nowMs)) this.#run(this.#open(topic))
    for (const [node, inlets] of this.#ready(nowMs)) {
      if (this.#fetching.has(node)) continue
      const fetched = this.#fetch(inlets).finally(() => this.#fetching.delete(node))
      this.#fetching.set(node, fetched)
      this.#run(fetched)
    }
    const dueMs = Math.min(...this.#dueTimes(nowMs))
    if (dueMs !== Number.POSITIVE_INFINITY) this.#timer = this.#parts.clock.after(dueMs - nowMs, () => this.#step())
  }

  #run(task: Promise<void>): void {
    const run = task.finally(() => {
      this.#tasks.delete(run)
      this.#step()
    })
    this.#tasks.add(run)
  }

  *#dueTimes(nowMs: number): Generator<number> {
    yield Number.POSITIVE_INFINITY
    for (const { refreshAtMs, inlets } of this.topics) {
      if (refreshAtMs > nowMs) yield refreshAtMs
      for (const { retryAtMs } of inlets) if (retryAtMs > nowMs) yield retryAtMs
    }
  }

  async #open(topic: SourceTopic): Promise<void> {
    const { clock } = this.#parts
    topic.isOpening = true
    try {
      this.#intake.makeTopics(topic.filters)
      await topic.open(clock.monotonicMs())
    } catch (error) {
      topic.failed(this.#told(error), clock.monotonicMs())
    } finally {
      topic.isOpening = false
    }
  }

  /** Partitions that can be read now, by the node that leads them; while topics have a backlog those of less priority wait. */
  #ready(nowMs: number): Map<number, Inlet[]> {
    const byNode = new Map<number, Inlet[]>()
    const isBehind = ({ trouble, inlets }: SourceTopic): boolean =>
      trouble === undefined && inlets.some(({ hasMore }) => hasMore)
    const last = priorities.find(one => this.topics.some(topic => topic.priority === one && isBehind(topic))) ?? 'low'
    const present = priorities.slice(0, priorities.indexOf(last) + 1)
    for (const topic of this.topics) {
      if (!present.includes(topic.priority) || topic.isOpening || topic.refreshAtMs <= nowMs) continue
      // until it was looked at it may be another of that name
      if (topic.trouble !== undefined) continue
      for (const inlet of topic.inlets) {
        if (inlet.isBusy || inlet.retryAtMs > nowMs) continue
        const node = topic.leaderOf(inlet.partition)
        byNode.set(node, [...(byNode.get(node) ?? []), inlet])
      }
    }
    return byNode
  }

  async #fetch(inlets: readonly Inlet[]): Promise<void> {
    const { broker, clock } = this.#parts
    for (const inlet of inlets) inlet.begin()
    try {
      while (broker.memory.exhausted && !this.#isEnding) await sleep(clock, memoryWaitMs)
      const hadMore = inlets.some(({ hasMore }) => hasMore)
      const startMs = clock.monotonicMs()
      const readers = inlets.map(({ reader }) => reader)
      const records = await readTogether(this.#fetches, readers)
      const bytes = inlets.reduce((sum, { broughtBytes }) => sum + broughtBytes, 0)
      // how long a broker had nothing says nothing of the link
      if (hadMore) this.#rate.acknowledged(bytes, clock.monotonicMs() - startMs, true)
      const heldBytes = bytes + inlets.reduce((sum, { unpackedBytes }) => sum + unpackedBytes, 0)
      broker.memory.take(heldBytes)
      try {
        for (const inlet of inlets) await this.#take(inlet, records)
      } finally {
        broker.memory.give(heldBytes)
      }
    } finally {
      for (const inlet of inlets) inlet.isBusy = false
    }
  }

  async #take(inlet: Inlet, fetched: readonly FetchedRecord[]): Promise<void> {
    if (inlet.hasFailed) return
    try {
      if (inlet.outOfRange !== undefined) await this.#leap(inlet, inlet.outOfRange)
      const { topic, partition } = inlet
      const records = fetched.filter(record => record.topic === topic && record.partition === partition)
      if (await this.#intake.take(inlet, this.#topicOf(inlet).filters, records)) inlet.answered()
    } catch (error) {
      this.#failed(inlet, error)
    }
  }

  /** What was next is gone, or the central log ends before it: it is counted, and reading goes on where there is something. */
  async #leap(inlet: Inlet, { position, logStart }: { position: number; logStart: number }): Promise<void> {
    const { logger, broker } = this.#parts
    const { reader, topic, partition } = inlet
    const next = logStart > position ? logStart : ((await offsetFor(this.#lookups, reader.source, latestOffset)) ?? 0)
    const fields = { topic, partition, from: position, to: next }
    if (next > position) {
      broker.metrics.add('downlinkLost', next - position, topic)
      logger.error(fields, 'the central cluster no longer has what was to come down; reading goes on behind it')
    } else logger.error(fields, 'the central cluster has lost records that had come down; reading goes on at its end')
    inlet.lost(next)
    reader.position = next
  }

  #failed(inlet: Inlet, error: unknown): void {
    const topic = this.#topicOf(inlet)
    inlet.failed(this.#told(error), this.#parts.clock.monotonicMs())
    // its leader may be another by then, or the topic
    topic.refreshAtMs = Math.min(topic.refreshAtMs, inlet.retryAtMs)
  }

  /** What an expected error says; logged when it is news. */
  #told(error: unknown): string {
    if (!isClientError(error) && !(error instanceof BrokerError)) throw error
    const { logger, broker } = this.#parts
    const { message } = error
    if (!this.#isEnding && message !== this.lastError) logger.warn({ error: message }, 'the downlink was interrupted')
    broker.metrics.add('downlinkInterruptions')
    this.#lastError = message
    return message
  }

  #topicOf(inlet: TopicPartition): SourceTopic {
    return this.topics.find(({ name }) => name === inlet.topic)!
  }

  #inletOf({ topic, partition }: TopicPartition): Inlet {
    return this.#topicOf({ topic, partition }).inlets[partition]!
  }

  #readerOptions(): ReaderOptions {
    const rate = this.#rate
    const { limitBytes } = this.#parts.broker.memory
    return {
      maxWaitMs,
      maxUnpackedBytes: Math.min(maxUnpackedBytes, Math.floor(limitBytes / unpackedShare)),
      // with a transaction that is aborted nothing comes down
      readCommitted: true,
      get maxBytes() {
        return Math.min(fetchBytes, rate.windowBytes)
      },
      onOutOfRange: (source, position, logStart) => {
        this.#inletOf(source).outOfRange = { position, logStart }
      },
      onFailure: (source, error) => {
        const inlet = this.#inletOf(source)
        if (error instanceof UnreadableBatch) inlet.unreadable = error.span
        this.#failed(inlet, error)
      },
    }
  }
}

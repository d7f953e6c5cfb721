import type { Connection } from '../../../src/platform/network.ts'
import {
  type AnyApi,
  decodeRequest,
  encodeResponse,
  type RequestOf,
  type ResponseInputOf,
} from '../../../src/wire/kafka/api.ts'
import { apiVersions } from '../../../src/wire/kafka/contracts/api-versions.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { FrameSplitter } from '../../../src/wire/kafka/frames.ts'
import { peekRequestHeader } from '../../../src/wire/kafka/header.ts'
import { CentralPartition } from './central-partition.ts'
import { centralHandlers, type Handlers } from './central-requests.ts'
import { CentralTransactions } from './central-transactions.ts'
import type { SimClock } from './clock.ts'
import type { SimNetwork } from './network.ts'
import type { SimRandom } from './random.ts'

/**
 * What the cluster speaks. `tv2`: Kafka 4, KIP-890 whole. `tv1`: Kafka 3.9, leaders ask the coordinator before they take a batch. `old`: Kafka
 * 3.3, they take whatever has no older epoch.
 */
export type CentralRelease = 'tv2' | 'tv1' | 'old'

const newestVersions: Record<CentralRelease, Readonly<Record<string, number>>> = {
  tv2: {},
  tv1: { Produce: 11, EndTxn: 4, InitProducerId: 5 },
  old: { Produce: 9, Fetch: 13, EndTxn: 3, AddPartitionsToTxn: 3, InitProducerId: 4, Metadata: 12, ListOffsets: 7 },
}

/**
 * What becomes of a request. `lost`: nothing, and no answer. `cut`: the connection ends before it. `unheard`: it takes effect, nobody hears the
 * answer. `cutAfter`: the same, and the connection ends. `late`: the connection ends, and it takes effect long after.
 */
export type Fate = 'served' | 'lost' | 'cut' | 'unheard' | 'cutAfter' | 'late' | 'unreplicated'

/** Bugs of a cluster, or of an uplink that uses it wrongly, for the test that the checker finds them. */
export interface CentralBugs {
  /** Records of this topic count at once, whatever becomes of their transaction: as if they were written outside of it. */
  readonly countsAtOnce?: string
}

export interface CentralTopic {
  readonly name: string
  readonly id: string
  readonly partitions: CentralPartition[]
  readonly configs: ReadonlyMap<string, string>
}

interface CentralBroker {
  readonly nodeId: number
  readonly port: number
  isUp: boolean
  stopListening: (() => void) | undefined
  readonly connections: Set<Connection>
}

export const centralHost = 'central'
const firstPort = 9001
const lateMs = 40_000
const electionMs = 300
/** How soon a fetch that waits is answered when something comes. */
const heldStepMs = 100

/** A Kafka cluster in memory, on the simulated network: brokers come and go, what was acknowledged stays. */
export class CentralCluster {
  readonly topics = new Map<string, CentralTopic>()
  readonly transactions: CentralTransactions
  readonly release: CentralRelease
  readonly bugs: CentralBugs
  readonly random: SimRandom
  /** Drawn for each request, by the name of its API. */
  fate: (api: string) => Fate = () => 'served'
  /** Error code for a batch that is to be stored; 0: it is. */
  refusal: (batch: Buffer, topic: string) => number = () => 0
  /** Node id of all transaction coordinators; -1 while there is none. */
  coordinator = 1
  /** Error code for who asks for the coordinator of a transactional id; 0: it is told. */
  withoutTransactions = 0
  /** Committed offsets and what was said with them, by group, topic and partition. */
  readonly commits = new Map<string, readonly [offset: number, metadata: string | null]>()
  /** Requests served, by API. */
  readonly served = new Map<string, number>()
  readonly brokers: readonly CentralBroker[]
  /** Share of the markers that take long. */
  readonly #lateMarkers: number
  readonly #handlers: Handlers = centralHandlers
  #madeTopics = 0
  readonly #agenda = new Set<{ readonly atMs: number; readonly run: () => void }>()
  #clock!: SimClock
  #network!: SimNetwork

  constructor(random: SimRandom, release: CentralRelease, bugs: CentralBugs = {}) {
    this.random = random
    this.release = release
    this.bugs = bugs
    this.brokers = [1, 2, 3].map(nodeId => ({
      nodeId,
      port: firstPort + nodeId,
      isUp: true,
      stopListening: undefined,
      connections: new Set(),
    }))
    this.#lateMarkers = random.pick([0, 0.05, 0.3])
    const firstEpoch = random.chance(0.1) ? 32_760 : 0
    const rules = { raisesEpochs: release === 'tv2', firstEpoch, markerMs: () => this.#markerMs() }
    this.transactions = new CentralTransactions(rules, (delayMs, run) => this.later(delayMs, run))
  }

  get bootstrap(): { readonly host: string; readonly port: number }[] {
    return this.brokers.map(({ port }) => ({ host: centralHost, port }))
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  get living(): CentralBroker[] {
    return this.brokers.filter(({ isUp }) => isUp)
  }

  /** Goes on with the clock and the network of a machine that has started again; what was to happen still will. */
  attach(clock: SimClock, network: SimNetwork): void {
    this.#clock = clock
    this.#network = network
    for (const entry of this.#agenda) this.#schedule(entry)
    for (const broker of this.brokers) {
      broker.connections.clear()
      if (broker.isUp) void this.#listen(broker)
    }
  }

  later(delayMs: number, run: () => void): void {
    const entry = { atMs: this.#clock.nowMs + delayMs, run }
    this.#agenda.add(entry)
    this.#schedule(entry)
  }

  createTopic(name: string, partitions: number, configs: ReadonlyMap<string, string> = new Map()): CentralTopic {
    const id = (++this.#madeTopics).toString(16).padStart(32, '0')
    const made = {
      name,
      id,
      configs,
      partitions: Array.from({ length: partitions }, (_, index) => new CentralPartition(name, index)),
    }
    this.topics.set(name, made)
    this.later(this.random.below(electionMs), () => this.#elect(made.partitions))
    return made
  }

  /** The next of its name is another. */
  deleteTopic(name: string): void {
    this.topics.delete(name)
  }

  /** More partitions for a topic that is there. */
  addPartitions(name: string, partitions: number): void {
    const { partitions: known } = this.topics.get(name)!
    while (known.length < partitions) known.push(new CentralPartition(name, known.length))
    this.#elect(known.filter(({ leader }) => leader < 0))
  }

  partition(topic: string, index: number): CentralPartition | undefined {
    return this.topics.get(topic)?.partitions[index]
  }

  /** Its connections end, its partitions and coordinators go to others after an election. */
  stopBroker(nodeId: number): void {
    const broker = this.brokers[nodeId - 1]!
    if (!broker.isUp || this.living.length === 1) return
    broker.isUp = false
    broker.stopListening?.()
    for (const connection of broker.connections) connection.destroy()
    broker.connections.clear()
    const orphans = this.#partitions().filter(({ leader }) => leader === nodeId)
    for (const partition of orphans) partition.leader = -1
    if (this.coordinator === nodeId) this.coordinator = -1
    this.later(this.random.below(4 * electionMs), () => this.#elect(orphans))
  }

  startBroker(nodeId: number): void {
    const broker = this.brokers[nodeId - 1]!
    if (broker.isUp) return
    broker.isUp = true
    void this.#listen(broker)
  }

  /** Some partitions, and the coordinators, get other leaders without a failure. */
  moveLeaders(): void {
    for (const partition of this.#partitions()) if (this.random.chance(0.5)) this.#lead(partition)
    if (this.random.chance(0.5)) this.coordinator = this.random.pick(this.living).nodeId
  }

  #partitions(): CentralPartition[] {
    return [...this.topics.values()].flatMap(({ partitions }) => partitions)
  }

  #elect(partitions: readonly CentralPartition[]): void {
    for (const partition of partitions) if (partition.leader < 0) this.#lead(partition)
    if (this.coordinator < 0) this.coordinator = this.random.pick(this.living).nodeId
  }

  #lead(partition: CentralPartition): void {
    partition.leader = this.random.pick(this.living).nodeId
    partition.leaderEpoch++
  }

  /** Mostly at once, at times much later. */
  #markerMs(): number {
    return this.random.chance(this.#lateMarkers) ? this.random.below(5000) : this.random.below(20)
  }

  #schedule(entry: { readonly atMs: number; readonly run: () => void }): void {
    this.#clock.after(Math.max(0, entry.atMs - this.#clock.nowMs), () => {
      if (this.#agenda.delete(entry)) entry.run()
    })
  }

  async #listen(broker: CentralBroker): Promise<void> {
    const address = { host: centralHost, port: broker.port }
    const listener = await this.#network.listen(address, connection => this.#accept(broker, connection))
    broker.stopListening = () => void listener.close()
  }

  #accept(broker: CentralBroker, connection: Connection): void {
    broker.connections.add(connection)
    connection.onClose(() => broker.connections.delete(connection))
    const splitter = new FrameSplitter(1 << 30)
    const waiting: Buffer[] = []
    let isBusy = false
    const next = (): void => {
      const frame = waiting[0]
      if (isBusy || frame === undefined) return
      isBusy = true
      const done = (): void => {
        isBusy = false
        next()
      }
      waiting.shift()
      this.#request(broker, connection, frame, done)
    }
    connection.onData(chunk => {
      for (const frame of splitter.push(chunk)) waiting.push(Buffer.from(frame))
      next()
    })
  }

  /** Calls `done` when it is the next one's turn: never, when this one and so all behind it are lost. */
  #request(broker: CentralBroker, connection: Connection, frame: Buffer, done: () => void): void {
    const handler = this.#handlers.get(peekRequestHeader(frame).apiKey)
    const fate = this.fate(handler?.api.name ?? apiVersions.name)
    const answer = (): Buffer[] => this.#answer(broker, frame, fate)
    switch (fate) {
      case 'lost':
        break
      case 'cut':
        connection.destroy()
        break
      case 'late':
        connection.destroy()
        this.later(this.random.below(lateMs), () => {
          if (broker.isUp) answer()
        })
        break
      case 'unheard':
        answer()
        break
      case 'cutAfter':
        answer()
        connection.destroy()
        break
      case 'served':
      case 'unreplicated':
        this.#whenDue(broker, frame, this.#holdMs(broker, frame), () => {
          if (!broker.isUp) return
          connection.write(answer())
          done()
        })
    }
  }

  /** Once there is something to answer, or `leftMs` have passed. */
  #whenDue(broker: CentralBroker, frame: Buffer, leftMs: number, answer: () => void): void {
    const stepMs = Math.min(leftMs, heldStepMs)
    this.later(stepMs, () => {
      const heldMs = Math.min(leftMs - stepMs, this.#holdMs(broker, frame))
      if (heldMs > 0) this.#whenDue(broker, frame, heldMs, answer)
      else answer()
    })
  }

  /** A fetch that finds nothing waits. */
  #holdMs(broker: CentralBroker, frame: Buffer): number {
    const handler = this.#handlers.get(peekRequestHeader(frame).apiKey)
    if (handler?.holdMs === undefined) return 0
    const { body, header } = decodeRequest(handler.api, frame)
    const request = { cluster: this, nodeId: broker.nodeId, version: header.apiVersion, isUnreplicated: false }
    return handler.holdMs(body as RequestOf<AnyApi>, request)
  }

  #answer(broker: CentralBroker, frame: Buffer, fate: Fate): Buffer[] {
    const { apiKey, apiVersion, correlationId } = peekRequestHeader(frame)
    const write = <A extends AnyApi>(api: A, version: number, body: ResponseInputOf<A>): Buffer[] => {
      this.served.set(api.name, (this.served.get(api.name) ?? 0) + 1)
      // what is on its way does not change any more
      return encodeResponse(api, version, correlationId, body).map(chunk => Buffer.from(chunk))
    }
    if (apiKey === apiVersions.key) return write(apiVersions, apiVersion, this.#versions())
    const handler = this.#handlers.get(apiKey)
    if (handler === undefined) throw new Error(`the simulated cluster does not serve API ${apiKey}`)
    const { body } = decodeRequest(handler.api, frame)
    const isUnreplicated = fate === 'unreplicated'
    const request = { cluster: this, nodeId: broker.nodeId, version: apiVersion, isUnreplicated }
    return write(handler.api, apiVersion, handler.handle(body as RequestOf<AnyApi>, request))
  }

  #versions(): ResponseInputOf<typeof apiVersions> {
    const newest = newestVersions[this.release]
    const apis = [...this.#handlers.values()].map(({ api }) => api)
    const apiKeys = [apiVersions, ...apis].map(({ key, name, versions }) => ({
      apiKey: key,
      minVersion: versions[0],
      maxVersion: newest[name] ?? versions[1],
    }))
    const level = this.release === 'tv2' ? 2 : 0
    const features = [{ name: 'transaction.version', maxVersionLevel: level, minVersionLevel: level }]
    return {
      errorCode: errorCodes.NONE,
      apiKeys,
      finalizedFeaturesEpoch: 1,
      finalizedFeatures: level > 0 ? features : [],
    }
  }
}

import { type OpenBroker, openBroker } from '../../../src/broker/open-broker.ts'
import { defaultSettings, type Settings, settingKeys } from '../../../src/config/settings.ts'
import { plainRule } from '../../../src/config/uplink-rules.ts'
import { assert } from '../../../src/core/assert.ts'
import { BrokerError } from '../../../src/core/errors.ts'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import { openUplink } from '../../../src/open-uplink.ts'
import { sleep } from '../../../src/platform/clock.ts'
import { OffsetMapView } from '../../../src/state/offset-map.ts'
import { type CentralSpan, UplinkView } from '../../../src/state/uplink.ts'
import { ancestorsOf } from '../../../src/storage/data-directory.ts'
import { forkLog } from '../../../src/storage/fork.ts'
import type { Log } from '../../../src/storage/log.ts'
import { openCommitLog } from '../../../src/storage/open-commit-log.ts'
import { rememberStart } from '../../../src/uplink/known-starts.ts'
import type { Uplink } from '../../../src/uplink/uplink.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { allRecords, decompressRecords, type LogRecord } from '../../../src/wire/kafka/records.ts'
import { type CentralBugs, CentralCluster, type CentralRelease, type Fate } from './central-cluster.ts'
import { tinyLog } from './log-run.ts'
import { SimMachine } from './machine.ts'
import { SimRandom } from './random.ts'

const KiB = 1024
const topics = ['one', 'two']
const partitions = 2
const positionsTopic = '__brooklet_positions'
/** Source of records that are not the gateway's. */
const stranger = 'stranger'
const lives = 3
/** Virtual time in which a link without faults must have brought everything up. */
const drainMs = 300_000
/** Under the cap of a schedule. */
const cappedDrainMs = 1_200_000
const forever = Number.POSITIVE_INFINITY
const badFates: readonly Fate[] = ['lost', 'cut', 'unheard', 'cutAfter', 'late', 'unreplicated']

/** What says that there are no transactions: to this log, or at all. */
const refusals = [errorCodes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, errorCodes.INVALID_REQUEST]

export interface UplinkRunOptions {
  readonly bugs?: CentralBugs
  /** The cluster gives no transactions; `sometimes`: rights come and go. */
  readonly isWithoutTransactions?: boolean | 'sometimes'
  /** Rules send the newest first, or leave out what is old, under a cap. */
  readonly isScheduled?: boolean
  /** Between lives the log is often forked. */
  readonly isForked?: boolean
  /** Each life has settings of its own, a topic is deleted and made again, and the wall clock jumps. */
  readonly isChanging?: boolean
}

/** A record of a source partition, as its value says it. */
interface Seen {
  readonly source: string
  readonly index: number
}

/**
 * A gateway with its uplink and a central cluster, on one virtual clock: load, faults of every request, brokers that come and go, links that swallow,
 * crashes of the gateway. What readers of committed records see upstream is compared with what the gateway has stored.
 */
export class UplinkRun {
  readonly machine: SimMachine
  readonly random: SimRandom
  readonly central: CentralCluster
  /** Records that rules have left out, once the run is over. */
  leftOut = 0
  /** Records written so far, by source partition. */
  readonly #written = new Map<string, number>()
  #settings: Settings
  /** Ids of all topics that there ever were, by their names. */
  readonly #made = new Map<string, string[]>()
  readonly #isChanging: boolean
  readonly #isScheduled: boolean
  readonly #isForked: boolean
  readonly #changesRights: boolean
  readonly #fates: readonly Fate[]
  /** Share of the requests that go wrong. */
  #faultShare = 0
  /** The gateway crashes when so many more requests have come; Infinity: never. */
  #requestsToCrash = Number.POSITIVE_INFINITY
  #crashed: () => void = () => {}
  #open!: OpenBroker
  #log!: Log
  #uplink!: Uplink

  constructor(
    seed: number,
    {
      bugs = {},
      isWithoutTransactions = false,
      isScheduled = false,
      isForked = false,
      isChanging = false,
    }: UplinkRunOptions = {},
  ) {
    this.#isChanging = isChanging
    this.#isScheduled = isScheduled || isChanging
    this.#isForked = isForked
    this.machine = new SimMachine(seed)
    this.random = new SimRandom(seed + 1)
    const release: CentralRelease = this.random.pick(['tv2', 'tv2', 'tv1', 'old'])
    this.central = new CentralCluster(this.random.fork(), release, bugs)
    if (isWithoutTransactions !== false) this.central.withoutTransactions = this.random.pick(refusals)
    this.#changesRights = isWithoutTransactions === 'sometimes'
    // who sends under another name, or in another way, is not fenced by what went before
    const isUnfenced = this.#changesRights || (isForked && isWithoutTransactions !== false)
    this.#fates = isUnfenced ? badFates.filter(fate => fate !== 'late') : badFates
    this.central.fate = api => this.#fate(api)
    const isRepartitioned = this.random.chance(0.3)
    const isMerged = isWithoutTransactions !== false && this.random.chance(0.4)
    this.#settings = {
      ...defaultSettings,
      'num.partitions': partitions,
      'uplink.bootstrap.servers': this.central.bootstrap,
      ...(isMerged ? { 'uplink.rename': { text: 'all', parts: [{ literal: 'all' }] } } : {}),
      'uplink.partitions': isRepartitioned ? 3 : 0,
      'uplink.compression.type': this.random.pick(['none', 'zstd'] as const),
      'uplink.batch.size': this.random.pick([KiB, 16 * KiB]),
      'uplink.linger.ms': this.random.pick([0, 20]),
      'uplink.request.timeout.ms': 3_000,
      'uplink.transaction.timeout.ms': 20_000,
      'uplink.retry.backoff.ms': 100,
      'uplink.retry.backoff.max.ms': 2_000,
      ...(isScheduled ? this.#schedule() : {}),
    }
  }

  /** A cap that makes a backlog of little. */
  #schedule(): Partial<Settings> {
    const { random } = this
    return {
      'uplink.rate.max': random.pick([2, 4, 16]) * KiB,
      'uplink.rules': [
        { ...plainRule, topics: ['one'], order: 'newest-first', priority: random.pick(['high', 'normal']) },
        {
          ...plainRule,
          topics: ['two'],
          ttlMs: random.pick([5_000, 20_000, forever]),
          thin: random.pick([undefined, { oneOf: 3, lag: 5 }]),
        },
      ],
    }
  }

  /** For the next life. */
  #changed(): Partial<Settings> {
    const { random } = this
    const isPlain = random.chance(0.5)
    // what was in doubt under another name is not read back
    const isRenamed = this.central.withoutTransactions === 0 && random.chance(0.4)
    const parts = [...(isRenamed ? [{ literal: 'other.' }] : []), { name: 'topic' }]
    return {
      ...this.#schedule(),
      ...(isPlain ? { 'uplink.rate.max': forever, 'uplink.rules': [] } : {}),
      'uplink.rename': { text: '', parts },
      'uplink.partitions': random.pick([0, 3]),
      'uplink.headers': random.pick(['auto', 'none', 'gateway', 'full'] as const),
      'uplink.compression.type': random.pick(['none', 'zstd'] as const),
      'uplink.batch.size': random.pick([KiB, 16 * KiB]),
      'uplink.topics.exclude': random.chance(0.2) ? ['two'] : [],
    }
  }

  /** Several lives of the gateway under faults, then one in peace. Throws what is wrong. */
  async run(): Promise<void> {
    for (let life = 0; life < lives; life++) {
      if (this.#isChanging) this.#settings = { ...this.#settings, ...this.#changed() }
      await this.#life()
      this.machine.crash(this.random.pick(['power', 'kill'] as const))
      if (this.random.chance(0.1)) this.machine.dropCheckpoints()
      if (this.#isForked && this.random.chance(0.6)) await this.#during(this.#fork())
    }
    this.#faultShare = 0
    this.#settings = { ...this.#settings, 'uplink.topics.exclude': [] }
    this.#start()
    for (const { nodeId } of this.central.brokers) this.central.startBroker(nodeId)
    await this.#during(this.#opened())
    await this.#during(this.#drained())
    await this.#during(this.#audited())
    if (!this.#isForked && !this.#isChanging) await this.#checkPositions()
    await this.#during(this.#stop())
  }

  /** Records upstream that committed readers see, as their values name them, by target partition. */
  async upstream(): Promise<Seen[][]> {
    const names = [...topics, ...topics.map(topic => `other.${topic}`), 'all']
    const targets = names.flatMap(topic => this.central.topics.get(topic)?.partitions ?? [])
    const seen = await Promise.all(targets.map(async partition => valuesOf(partition.committed())))
    return seen.map(values => values.filter(({ source }) => source !== stranger))
  }

  async #life(): Promise<void> {
    const { machine, random, central } = this
    this.#faultShare = random.pick([0, 0.01, 0.05, 0.2])
    const crashed = new Promise<void>(resolve => {
      this.#crashed = resolve
    })
    this.#requestsToCrash = random.chance(0.6) ? random.below(150) : Number.POSITIVE_INFINITY
    this.#start()
    await this.#during(this.#opened())
    const lifeMs = random.pick([500, 5_000, 40_000])
    const work = Promise.all([this.#load(lifeMs), this.#chaos(lifeMs)])
    const cleanly = random.chance(0.3)
    const ended = work.then(() => (cleanly ? this.#stop() : undefined))
    await this.#during(Promise.race([ended, crashed]))
    this.#requestsToCrash = Number.POSITIVE_INFINITY
    for (const { nodeId } of central.brokers) if (random.chance(0.5)) central.startBroker(nodeId)
    machine.disk.note(`life ended at ${machine.clock.nowMs}`)
  }

  #start(): void {
    this.central.attach(this.machine.clock, this.machine.network)
  }

  #during<T>(work: Promise<T>): Promise<T> {
    return this.machine.clock.run(work)
  }

  async #opened(): Promise<void> {
    const { platform } = this.machine
    await platform.files.makeDirectory('/data')
    const store = await platform.openCheckpointStore('/data/views', 1024 * KiB)
    const metrics = new Metrics()
    const memory = new MemoryBudget(64 * 1024 * KiB)
    const sizes = { budgetBytes: 64 * 64 * KiB, slotBytes: 64 * KiB }
    this.#log = await openCommitLog({ ...platform, checkpoints: store }, tinyLog({ ...sizes, memory, metrics }))
    const settings = this.#settings
    const loaded = { settings, origins: new Map(settingKeys.map(key => [key, 'default' as const])) }
    const view = new UplinkView()
    const offsetMap = new OffsetMapView()
    const log = this.#log
    this.#open = await openBroker({ platform, loaded, log, store, memory, metrics, frontViews: [view, offsetMap] })
    const { broker, state } = this.#open
    rememberStart(state, view, log.incarnation, log.logEpoch)
    for (const topic of topics) broker.topics.ensure(topic)
    await broker.topics.durable()
    for (const [source, values] of await this.#stored()) this.#written.set(source, values.length)
    await this.check()
    const clockQuality = () => 'synchronised' as const
    const parts = {
      ...platform,
      broker,
      state,
      view,
      offsetMap,
      settings,
      gatewayId: 'gw',
      incarnation: log.incarnation,
      ancestors: await ancestorsOf(platform.files, '/data'),
      clockQuality,
    }
    const uplink = openUplink(parts)
    assert(uplink !== undefined, 'the settings name a central cluster')
    this.#uplink = uplink
    uplink.start()
  }

  /** The log goes on under another name, whatever it left in doubt under the old one. */
  async #fork(): Promise<void> {
    const { files, random } = this.machine.platform
    await forkLog({ files, random, directory: '/data' })
  }

  async #stop(): Promise<void> {
    await this.#uplink.stop()
    await this.#open.state.checkpointAll()
    await this.#log.close()
  }

  async #load(durationMs: number): Promise<void> {
    const { clock } = this.machine
    const endMs = clock.nowMs + durationMs
    while (clock.nowMs < endMs) {
      for (let left = this.random.below(4); left > 0; left--) await this.#write()
      await sleep(clock, this.random.pick([1, 20, 300]))
    }
  }

  /** A topic that was made anew has other records. */
  #sourceOf(topic: string, partition: number): string {
    const { id } = this.#open.broker.topics.get(topic)
    const ids = this.#made.get(topic) ?? []
    if (!ids.includes(id)) this.#made.set(topic, [...ids, id])
    const made = this.#made.get(topic)!.indexOf(id)
    return `${topic}/${partition}${made === 0 ? '' : `/${made}`}`
  }

  #remake(topic: string): void {
    const { topics: known } = this.#open.broker
    known.delete(topic)
    known.ensure(topic)
  }

  async #write(): Promise<void> {
    const { broker } = this.#open
    const topic = this.random.pick(topics)
    const partition = this.random.below(partitions)
    const source = this.#sourceOf(topic, partition)
    const first = this.#written.get(source) ?? 0
    const records = Array.from({ length: this.random.between(1, 5) }, (_, index) => ({
      timestampMs: this.machine.clock.wallMs(),
      key: this.random.chance(0.5) ? Buffer.from(`key-${this.random.below(5)}`) : null,
      value: Buffer.from(`${source}:${first + index}:${'x'.repeat(this.random.below(200))}`),
    }))
    try {
      await broker.produce(broker.topics.get(topic), partition, encodeBatch(records), { zstd: true })
      this.#written.set(source, first + records.length)
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
    }
  }

  async #chaos(durationMs: number): Promise<void> {
    const { random, central } = this
    const { clock, network } = this.machine
    const endMs = clock.nowMs + durationMs
    const deeds: readonly (() => void)[] = [
      () => network.cut(),
      () => central.moveLeaders(),
      () => central.stopBroker(random.between(1, 3)),
      () => central.startBroker(random.between(1, 3)),
      () => {
        network.link.blackHole = !network.link.blackHole
      },
      () => {
        network.link.latencyMs = random.pick([1, 50, 600])
      },
      () => void this.#compactPositions(),
      ...(this.#changesRights ? [() => this.#changeRights()] : []),
      () => this.#writeAsStranger(),
      ...(this.#isChanging ? [() => this.#remake('two'), () => this.#setClock()] : []),
    ]
    while (clock.nowMs < endMs) {
      await sleep(clock, random.below(4_000))
      random.pick(deeds)()
    }
    network.link.blackHole = false
  }

  #setClock(): void {
    this.machine.clock.wallOffsetMs += this.random.pick([-1, 1]) * 10 * 365 * 86_400_000
  }

  #changeRights(): void {
    const { central } = this
    central.withoutTransactions = central.withoutTransactions === 0 ? refusals[0]! : 0
    this.machine.network.cut()
  }

  #fate(api: string): Fate {
    if (--this.#requestsToCrash === 0) {
      this.#crashed()
      return 'lost'
    }
    if (!this.random.chance(this.#faultShare)) return 'served'
    const fate = this.random.pick(this.#fates)
    this.machine.disk.note(`${this.machine.clock.nowMs.toFixed(1)} ${api}: ${fate}`)
    return fate
  }

  /** Somebody else's record comes to stand between those of the gateway. */
  #writeAsStranger(): void {
    const record = { timestampMs: 0, key: null, value: Buffer.from(`${stranger}:0`) }
    for (const topic of topics)
      for (const partition of this.central.topics.get(topic)?.partitions ?? [])
        if (this.random.chance(0.5)) partition.append(Buffer.from(encodeBatch([record])))
  }

  /** Batches all of whose keys have a newer record go. */
  async #compactPositions(): Promise<void> {
    for (const partition of this.central.topics.get(positionsTopic)?.partitions ?? []) {
      const newer = new Set<string>()
      const superseded = new Set<Buffer>()
      for (const batch of partition.committed().reverse()) {
        const keys = (await recordsOf(batch)).map(({ key }) => String(key))
        if (keys.every(key => newer.has(key))) superseded.add(batch)
        for (const key of keys) newer.add(key)
      }
      partition.compact(batch => superseded.has(batch))
    }
  }

  /** Values of each source partition, in order. */
  async #stored(): Promise<Map<string, Seen[]>> {
    const { broker } = this.#open
    const stored = new Map<string, Seen[]>()
    for (const topic of topics) {
      for (const [partition, id] of broker.topics.get(topic).partitions.entries()) {
        const batches: Buffer[] = []
        const { logStart, highWatermark } = broker.offsets(id)
        for (let offset = logStart; offset < highWatermark; ) {
          const read = await broker.read(id, offset, 64 * KiB)
          batches.push(...read.batches)
          offset = read.nextOffset
        }
        stored.set(this.#sourceOf(topic, partition), await valuesOf(batches))
      }
    }
    return stored
  }

  /** Waits until all is upstream. */
  async #drained(): Promise<void> {
    const { clock } = this.machine
    const endMs = clock.nowMs + (this.#isScheduled ? cappedDrainMs : drainMs)
    const count = (lists: Iterable<readonly Seen[]>): number => [...lists].reduce((sum, { length }) => sum + length, 0)
    const stored = count((await this.#stored()).values())
    const isDrained = async (): Promise<boolean> =>
      this.#isScheduled
        ? this.#uplink.lanes.lagInAll === 0 && this.central.transactions.unfinished === 0
        : count(await this.upstream()) >= stored
    while (!(await isDrained())) {
      const { state, lastError } = this.#uplink
      if (clock.nowMs > endMs) throw new Error(`not everything is upstream; the uplink is ${state}: ${lastError}`)
      await sleep(clock, 200)
    }
    await this.check({ whole: true })
  }

  /** Gateway and central cluster agree on what became of every record. */
  async #audited(): Promise<void> {
    // what is upstream already may still be on its way to be known here
    while (this.#uplink.lanes.lagInAll > 0) await sleep(this.machine.clock, 50)
    const { error, partitions } = await this.#uplink.deepAudit(() => undefined)
    if (error !== null) throw new Error(`audit: ${error}`)
    for (const { unexplained: found, uplink, highWatermark } of partitions.values()) {
      // what an earlier life sent newest first
      const unexplained = found.filter(text => !this.#isChanging || !text.endsWith('not in its order'))
      if (unexplained.length > 0) throw new Error(`audit: ${unexplained.join('; ')}`)
      const never = Object.values(uplink.notSent).reduce((sum, offsets) => sum + offsets, 0)
      const { sent, acknowledged, waiting } = uplink
      if (sent !== acknowledged || sent + never + waiting !== highWatermark)
        throw new Error(`audit: ${sent} sent, ${acknowledged} acknowledged, ${never} not sent of ${highWatermark}`)
    }
  }

  /** Every position there was names the offsets at which its records stand; of those of one transaction the last counts. */
  async #checkPositions(): Promise<void> {
    const batches = this.central.topics.get(positionsTopic)?.partitions.flatMap(partition => partition.committed())
    const records = (await Promise.all((batches ?? []).map(recordsOf))).flat()
    const positions = records.map(({ key, value }) => ({ key: String(key), ...JSON.parse(String(value)) }))
    const standing = new Map<string, readonly LogRecord[]>()
    for (const { key, target, central } of new Map(positions.map(one => [`${one.key} ${one.last}`, one])).values()) {
      const [, ...source] = key.split('/')
      for (const [index, { first, last, records }] of Object.entries<CentralSpan>(central)) {
        const place = `${source.join('/')} in ${target}/${index}`
        if (!standing.has(place)) {
          const all = this.central.partition(target, Number(index))!.committed().map(recordsOf)
          const isOwn = (record: LogRecord): boolean => String(record.value).startsWith(`${source.join('/')}:`)
          standing.set(place, (await Promise.all(all)).flat().filter(isOwn))
        }
        const own = standing.get(place)!
        if (own[0]?.offset !== first || own[records - 1]?.offset !== last)
          throw new Error(`${place}: the position says ${first} to ${last}, ${records} records`)
      }
    }
  }

  /** What is upstream is the beginning of what is stored here: each record once, in its order. */
  async check({ whole = false } = {}): Promise<void> {
    const upstream = await this.upstream()
    for (const [source, stored] of await this.#stored()) {
      const seen: number[] = []
      for (const values of upstream) {
        const own = values.filter(value => value.source === source).map(({ index }) => index)
        const isOrdered = !this.#isScheduled || source.startsWith('two')
        if (isOrdered && own.some((index, at) => at > 0 && index < own[at - 1]!))
          throw new Error(`${source}: ${own} upstream`)
        seen.push(...own)
      }
      seen.sort((one, other) => one - other)
      if (this.#isScheduled) {
        this.#checkScheduled(source, seen, stored.length, whole)
        continue
      }
      // one round comes to its partitions one after the other
      const isComing = seen.length < stored.length && this.#settings['uplink.partitions'] > 0
      const isPlain = this.#changesRights || this.central.withoutTransactions !== 0
      if (isComing && (isPlain || this.central.transactions.unfinished > 0)) {
        if (new Set(seen).size < seen.length) throw new Error(`${source}: ${seen} upstream`)
        continue
      }
      const wrong = seen.findIndex((index, at) => index !== at)
      if (wrong >= 0) throw new Error(`${source}: record ${seen[wrong]} stands upstream where ${wrong} is due`)
      if (seen.length > stored.length) throw new Error(`${source}: ${seen.length} upstream, ${stored.length} here`)
      if (whole && seen.length < stored.length)
        throw new Error(`${source}: ${seen.length} of ${stored.length} upstream`)
    }
  }

  /** Each record at most once; in the end all but those that are on record as left out. */
  #checkScheduled(source: string, seen: readonly number[], stored: number, whole: boolean): void {
    if (new Set(seen).size < seen.length) throw new Error(`${source}: ${seen} upstream`)
    if ((seen.at(-1) ?? -1) >= stored) throw new Error(`${source}: ${seen.at(-1)} upstream, ${stored} here`)
    if (!whole) return
    const [topic = '', partition] = source.split('/')
    const { unsent } = this.#uplink.lanes.find(topic, Number(partition))!.ledger
    const leftOut = (unsent.expired ?? 0) + (unsent.thinned ?? 0)
    if (seen.length + leftOut !== stored)
      throw new Error(`${source}: ${seen.length} of ${stored} upstream, ${leftOut} left out`)
    this.leftOut += leftOut
    const spans = [...this.#uplink.leftOut()].filter(span => this.#sourceOf(span.topic, span.partition) === source)
    const recorded = spans.reduce((sum, { records }) => sum + records, 0)
    // older ones are summed; without transactions a span that a round in doubt has cut counts all that it can hold
    const mayHoldLess = this.#changesRights || this.central.withoutTransactions !== 0
    if (spans.length < 20 && (mayHoldLess ? recorded < leftOut : recorded !== leftOut))
      throw new Error(`${source}: ${leftOut} left out, ${recorded} on record`)
  }
}

const recordsOf = async (batch: Buffer): Promise<LogRecord[]> => allRecords(await decompressRecords(batch, 1 << 24))

/** Values are `SOURCE:INDEX:...`. */
const valuesOf = async (batches: readonly Buffer[]): Promise<Seen[]> => {
  const records = (await Promise.all(batches.map(recordsOf))).flat()
  return records.map(({ value }) => {
    const [source = '', index] = String(value).split(':')
    return { source, index: Number(index) }
  })
}

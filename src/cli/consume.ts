import { once } from 'node:events'
import { Command } from 'commander'
import type { Cluster } from '../client/cluster.ts'
import { readTogether } from '../client/fetch-together.ts'
import { GroupMember, type Position } from '../client/group-member.ts'
import { isTransient, isUnknownTopic } from '../client/kafka-error.ts'
import { earliestOffset, latestOffset, offsetsFor, type TopicPartition } from '../client/partition-offsets.ts'
import { type FetchedRecord, PartitionReader } from '../client/partition-reader.ts'
import { sleep } from '../platform/clock.ts'
import { host } from '../platform/node/host.ts'
import { addClusterOption, type ClusterFlags, withCluster } from './cluster-option.ts'
import { endPoint, type StartPoint, startPoint, wholeNumber } from './option-values.ts'
import { type OutOfRange, outOfRangeLine } from './out-of-range.ts'
import { jsonLine, plainLine } from './record-text.ts'

interface ConsumeFlags extends ClusterFlags {
  readonly group?: string
  readonly from?: StartPoint
  readonly until?: StartPoint
  readonly max?: number
  readonly json?: boolean
}

const readerOptions = { maxWaitMs: 500, maxBytes: 1 << 20, readCommitted: true }
const sessionTimeoutMs = 30_000
const retryMs = 1_000
/** How often it looks for partitions that were added to the topic. */
const metadataEveryMs = 30_000
/** Told to stop, it waits so long for the commit of what is printed. */
const lastCommitMs = 3_000

/** Reads until told to stop, `--max` records are out, or every partition has reached the place that `--until` names. */
class Consumption {
  readonly #cluster: Cluster
  readonly #topic: string
  readonly #flags: ConsumeFlags
  readonly #ends = new Map<number, number>()
  /** Resolves when the user or the reader of our output has had enough. */
  readonly #stop: Promise<void>
  #readers: PartitionReader[] = []
  /** Offsets that were asked for in the present round and are not in the log. */
  #outOfRange: OutOfRange[] = []
  #printed = 0
  #stopped = false
  #outputClosed = false
  #troubled = false
  #hasSaidWhere = false
  /** The group has positions that are not committed: of what was printed, or where it begins. */
  #uncommitted = false

  constructor(cluster: Cluster, topic: string, flags: ConsumeFlags) {
    this.#cluster = cluster
    this.#topic = topic
    this.#flags = flags
    this.#stop = new Promise(resolve => {
      const stop = (): void => {
        this.#stopped = true
        resolve()
      }
      host.onStopSignal(stop)
      host.onOutputClosed(() => {
        this.#outputClosed = true
        stop()
      })
    })
  }

  async run(): Promise<void> {
    const { partitions } = await this.#cluster.topic(this.#topic)
    if (this.#flags.until !== undefined) await this.#rememberEnds(partitions.length, this.#flags.until)
    if (this.#flags.group !== undefined) return this.#runInGroup(this.#flags.group)
    this.#sayWhereItStarts()
    await this.#open([...partitions.keys()].map(partition => ({ topic: this.#topic, partition })))
    let lookedMs = this.#cluster.clock.monotonicMs()
    await this.#untilDone(async () => {
      await this.#round()
      if (this.#flags.until !== undefined || this.#cluster.clock.monotonicMs() - lookedMs < metadataEveryMs) return
      lookedMs = this.#cluster.clock.monotonicMs()
      await this.#openAdded()
    })
  }

  /** Partitions that are new are read from their beginning. */
  async #openAdded(): Promise<void> {
    const { partitions } = await this.#cluster.topic(this.#topic, { refresh: true })
    for (const partition of partitions.keys()) {
      if (this.#readers.some(({ source }) => source.partition === partition)) continue
      this.#openAt({ topic: this.#topic, partition }, 0)
    }
  }

  /** An empty screen is no riddle: who starts at the end sees nothing until something is written. */
  #sayWhereItStarts(): void {
    if (this.#flags.from !== undefined || this.#flags.until !== undefined || !host.stderrIsTerminal) return
    if (this.#hasSaidWhere) return
    this.#hasSaidWhere = true
    const hint =
      this.#flags.group === undefined
        ? '--from earliest shows what is there'
        : '--from earliest begins a new group at the beginning'
    process.stderr.write(`waiting for new records of ${this.#topic}; ${hint}; Ctrl-C ends\n`)
  }

  async #runInGroup(groupId: string): Promise<void> {
    const options = { groupId, topics: [this.#topic], sessionTimeoutMs, rebalanceTimeoutMs: sessionTimeoutMs }
    const member = new GroupMember(this.#cluster, options)
    let mustReopen = false
    let joined = false
    const step = async (): Promise<void> => {
      if (await member.poll()) mustReopen = true
      if (mustReopen) await this.#reopen(member)
      mustReopen = false
      joined = true
      if (!this.#uncommitted) this.#uncommitted = await this.#round()
      if (this.#uncommitted && !this.#outputClosed) await member.commit(this.#positions())
      this.#uncommitted = false
    }
    try {
      await this.#untilDone(step, () => joined)
    } finally {
      await member.leave()
    }
  }

  /** Repeats `step`, also after errors that may pass, until there is an end. A step that waits for others is left when we must stop. */
  async #untilDone(step: () => Promise<void>, mayEnd = () => true): Promise<void> {
    while (!this.#stopped && (this.#uncommitted || !(mayEnd() && this.#done()))) {
      const stepping = step()
      stepping.catch(() => undefined)
      try {
        await Promise.race([stepping, this.#stop])
        if (this.#stopped && this.#uncommitted) await Promise.race([stepping, sleep(this.#cluster.clock, lastCommitMs)])
        this.#troubled = false
      } catch (error) {
        if (!mayPass(error)) throw error
        if (!this.#troubled) process.stderr.write(`brooklet: ${(error as Error).message}; trying again\n`)
        this.#troubled = true
        await Promise.race([sleep(this.#cluster.clock, retryMs), this.#stop])
      }
    }
  }

  async #reopen(member: GroupMember): Promise<void> {
    const committed = await member.committed()
    this.#readers = []
    // where it begins is committed too: whoever takes over must not begin at a later end
    this.#uncommitted = committed.some(({ offset }) => offset < 0)
    if (this.#uncommitted) this.#sayWhereItStarts()
    for (const { topic, partition, offset } of committed) if (offset >= 0) this.#openAt({ topic, partition }, offset)
    await this.#open(committed.filter(({ offset }) => offset < 0))
  }

  /** At `--from`. */
  async #open(sources: readonly TopicPartition[]): Promise<void> {
    const from = this.#flags.from ?? { timestamp: this.#flags.until === undefined ? latestOffset : earliestOffset }
    const ends = await offsetsFor(this.#cluster, sources, latestOffset)
    const found = 'timestamp' in from ? await offsetsFor(this.#cluster, sources, from.timestamp) : []
    for (const [index, { topic, partition }] of sources.entries()) {
      const end = ends[index] ?? 0
      // beyond its end a partition would be read from its beginning
      const start = 'offset' in from ? Math.min(from.offset, end) : (found[index] ?? end)
      this.#openAt({ topic, partition }, start)
    }
  }

  #openAt(source: TopicPartition, start: number): void {
    const onOutOfRange = ({ partition }: TopicPartition, asked: number, logStart: number): void => {
      this.#outOfRange.push({ partition, asked, logStart })
    }
    this.#readers.push(new PartitionReader(this.#cluster, source, start, { ...readerOptions, onOutOfRange }))
  }

  /** Nothing is waited for: beyond what is there now no place is looked for. */
  async #rememberEnds(partitions: number, until: StartPoint): Promise<void> {
    const sources = Array.from({ length: partitions }, (_, partition) => ({ topic: this.#topic, partition }))
    const ends = await offsetsFor(this.#cluster, sources, latestOffset)
    const found = 'timestamp' in until ? await offsetsFor(this.#cluster, sources, until.timestamp) : []
    for (const partition of sources.keys()) {
      const end = ends[partition] ?? 0
      this.#ends.set(partition, 'offset' in until ? Math.min(until.offset, end) : (found[partition] ?? end))
    }
  }

  /** One fetch of all partitions. True when something was printed. */
  async #round(): Promise<boolean> {
    const open = this.#readers.filter(reader => !this.#atEnd(reader))
    // a member without partitions waits for the next rebalance
    if (open.length === 0) await sleep(this.#cluster.clock, readerOptions.maxWaitMs)
    const records = open.length === 0 ? [] : await readTogether(this.#cluster, open)
    this.#sayWhatIsGone()
    const lines = records.flatMap(record => (this.#takes(record) ? [this.#line(record)] : []))
    if (lines.length === 0) return false
    this.#uncommitted = this.#flags.group !== undefined
    const isTaken = process.stdout.write(`${lines.join('\n')}\n`)
    if (!isTaken) await Promise.race([once(process.stdout, 'drain'), this.#stop])
    return true
  }

  #sayWhatIsGone(): void {
    const found = this.#outOfRange.splice(0)
    if (found.length > 0) process.stderr.write(`brooklet: ${outOfRangeLine(this.#topic, found)}\n`)
  }

  /** What is not printed is not committed either: its reader goes back. */
  #takes(record: FetchedRecord): boolean {
    const end = this.#ends.get(record.partition)
    const isBeyond = this.#stopped || (end !== undefined && record.offset >= end)
    if (!isBeyond && this.#printed < (this.#flags.max ?? Number.POSITIVE_INFINITY)) {
      this.#printed += 1
      return true
    }
    const reader = this.#readers.find(({ source }) => source.partition === record.partition)
    if (reader !== undefined) reader.position = Math.min(reader.position, record.offset)
    return false
  }

  #positions(): Position[] {
    return this.#readers.map(({ source, position }) => ({ ...source, offset: position }))
  }

  #line(record: FetchedRecord): string {
    return this.#flags.json ? jsonLine(record) : plainLine(record)
  }

  #atEnd({ source, position }: PartitionReader): boolean {
    const end = this.#ends.get(source.partition)
    return end !== undefined && position >= end
  }

  #done(): boolean {
    const enough = this.#printed >= (this.#flags.max ?? Number.POSITIVE_INFINITY)
    return enough || (this.#flags.until !== undefined && this.#readers.every(reader => this.#atEnd(reader)))
  }
}

/** A topic that is gone does not come back with what was in it. */
const mayPass = (error: unknown): boolean => isTransient(error) && !isUnknownTopic(error)

/** `brooklet consume TOPIC`: prints records, with or without a consumer group. */
export const consumeCommand = (): Command =>
  addClusterOption(new Command('consume').description('print the records of a topic').argument('<topic>'))
    .option('-g, --group <id>', "go on at the group's committed offsets, and commit what was printed")
    .option(
      '--from <point>',
      'earliest, latest, an offset or a time (default: latest; with --until: earliest); in a group only where it has committed nothing',
      startPoint,
    )
    .option(
      '--until <point>',
      'end, an offset or a time: stop before it, at the latest at what is the end of the topic now',
      endPoint,
    )
    .option('-n, --max <n>', 'stop after so many records', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--json', 'one JSON object a line, with headers')
    .action((topic: string, flags: ConsumeFlags) =>
      withCluster(flags, cluster => new Consumption(cluster, topic, flags).run()),
    )

import { Command, InvalidArgumentError } from 'commander'
import type { Cluster } from '../client/cluster.ts'
import { GroupMember } from '../client/group-member.ts'
import {
  earliestOffset,
  type FetchedRecord,
  latestOffset,
  offsetFor,
  PartitionReader,
  type TopicPartition,
} from '../client/partition-reader.ts'
import { host } from '../platform/node/host.ts'
import { addClusterOption, type ClusterFlags, withCluster } from './cluster-option.ts'
import { decodeValue, plain } from './decode-value.ts'

interface ConsumeFlags extends ClusterFlags {
  readonly group?: string
  readonly from?: StartPoint
  readonly until?: 'end'
  readonly max?: number
  readonly json?: boolean
}

type StartPoint = { readonly offset: number } | { readonly timestamp: number }

const readerOptions = { maxWaitMs: 500, maxBytes: 1 << 20, readCommitted: true }
const sessionTimeoutMs = 30_000

const startPoint = (text: string): StartPoint => {
  if (text === 'earliest') return { timestamp: earliestOffset }
  if (text === 'latest') return { timestamp: latestOffset }
  if (/^\d+$/.test(text)) return { offset: Number(text) }
  const time = Date.parse(text)
  if (Number.isNaN(time))
    throw new InvalidArgumentError('earliest, latest, an offset or a time such as 2026-05-01T12:00:00Z is expected.')
  return { timestamp: time }
}

const untilEnd = (text: string): 'end' => {
  if (text !== 'end') throw new InvalidArgumentError('end is expected: stop at what is the end now.')
  return text
}

const atLeastOne = (text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 is expected.')
  return value
}

const printable = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value, plain))

const print = (record: FetchedRecord, json: boolean | undefined): void => {
  const { topic, partition, offset, timestampMs } = record
  const key = record.key?.toString() ?? null
  const value = decodeValue(record.value)
  const headers = Object.fromEntries(
    record.headers.map(({ key: name, value: bytes }) => [name, bytes?.toString() ?? null]),
  )
  const time = new Date(timestampMs).toISOString()
  const line = json
    ? JSON.stringify({ topic, partition, offset, time, key, headers, value }, plain)
    : `${time} ${partition}/${offset} ${key ?? '-'} ${printable(value)}`
  process.stdout.write(`${line}\n`)
}

/** Reads until told to stop, `--max` records are out, or every partition has reached its end of now (`--until end`). */
class Consumption {
  readonly #cluster: Cluster
  readonly #topic: string
  readonly #flags: ConsumeFlags
  readonly #ends = new Map<number, number>()
  #readers: PartitionReader[] = []
  #printed = 0
  #stopped = false

  constructor(cluster: Cluster, topic: string, flags: ConsumeFlags) {
    this.#cluster = cluster
    this.#topic = topic
    this.#flags = flags
    host.onStopSignal(() => {
      this.#stopped = true
    })
  }

  async run(): Promise<void> {
    const { partitions } = await this.#cluster.topic(this.#topic)
    if (this.#flags.until !== undefined) await this.#rememberEnds(partitions.length)
    if (this.#flags.group !== undefined) return this.#runInGroup(this.#flags.group)
    for (const partition of partitions.keys()) await this.#open({ topic: this.#topic, partition }, undefined)
    while (!this.#done()) await this.#round()
  }

  async #runInGroup(groupId: string): Promise<void> {
    const options = { groupId, topics: [this.#topic], sessionTimeoutMs, rebalanceTimeoutMs: sessionTimeoutMs }
    const member = new GroupMember(this.#cluster, options)
    try {
      do {
        if (await member.poll()) await this.#reopen(member)
        if (await this.#round())
          await member.commit(this.#readers.map(({ source, position }) => ({ ...source, offset: position })))
      } while (!this.#done())
    } finally {
      await member.leave()
    }
  }

  async #reopen(member: GroupMember): Promise<void> {
    this.#readers = []
    for (const { topic, partition, offset } of await member.committed()) {
      await this.#open({ topic, partition }, offset < 0 ? undefined : offset)
    }
  }

  async #open(source: TopicPartition, committed: number | undefined): Promise<void> {
    const start = committed ?? (await this.#startOf(source))
    this.#readers.push(new PartitionReader(this.#cluster, source, start, readerOptions))
  }

  async #startOf(source: TopicPartition): Promise<number> {
    const from = this.#flags.from ?? { timestamp: this.#flags.until === undefined ? latestOffset : earliestOffset }
    if ('offset' in from) return from.offset
    const found = await offsetFor(this.#cluster, source, from.timestamp)
    return found ?? (await offsetFor(this.#cluster, source, latestOffset)) ?? 0
  }

  async #rememberEnds(partitions: number): Promise<void> {
    for (let partition = 0; partition < partitions; partition += 1) {
      const end = await offsetFor(this.#cluster, { topic: this.#topic, partition }, latestOffset)
      this.#ends.set(partition, end ?? 0)
    }
  }

  /** One fetch of every partition, side by side. True when something was printed. */
  async #round(): Promise<boolean> {
    const before = this.#printed
    const open = this.#readers.filter(reader => !this.#atEnd(reader))
    for (const records of await Promise.all(open.map(reader => reader.read()))) {
      for (const record of records) this.#take(record)
    }
    return this.#printed > before
  }

  #take(record: FetchedRecord): void {
    const end = this.#ends.get(record.partition)
    if (this.#printed >= (this.#flags.max ?? Number.POSITIVE_INFINITY) || (end !== undefined && record.offset >= end))
      return
    this.#printed += 1
    print(record, this.#flags.json)
  }

  #atEnd({ source, position }: PartitionReader): boolean {
    const end = this.#ends.get(source.partition)
    return end !== undefined && position >= end
  }

  #done(): boolean {
    const enough = this.#printed >= (this.#flags.max ?? Number.POSITIVE_INFINITY)
    const allRead = this.#flags.until !== undefined && this.#readers.every(reader => this.#atEnd(reader))
    return this.#stopped || enough || allRead
  }
}

/** `brooklet consume TOPIC`: prints records, with or without a consumer group. */
export const consumeCommand = (): Command =>
  addClusterOption(new Command('consume').description('print the records of a topic').argument('<topic>'))
    .option('-g, --group <id>', "go on at the group's committed offsets, and commit what was printed")
    .option(
      '--from <point>',
      'earliest, latest, an offset or a time (default: latest; with --until: earliest)',
      startPoint,
    )
    .option('--until <end>', 'end: stop at what is the end of the topic now', untilEnd)
    .option('-n, --max <n>', 'stop after so many records', atLeastOne)
    .option('--json', 'one JSON object a line, with headers')
    .action((topic: string, flags: ConsumeFlags) =>
      withCluster(flags, cluster => new Consumption(cluster, topic, flags).run()),
    )

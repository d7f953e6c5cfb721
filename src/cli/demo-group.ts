import { type Receipt, receiptOf } from '../../firmware-sim/index.ts'
import type { Cluster } from '../client/cluster.ts'
import { GroupMember } from '../client/group-member.ts'
import { PartitionReader } from '../client/partition-reader.ts'
import { sleep } from '../platform/clock.ts'

const groupId = 'demo'
const readEveryMs = 250
const readForMs = 12_000
const pauseForMs = 8_000

/** The sample consumer group: reads the sensors' topics, rests for a while so that it falls behind, and catches up. */
export class DemoGroup {
  /** What it has read, in order. */
  readonly receipts: Receipt[] = []
  /** Resting now. */
  paused = false
  readonly #cluster: Cluster
  readonly #topics: readonly string[]
  #readers: PartitionReader[] = []
  #finishing = false
  #finished = false

  constructor(cluster: Cluster, topics: readonly string[]) {
    this.#cluster = cluster
    this.#topics = topics
  }

  /** Records in the log that it has not read. */
  get lag(): number {
    return this.#readers.reduce((sum, { highWatermark, position }) => sum + Math.max(0, highWatermark - position), 0)
  }

  /** Runs until `finish` has been called and everything is read. */
  async run(): Promise<void> {
    const { clock } = this.#cluster
    await this.#topicsExist()
    const options = { groupId, topics: this.#topics, sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000 }
    const member = new GroupMember(this.#cluster, options)
    const startMs = clock.monotonicMs()
    while (!this.#finished) {
      if (await member.poll()) await this.#reopen(member)
      this.paused = !this.#finishing && (clock.monotonicMs() - startMs) % (readForMs + pauseForMs) > readForMs
      const read = await this.#round()
      if (read) await member.commit(this.#readers.map(({ source, position }) => ({ ...source, offset: position })))
      this.#finished = this.#finishing && !read && this.lag === 0
      if (!read) await sleep(clock, readEveryMs)
    }
    await member.leave()
  }

  /** No more is written: read what is left, then end. */
  finish(): void {
    this.#finishing = true
    this.paused = false
  }

  async #topicsExist(): Promise<void> {
    while (!this.#finishing && (await this.#cluster.describe(this.#topics)).length < this.#topics.length) {
      await sleep(this.#cluster.clock, readEveryMs)
    }
  }

  async #reopen(member: GroupMember): Promise<void> {
    const options = { maxWaitMs: 0, maxBytes: 1 << 20, readCommitted: true }
    const committed = await member.committed()
    this.#readers = committed.map(
      ({ topic, partition, offset }) =>
        new PartitionReader(this.#cluster, { topic, partition }, Math.max(0, offset), options),
    )
  }

  /** One fetch of every partition; while it rests only the lag is looked at. True when something was read. */
  async #round(): Promise<boolean> {
    if (this.paused) {
      await Promise.all(this.#readers.map(reader => reader.look()))
      return false
    }
    const rounds = await Promise.all(this.#readers.map(reader => reader.read()))
    for (const records of rounds) {
      for (const { key, value } of records) {
        const receipt = key === null || value === null ? undefined : receiptOf(key.toString(), value)
        if (receipt !== undefined) this.receipts.push(receipt)
      }
    }
    return rounds.some(records => records.length > 0)
  }
}

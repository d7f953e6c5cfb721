import { type Receipt, receiptOf } from '../../firmware-sim/index.ts'
import type { Cluster } from '../client/cluster.ts'
import { readTogether } from '../client/fetch-together.ts'
import { GroupMember } from '../client/group-member.ts'
import { isTransient } from '../client/kafka-error.ts'
import { PartitionReader } from '../client/partition-reader.ts'
import { sleep } from '../platform/clock.ts'

const groupId = 'demo'
const readEveryMs = 250
const readForMs = 12_000
const pauseForMs = 8_000
/** It reads what is left at the end for so long. */
const finishMs = 10_000

/** The sample consumer group: reads the sensors' topics, rests for a while so that it falls behind, and catches up. */
export class DemoGroup {
  /** What it has read, in order. */
  readonly receipts: Receipt[] = []
  /** Resting now. */
  paused = false
  readonly #cluster: Cluster
  readonly #topics: readonly string[]
  #readers: PartitionReader[] = []
  #finishByMs: number | undefined
  /** The partitions are new: start from the committed offsets. */
  #mustReopen = false

  /** The topics must exist. */
  constructor(cluster: Cluster, topics: readonly string[]) {
    this.#cluster = cluster
    this.#topics = topics
  }

  /** Records in the log that it has not read. */
  get lag(): number {
    return this.#readers.reduce((sum, { highWatermark, position }) => sum + Math.max(0, highWatermark - position), 0)
  }

  /** Runs until `finish` has been called and everything is read, or 10 s after it. Throws what does not pass by itself. */
  async run(): Promise<void> {
    const { clock } = this.#cluster
    const options = { groupId, topics: this.#topics, sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 30_000 }
    const member = new GroupMember(this.#cluster, options)
    const startMs = clock.monotonicMs()
    while (clock.monotonicMs() < (this.#finishByMs ?? Number.POSITIVE_INFINITY)) {
      const isFinishing = this.#finishByMs !== undefined
      this.paused = !isFinishing && (clock.monotonicMs() - startMs) % (readForMs + pauseForMs) > readForMs
      try {
        const read = await this.#step(member)
        if (isFinishing && !read && this.lag === 0) break
      } catch (error) {
        if (!isTransient(error)) throw error
        await sleep(clock, readEveryMs)
      }
    }
    await member.leave()
  }

  /** No more is written: read what is left, then end. */
  finish(): void {
    this.#finishByMs = this.#cluster.clock.monotonicMs() + finishMs
    this.paused = false
  }

  /** True when something was read. */
  async #step(member: GroupMember): Promise<boolean> {
    if (await member.poll()) this.#mustReopen = true
    if (this.#mustReopen) await this.#reopen(member)
    this.#mustReopen = false
    if (this.paused) {
      await Promise.all(this.#readers.map(reader => reader.look()))
      await sleep(this.#cluster.clock, readEveryMs)
      return false
    }
    const records = await readTogether(this.#cluster, this.#readers)
    for (const { key, value } of records) {
      const receipt = key === null || value === null ? undefined : receiptOf(key.toString(), value)
      if (receipt !== undefined) this.receipts.push(receipt)
    }
    const positions = this.#readers.map(({ source, position }) => ({ ...source, offset: position }))
    if (records.length > 0) await member.commit(positions)
    return records.length > 0
  }

  async #reopen(member: GroupMember): Promise<void> {
    const options = { maxWaitMs: readEveryMs, maxBytes: 1 << 20, readCommitted: true }
    const committed = await member.committed()
    this.#readers = committed.map(
      ({ topic, partition, offset }) =>
        new PartitionReader(this.#cluster, { topic, partition }, Math.max(0, offset), options),
    )
  }
}

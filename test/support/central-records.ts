import { Cluster } from '../../src/client/cluster.ts'
import { type FetchedRecord, PartitionReader } from '../../src/client/partition-reader.ts'
import { nodeClock } from '../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../src/platform/node/network.ts'

/** A client of the cluster for what tests do themselves, past the code that they try. */
export const openCentral = (bootstrap: string): Cluster =>
  new Cluster(nodeNetwork, nodeClock, {
    bootstrap: bootstrap.split(',').map(address => {
      const at = address.lastIndexOf(':')
      return { host: address.slice(0, at), port: Number(address.slice(at + 1)) }
    }),
    clientId: 'test',
    connectTimeoutMs: 5_000,
    requestTimeoutMs: 20_000,
    softwareVersion: '1',
  })

/** What consumers of committed records have seen of a topic: asked again it goes on where it was. */
export class CommittedRecords {
  /** By partition, in order. */
  readonly partitions: FetchedRecord[][]
  readonly #readers: readonly PartitionReader[]

  static async of(cluster: Cluster, topic: string): Promise<CommittedRecords> {
    const { partitions } = await cluster.topic(topic, { refresh: true })
    return new CommittedRecords(cluster, topic, partitions.length)
  }

  private constructor(cluster: Cluster, topic: string, count: number) {
    const options = { maxWaitMs: 20, maxBytes: 4 << 20, readCommitted: true }
    this.partitions = Array.from({ length: count }, () => [])
    this.#readers = this.partitions.map(
      (_, partition) => new PartitionReader(cluster, { topic, partition }, 0, options),
    )
  }

  get count(): number {
    return this.partitions.reduce((sum, records) => sum + records.length, 0)
  }

  /** Reads up to the last stable offset of each partition. */
  async readOn(): Promise<this> {
    for (const reader of this.#readers) {
      for (let before = -1; before < reader.position; ) {
        before = reader.position
        this.partitions[reader.source.partition]!.push(...(await reader.read()))
      }
    }
    return this
  }
}

import type { CentralReplica, UpstreamWait } from '../broker/central-replica.ts'
import type { Topic } from '../broker/topics.ts'
import type { PartitionId } from '../core/brand.ts'
import type { BrokerError } from '../core/errors.ts'

/** Where records of a partition end that the central cluster is to have. */
export type PartitionEnd = Pick<UpstreamWait, 'partition' | 'end'>

/** The ends of all partitions of the topic, where it is not known which of them is meant. */
export const endsOf = (topic: Topic, logEnd: (partition: PartitionId) => number): PartitionEnd[] =>
  topic.partitions.map(partition => ({ partition, end: logEnd(partition) }))

/** What one client waits for in the central cluster. */
export class UpstreamAcks {
  readonly #replica: CentralReplica
  readonly #takeBacks = new Set<() => void>()

  constructor(replica: CentralReplica) {
    this.#replica = replica
  }

  /** Calls back once: when all of it is upstream, or with why one part is not. */
  wait(ends: readonly PartitionEnd[], isPatient: boolean, settled: (error?: BrokerError) => void): void {
    let left = ends.length
    const waits: (() => void)[] = []
    const takeBack = (): void => {
      for (const one of waits) one()
    }
    this.#takeBacks.add(takeBack)
    const part = (error?: BrokerError): void => {
      left--
      if (left < 0 || (left > 0 && error === undefined)) return
      left = 0
      takeBack()
      this.#takeBacks.delete(takeBack)
      settled(error)
    }
    for (const end of ends) waits.push(this.#replica.wait({ ...end, isPatient, settled: part }))
  }

  /** The client is gone: nobody is to be told. */
  end(): void {
    for (const takeBack of this.#takeBacks) takeBack()
    this.#takeBacks.clear()
  }
}

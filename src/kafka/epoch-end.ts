import type { Broker } from '../broker/broker.ts'
import type { PartitionId } from '../core/brand.ts'

export interface EpochEnd {
  readonly epoch: number
  /** One past the last durable record of the epoch. */
  readonly endOffset: number
}

/**
 * The largest leader epoch of the partition that is not above `wanted`, and where it ends (`LeaderEpochFileCache.endOffsetFor`).
 * Undefined when all epochs are newer than `wanted`, or `wanted` is yet to come.
 */
export function epochEnd(broker: Broker, partition: PartitionId, wanted: number): EpochEnd | undefined {
  const { logStart, highWatermark } = broker.offsets(partition)
  const epochs = [...broker.leaderEpochs(partition)]
  // the present epoch counts from the moment of the start, with or without records
  if (epochs.at(-1)?.epoch !== broker.leaderEpoch)
    epochs.push({ epoch: broker.leaderEpoch, startOffset: highWatermark })
  const index = epochs.findLastIndex(({ epoch }) => epoch <= wanted)
  if (wanted > broker.leaderEpoch) return undefined
  // older than all that is left: the log of that epoch ended where the first one we know began
  if (index < 0) return { epoch: wanted, endOffset: Math.max(logStart, epochs[0]!.startOffset) }
  const next = epochs[index + 1]
  return { epoch: epochs[index]!.epoch, endOffset: Math.min(next?.startOffset ?? highWatermark, highWatermark) }
}

import type { PartitionId } from '../core/brand.ts'
import type { Log } from '../storage/log.ts'
import { leaderEpochOf } from '../wire/kafka/record-batch.ts'
import { decompressRecords, type RecordCursor } from '../wire/kafka/records.ts'

export interface FoundOffset {
  readonly offset: number
  readonly timestampMs: number
  readonly leaderEpoch: number
}

/** Most bytes that a batch may unpack to while a record in it is searched. */
const maxUnpackedBytes = 64 << 20

/**
 * The first record whose timestamp is at least `timestampMs` (ListOffsets by time): the index names the batch, the batch is decoded.
 * Throws MalformedFrame when the producer's batch cannot be decompressed.
 */
export const offsetByTimestamp = async (
  log: Log,
  partition: PartitionId,
  timestampMs: number,
): Promise<FoundOffset | undefined> => {
  const baseOffset = await log.findBatchByTimestamp(partition, timestampMs)
  if (baseOffset === undefined) return undefined
  return searchBatch(log, partition, baseOffset, records => records.timestampMs >= timestampMs)
}

/** The first record that has the largest timestamp of the partition (KIP-734). */
export const offsetAtMaxTimestamp = async (log: Log, partition: PartitionId): Promise<FoundOffset | undefined> => {
  const max = await log.maxTimestamp(partition)
  if (max === undefined) return undefined
  return searchBatch(log, partition, max.baseOffset, records => records.timestampMs === max.timestampMs)
}

const searchBatch = async (
  log: Log,
  partition: PartitionId,
  baseOffset: number,
  wanted: (records: RecordCursor) => boolean,
): Promise<FoundOffset | undefined> => {
  const { logStart, highWatermark } = log.offsets(partition)
  const { batches } = await log.read(partition, Math.max(baseOffset, logStart), 1, highWatermark)
  const batch = batches[0]
  if (batch === undefined) return undefined
  const records = await decompressRecords(batch, maxUnpackedBytes)
  while (records.next()) {
    if (records.offset < logStart || !wanted(records)) continue
    return { offset: records.offset, timestampMs: records.timestampMs, leaderEpoch: leaderEpochOf(batch) }
  }
  return undefined
}

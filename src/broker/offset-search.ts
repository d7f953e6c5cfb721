import type { PartitionId } from '../core/brand.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import type { Log } from '../storage/log.ts'
import { baseOffsetOf, leaderEpochOf, maxTimestampOf } from '../wire/kafka/record-batch.ts'
import { decompressRecords } from '../wire/kafka/records.ts'

export interface FoundOffset {
  readonly offset: number
  readonly timestampMs: number
  readonly leaderEpoch: number
}

/** Most bytes that a batch may unpack to while a record in it is searched. */
const maxUnpackedBytes = 64 << 20
/** A batch whose header promised more than its records hold is followed by others: so far they are searched. */
const maxSearchedBytes = 16 << 20
const readBytes = 256 << 10

/**
 * The first record whose timestamp is at least `timestampMs` (ListOffsets by time): the index names the batch, the batch is decoded. Of
 * a producer's batch that cannot be decoded the first offset is given: who reads there sees what it is.
 */
export const offsetByTimestamp = async (
  log: Log,
  partition: PartitionId,
  timestampMs: number,
): Promise<FoundOffset | undefined> => {
  const baseOffset = await log.findBatchByTimestamp(partition, timestampMs)
  if (baseOffset === undefined) return undefined
  const isWanted = (recordMs: number): boolean => recordMs >= timestampMs
  return search(log, partition, baseOffset, isWanted)
}

/** The first record that has the largest timestamp of the partition (KIP-734). */
export const offsetAtMaxTimestamp = async (log: Log, partition: PartitionId): Promise<FoundOffset | undefined> => {
  const max = await log.maxTimestamp(partition)
  if (max === undefined) return undefined
  return search(log, partition, max.baseOffset, recordMs => recordMs === max.timestampMs)
}

/** The first offset of the first batch of at least this log age (seconds, which never go back): by halves, a batch read for each. */
export const offsetByLogAge = async (log: Log, partition: PartitionId, logAge: number): Promise<number> => {
  const { logStart, highWatermark } = log.offsets(partition)
  let [low, high] = [logStart, highWatermark]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const { logAges, nextOffset } = await log.read(partition, middle, 1, highWatermark)
    // log ages are stored in whole seconds
    if (logAges[0] === undefined || logAges[0] >= Math.floor(logAge)) high = middle
    else low = nextOffset
    // retention may have been at work
    low = Math.max(low, log.offsets(partition).logStart)
  }
  return low
}

const search = async (
  log: Log,
  partition: PartitionId,
  baseOffset: number,
  isWanted: (timestampMs: number) => boolean,
): Promise<FoundOffset | undefined> => {
  const { logStart, highWatermark } = log.offsets(partition)
  let offset = Math.max(baseOffset, logStart)
  for (let searchedBytes = 0; offset < highWatermark && searchedBytes < maxSearchedBytes; ) {
    const { batches, nextOffset } = await log.read(
      partition,
      offset,
      searchedBytes === 0 ? 1 : readBytes,
      highWatermark,
    )
    for (const batch of batches) {
      const found = isWanted(maxTimestampOf(batch)) ? await firstIn(batch, offset, isWanted) : undefined
      if (found !== undefined) return found
      searchedBytes += batch.length
    }
    if (nextOffset <= offset) return undefined
    offset = nextOffset
  }
  return undefined
}

const firstIn = async (
  batch: Buffer,
  from: number,
  isWanted: (timestampMs: number) => boolean,
): Promise<FoundOffset | undefined> => {
  const leaderEpoch = leaderEpochOf(batch)
  try {
    const records = await decompressRecords(batch, maxUnpackedBytes)
    while (records.next()) {
      const { offset, timestampMs } = records
      if (offset >= from && isWanted(timestampMs)) return { offset, timestampMs, leaderEpoch }
    }
    return undefined
  } catch (error) {
    if (!(error instanceof MalformedFrame)) throw error
    return { offset: Math.max(baseOffsetOf(batch), from), timestampMs: maxTimestampOf(batch), leaderEpoch }
  }
}

import {
  AT,
  HEADER_BYTES,
  LENGTH_OVERHEAD_BYTES,
  MAGIC,
  NO_PRODUCER_EPOCH,
  NO_PRODUCER_ID,
  NO_SEQUENCE,
  seal,
  writeInt64,
} from './record-batch.ts'

const maxDelta = 0x7fffffff
const noLeaderEpoch = -1
const noTimestamp = -1

/**
 * A batch without records that answers for the offsets `first` to `last`, as compaction leaves them (KAFKA-4613): a consumer that gets it goes on
 * behind it. Stretches of more than 2^31 offsets are cut.
 */
export const emptyBatch = (first: number, last: number): Buffer => {
  const batch = Buffer.alloc(HEADER_BYTES)
  writeInt64(batch, AT.baseOffset, first)
  batch.writeInt32BE(HEADER_BYTES - LENGTH_OVERHEAD_BYTES, AT.length)
  batch.writeInt32BE(noLeaderEpoch, AT.leaderEpoch)
  batch.writeInt8(MAGIC, AT.magic)
  batch.writeInt32BE(Math.min(maxDelta, last - first), AT.lastOffsetDelta)
  writeInt64(batch, AT.baseTimestamp, noTimestamp)
  writeInt64(batch, AT.maxTimestamp, noTimestamp)
  writeInt64(batch, AT.producerId, NO_PRODUCER_ID)
  batch.writeInt16BE(NO_PRODUCER_EPOCH, AT.producerEpoch)
  batch.writeInt32BE(NO_SEQUENCE, AT.baseSequence)
  seal(batch)
  return batch
}

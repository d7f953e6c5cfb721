import { UnreadableBatch } from '../../client/kafka-error.ts'
import { MalformedFrame } from '../../core/malformed-frame.ts'
import { BatchBuilder } from '../../wire/kafka/batch-builder.ts'
import {
  AT,
  attributesOf,
  baseOffsetOf,
  hasValidCrc,
  LOG_APPEND_TIME_BIT,
  lastOffsetOf,
} from '../../wire/kafka/record-batch.ts'
import { decompressRecords } from '../../wire/kafka/records.ts'
import type { Bookmark } from './bookmarks.ts'
import type { NamedRecords } from './named-records.ts'

/** Records of this log as a batch of it: offsets, time stamps and headers are those that they had here. */
export interface LocalBatch {
  readonly first: number
  readonly last: number
  readonly batch: Buffer
}

/** Larger than any batch that the uplink makes; a batch of one record may be more, and is read all the same. */
const maxUnpackedBytes = 64 << 20
/** A batch may end when it has so many bytes: readers take whole ones. */
const batchBytes = 256 << 10
const noLeaderEpoch = -1

/**
 * What a batch of a central partition has of the records that `names` knows, from offset `local` here and `central` there on: the first batch of a
 * central partition may begin with records that were deleted. One that comes a second time, or after a later one, is left out. The time stamps are the records' own, whatever the central topic puts in their place. Changes `batch`. Throws `UnreadableBatch`.
 */
export const localBatches = async (batch: Buffer, names: NamedRecords, from: Bookmark): Promise<LocalBatch[]> => {
  const unreadable = (why: string): UnreadableBatch =>
    new UnreadableBatch(`the batch of offsets ${baseOffsetOf(batch)} to ${lastOffsetOf(batch)} cannot be read: ${why}`)
  if (!hasValidCrc(batch)) throw unreadable('its checksum does not fit')
  batch.writeInt16BE(attributesOf(batch) & ~LOG_APPEND_TIME_BIT, AT.attributes)
  try {
    return await unpacked(batch, names, from)
  } catch (error) {
    throw error instanceof MalformedFrame ? unreadable(error.message) : error
  }
}

const unpacked = async (batch: Buffer, names: NamedRecords, { local, central }: Bookmark): Promise<LocalBatch[]> => {
  const cursor = await decompressRecords(batch, maxUnpackedBytes)
  const done: LocalBatch[] = []
  const builder = new BatchBuilder()
  let first = local
  let next = local
  const finish = (): void => {
    if (builder.count === 0) return
    done.push({ first, last: next - 1, batch: Buffer.from(builder.finish(first, noLeaderEpoch)) })
    builder.reset()
  }
  while (cursor.next()) {
    // the uplink puts records of one partition into a batch, and nobody else writes any of them
    if (!names.read(cursor.headerBytes())) break
    const { offset } = names
    if (offset < next || cursor.offset < central) continue
    // offsets in a batch of the builder have no holes
    if (offset > next || builder.byteLength >= batchBytes) finish()
    if (builder.count === 0) first = offset
    const value = cursor.value()
    builder.append(cursor.timestampMs, cursor.key(), value, 0, value?.length ?? 0, names.headers)
    next = offset + 1
  }
  finish()
  return done
}

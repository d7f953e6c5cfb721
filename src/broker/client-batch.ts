import { BrokerError } from '../core/errors.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import type { ProducerBatch } from '../state/producers.ts'
import {
  AT,
  attributesOf,
  type BatchFault,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  batchFault,
  byteLengthOf,
  codecOf,
  frameFault,
  HEADER_BYTES,
  hasLogAppendTime,
  isControl,
  isTransactional,
  LOG_APPEND_TIME_BIT,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  seal,
  writeInt64,
} from '../wire/kafka/record-batch.ts'
import { decompressRecords } from '../wire/kafka/records.ts'

/** What the topic demands of a batch. */
export interface BatchRules {
  /** `max.message.bytes`, header included. */
  readonly maxBatchBytes: number
  /** `message.timestamp.type=LogAppendTime`. */
  readonly appendTime: boolean
  /** `cleanup.policy` contains compact: every record needs a key. */
  readonly compacted: boolean
  /** How far a timestamp may lie before and after the wall clock; Infinity when it does not matter. */
  readonly timestampBeforeMaxMs: number
  readonly timestampAfterMaxMs: number
}

const zstdCodec = 4
const lastCodec = 4
/** Length, attributes, two deltas, key and value length, header count: a batch cannot claim more records, and offsets, than it can hold. */
const leastRecordBytes = 7
/** Most bytes that a compressed batch may unpack to when its records must be looked into. */
const maxUnpackedBytes = 64 << 20

const faultKinds: Readonly<Record<BatchFault, 'corruptBatch' | 'invalidRecord'>> = {
  truncated: 'corruptBatch',
  magic: 'invalidRecord',
  checksum: 'corruptBatch',
  count: 'invalidRecord',
  range: 'invalidRecord',
}

const faultText: Readonly<Record<BatchFault, string>> = {
  truncated: 'the batch is shorter than its length says',
  magic: 'only record batches of magic 2 are taken',
  checksum: 'the CRC-32C of the batch does not fit its bytes',
  count: 'the record count does not fit the last offset delta',
  range: 'a number in the batch header is out of range',
}

/** `invalidRecord` for single records of a batch: `positions` are theirs, counted from 0. The whole batch is refused. */
export class InvalidRecords extends BrokerError {
  readonly positions: readonly number[]

  constructor(message: string, positions: readonly number[]) {
    super('invalidRecord', message)
    this.positions = positions
  }
}

/** Most records of a batch that are named one by one. */
const maxNamedRecords = 100

/**
 * The checks that Kafka makes before a client's batch is appended (`LogValidator`): exactly one batch of magic 2, size, CRC, counts,
 * no control bit, timestamps within bounds. Nothing is decompressed and no record is looked at; compacted topics ask `checkRecordKeys` too.
 * Throws `corruptBatch`, `recordTooLarge`, `invalidRecord`, `invalidTimestamp`, `unsupportedCompression`, `invalidTransactionState`.
 */
export const checkClientBatch = (
  batch: Buffer,
  rules: BatchRules,
  { zstd }: { readonly zstd: boolean },
  nowMs: number,
): ProducerBatch => {
  checkFrame(batch, rules)
  if (isTransactional(batch)) {
    throw new BrokerError('invalidTransactionState', 'transactions are not served: the batch has the transactional bit')
  }
  if (isControl(batch)) throw new BrokerError('invalidRecord', 'a client cannot write control batches')
  if (baseOffsetOf(batch) !== 0) throw new BrokerError('invalidRecord', 'the base offset of a new batch is 0')
  checkCodec(codecOf(batch), zstd)
  checkTimestamps(batch, rules, nowMs)
  const producerId = producerIdOf(batch)
  const baseSequence = baseSequenceOf(batch)
  if (producerId >= 0 && (baseSequence < 0 || producerEpochOf(batch) < 0)) {
    throw new BrokerError('invalidRecord', `a batch of producer ${producerId} needs an epoch and a sequence`)
  }
  return { producerId, epoch: producerEpochOf(batch), baseSequence, count: recordCountOf(batch) }
}

/** Gives every record of the batch the wall clock `nowMs` as its timestamp; returns it. */
export const stampAppendTime = (batch: Buffer, nowMs: number): number => {
  batch.writeInt16BE(attributesOf(batch) | LOG_APPEND_TIME_BIT, AT.attributes)
  writeInt64(batch, AT.maxTimestamp, nowMs)
  seal(batch)
  return nowMs
}

const checkFrame = (batch: Buffer, rules: BatchRules): void => {
  const shape = frameFault(batch)
  if (shape !== undefined) throw new BrokerError(faultKinds[shape], faultText[shape])
  if (byteLengthOf(batch) !== batch.length)
    throw new BrokerError('invalidRecord', 'a produce request carries one batch a partition')
  if (batch.length > rules.maxBatchBytes) {
    throw new BrokerError(
      'recordTooLarge',
      `the batch has ${batch.length} bytes; max.message.bytes is ${rules.maxBatchBytes}`,
    )
  }
  const fault = batchFault(batch)
  if (fault !== undefined) throw new BrokerError(faultKinds[fault], faultText[fault])
  const mostBytes = codecOf(batch) === 0 ? batch.length - HEADER_BYTES : maxUnpackedBytes
  if (recordCountOf(batch) * leastRecordBytes > mostBytes) throw new BrokerError('invalidRecord', faultText.count)
}

const checkCodec = (codec: number, zstd: boolean): void => {
  if (codec > lastCodec) throw new BrokerError('unsupportedCompression', `there is no compression codec ${codec}`)
  if (codec === zstdCodec && !zstd)
    throw new BrokerError('unsupportedCompression', 'zstd needs Produce version 7 or newer (KIP-110)')
}

const checkTimestamps = (batch: Buffer, rules: BatchRules, nowMs: number): void => {
  if (rules.appendTime) return
  if (hasLogAppendTime(batch))
    throw new BrokerError('invalidTimestamp', 'a client cannot set the timestamp type LogAppendTime')
  const earliest = nowMs - rules.timestampBeforeMaxMs
  const latest = nowMs + rules.timestampAfterMaxMs
  const base = baseTimestampOf(batch)
  const max = maxTimestampOf(batch)
  if ((base >= 0 && base < earliest) || max > latest) {
    throw new BrokerError(
      'invalidTimestamp',
      `timestamps ${base} to ${max} are outside what the topic takes at ${nowMs}`,
    )
  }
}

/**
 * Compacted topics take no record without a key. Throws `invalidRecord` with the positions, `corruptBatch` when the records cannot be
 * taken apart.
 */
export const checkRecordKeys = async (batch: Buffer): Promise<void> => {
  try {
    const records = await decompressRecords(batch, maxUnpackedBytes)
    const positions: number[] = []
    for (let position = 0; records.next(); position++) {
      if (records.key() === null && positions.length < maxNamedRecords) positions.push(position)
    }
    if (positions.length > 0) throw new InvalidRecords('records of a compacted topic need a key', positions)
  } catch (error) {
    if (error instanceof MalformedFrame) throw new BrokerError('corruptBatch', error.message)
    throw error
  }
}

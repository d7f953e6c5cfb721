import { describe, expect, it } from 'vitest'
import {
  type BatchRules,
  checkClientBatch,
  checkRecordKeys,
  stampAppendTime,
} from '../../../src/broker/client-batch.ts'
import { BrokerError } from '../../../src/core/errors.ts'
import { compressBatch, encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import {
  AT,
  attributesOf,
  batchFault,
  CONTROL_BIT,
  hasLogAppendTime,
  LOG_APPEND_TIME_BIT,
  maxTimestampOf,
  seal,
  TRANSACTIONAL_BIT,
  writeInt64,
} from '../../../src/wire/kafka/record-batch.ts'

const nowMs = 1_700_000_000_000
const rules: BatchRules = {
  maxBatchBytes: 1000,
  appendTime: false,
  compacted: false,
  timestampBeforeMaxMs: Number.POSITIVE_INFINITY,
  timestampAfterMaxMs: 3_600_000,
}

const good = (values = ['a', 'b']): Buffer =>
  encodeBatch(
    values.map(value => ({ timestampMs: nowMs, key: Buffer.from('k'), value: Buffer.from(value) })),
    { producer: { producerId: 5, producerEpoch: 1, baseSequence: 9 } },
  )

/** The kind of refusal; undefined when the batch is taken. */
const refusal = (batch: Buffer, changes: Partial<BatchRules> = {}, zstd = true): string | undefined => {
  try {
    checkClientBatch(batch, { ...rules, ...changes }, { zstd }, nowMs)
    return undefined
  } catch (error) {
    if (error instanceof BrokerError) return error.kind
    throw error
  }
}

const changed = (change: (batch: Buffer) => void): Buffer => {
  const batch = good()
  change(batch)
  seal(batch, batch.length)
  return batch
}
const withBit = (bit: number): Buffer => changed(batch => batch.writeInt16BE(attributesOf(batch) | bit, AT.attributes))

it('takes a batch and says what its producer did', () => {
  expect(checkClientBatch(good(), rules, { zstd: true }, nowMs)).toEqual({
    producerId: 5,
    epoch: 1,
    baseSequence: 9,
    count: 2,
  })
})

describe('refuses', () => {
  it.each([
    ['nothing', Buffer.alloc(0), 'corruptBatch'],
    ['half a header', good().subarray(0, 40), 'corruptBatch'],
    ['a batch that is cut', good().subarray(0, -1), 'corruptBatch'],
    ['two batches', Buffer.concat([good(), good()]), 'invalidRecord'],
    ['an old format', changed(batch => batch.writeInt8(1, AT.magic)), 'invalidRecord'],
    ['a control batch', withBit(CONTROL_BIT), 'invalidRecord'],
    ['a transaction', withBit(TRANSACTIONAL_BIT), 'invalidTransactionState'],
    ['append time of its own', withBit(LOG_APPEND_TIME_BIT), 'invalidTimestamp'],
    ['a base offset', changed(batch => writeInt64(batch, AT.baseOffset, 3)), 'invalidRecord'],
    ['a codec that there is not', withBit(7), 'unsupportedCompression'],
    ['no records', changed(batch => batch.writeInt32BE(0, AT.recordCount)), 'invalidRecord'],
    ['a wrong last offset', changed(batch => batch.writeInt32BE(5, AT.lastOffsetDelta)), 'invalidRecord'],
    ['a producer without a sequence', changed(batch => batch.writeInt32BE(-1, AT.baseSequence)), 'invalidRecord'],
    ['a producer without an epoch', changed(batch => batch.writeInt16BE(-1, AT.producerEpoch)), 'invalidRecord'],
  ])('%s', (_what, batch, kind) => {
    expect(refusal(batch)).toBe(kind)
  })

  it('any flipped bit that the checksum covers', () => {
    for (let at = AT.attributes; at < good().length; at++) {
      const batch = good()
      batch[at]! ^= 0x10
      expect(refusal(batch)).toBe('corruptBatch')
    }
  })

  it('more records, and so offsets, than a batch can hold', () => {
    const claimed = (count: number, bit = 0) =>
      changed(batch => {
        batch.writeInt32BE(count, AT.recordCount)
        batch.writeInt32BE(count - 1, AT.lastOffsetDelta)
        batch.writeInt16BE(bit, AT.attributes)
      })
    expect(refusal(claimed(1000))).toBe('invalidRecord')
    expect(refusal(claimed(1000, 1))).toBeUndefined()
    expect(refusal(claimed(2 ** 31 - 1, 1))).toBe('invalidRecord')
  })

  it('what is too large, before it looks at the checksum', () => {
    const batch = good(['x'.repeat(1000)])
    batch[100]! ^= 1
    expect(refusal(batch)).toBe('recordTooLarge')
  })

  it('zstd from requests too old for it', async () => {
    const batch = await compressBatch(good(), 'zstd')
    expect(refusal(batch, {}, false)).toBe('unsupportedCompression')
    expect(refusal(batch)).toBeUndefined()
  })

  it('timestamps out of bounds, unless the broker gives them', () => {
    const late = encodeBatch([{ timestampMs: nowMs + 3_600_001, key: null, value: null }])
    expect(refusal(late)).toBe('invalidTimestamp')
    expect(refusal(late, { appendTime: true })).toBeUndefined()
    const early = encodeBatch([{ timestampMs: nowMs - 11, key: null, value: null }])
    expect(refusal(early, { timestampBeforeMaxMs: 10 })).toBe('invalidTimestamp')
    expect(
      refusal(encodeBatch([{ timestampMs: -1, key: null, value: null }]), { timestampBeforeMaxMs: 10 }),
    ).toBeUndefined()
  })
})

it('stamps the append time and leaves a sound batch', () => {
  const batch = good()
  expect(stampAppendTime(batch, nowMs + 5)).toBe(nowMs + 5)
  expect(hasLogAppendTime(batch)).toBe(true)
  expect(maxTimestampOf(batch)).toBe(nowMs + 5)
  expect(batchFault(batch)).toBeUndefined()
  // a second attempt, after the log had no room
  expect(refusal(batch, { appendTime: true })).toBeUndefined()
})

describe('compacted topics', () => {
  it('want a key of every record, and name those without', async () => {
    const records = ['k', null, 'k', null].map(key => ({
      timestampMs: 1,
      key: key === null ? null : Buffer.from(key),
      value: null,
    }))
    const batch = encodeBatch(records)
    await expect(checkRecordKeys(batch)).rejects.toMatchObject({ kind: 'invalidRecord', positions: [1, 3] })
    await expect(checkRecordKeys(await compressBatch(batch, 'gzip'))).rejects.toMatchObject({ positions: [1, 3] })
    await checkRecordKeys(good())
  })

  it('refuse what cannot be taken apart', async () => {
    await expect(checkRecordKeys(withBit(1))).rejects.toMatchObject({ kind: 'corruptBatch' })
  })
})

import { describe, expect, it } from 'vitest'
import { UnreadableBatch } from '../../../../src/client/kafka-error.ts'
import { originHeaders } from '../../../../src/uplink/origin-headers.ts'
import { localBatches } from '../../../../src/uplink/remote/local-batches.ts'
import { NamedRecords } from '../../../../src/uplink/remote/named-records.ts'
import { BatchBuilder } from '../../../../src/wire/kafka/batch-builder.ts'
import { compressBatch, encodeHeaders, type NewRecordHeader } from '../../../../src/wire/kafka/batch-encoding.ts'
import { AT, LOG_APPEND_TIME_BIT, seal, stamp, writeInt64 } from '../../../../src/wire/kafka/record-batch.ts'
import { allRecords, openRecords } from '../../../../src/wire/kafka/records.ts'

const own = { logId: 'a'.repeat(32), topic: 't', topicId: 'b'.repeat(32), partition: 3 }
const origin = { ...own, gateway: 'g7', incarnation: 'c0' }
const add = originHeaders(origin)
const names = () => new NamedRecords(own)
const header = (key: string, value: string): NewRecordHeader => ({ key, value: Buffer.from(value) })

interface Sent {
  readonly offset: number
  readonly headers?: readonly NewRecordHeader[]
  readonly as?: Partial<typeof origin>
}

/** A batch as it stands upstream, at central offset 1000. */
const upstream = (...records: readonly Sent[]): Buffer => {
  const builder = new BatchBuilder()
  for (const { offset, headers = [], as } of records) {
    const named = (as === undefined ? add : originHeaders({ ...origin, ...as }))(encodeHeaders(headers), offset)
    builder.append(5_000 + offset, Buffer.from('k'), Buffer.from(`v${offset}`), 0, 1 + `${offset}`.length, named)
  }
  const batch = Buffer.from(builder.finish(0, -1))
  stamp(batch, 1_000, 4)
  return batch
}

const offsetsOf = async (batch: Buffer, local = 0, central = 0, known = names()): Promise<number[][]> =>
  (await localBatches(batch, known, { local, central })).map(one =>
    allRecords(openRecords(one.batch)).map(({ offset }) => offset),
  )

describe('the records of a partition in a batch upstream', () => {
  it('have the offsets, times and headers of before', async () => {
    const headers = [header('site', 'a'), header('gateway.offset', '77')]
    const [found, ...others] = await localBatches(upstream({ offset: 7, headers }, { offset: 8 }), names(), {
      local: 0,
      central: 0,
    })
    expect(others).toEqual([])
    expect([found!.first, found!.last]).toEqual([7, 8])
    expect(allRecords(openRecords(found!.batch))).toEqual([
      { offset: 7, timestampMs: 5_007, key: Buffer.from('k'), value: Buffer.from('v7'), headers },
      { offset: 8, timestampMs: 5_008, key: Buffer.from('k'), value: Buffer.from('v8'), headers: [] },
    ])
  })

  it('end a batch where a hole is, and are taken once, from where they are wanted', async () => {
    const batch = () =>
      upstream({ offset: 7 }, { offset: 8 }, { offset: 12 }, { offset: 8 }, { offset: 12 }, { offset: 13 })
    expect(await offsetsOf(batch())).toEqual([
      [7, 8],
      [12, 13],
    ])
    expect(await offsetsOf(batch(), 8)).toEqual([[8], [12, 13]])
    // the central partition begins inside the batch
    expect(await offsetsOf(batch(), 0, 1_002)).toEqual([[12, 13]])
  })

  it.each([
    ['another log', { logId: 'd'.repeat(32) }],
    ['another topic', { topic: 'u' }],
    ['a topic of this name that is no more', { topicId: 'd'.repeat(32) }],
    ['another partition', { partition: 4 }],
  ])('are not those of %s', async (_whose, as) => {
    expect(await offsetsOf(upstream({ offset: 7, as }))).toEqual([])
    const known = names()
    expect(await offsetsOf(upstream({ offset: 7 }), 0, 0, known)).toEqual([[7]])
    expect(await offsetsOf(upstream({ offset: 8, as }), 0, 0, known)).toEqual([])
  })

  it('are known by another start of the log and under another name of the gateway, too', async () => {
    const batch = upstream(
      { offset: 7 },
      { offset: 8, as: { gateway: 'g8' } },
      { offset: 9, as: { incarnation: 'c1' } },
    )
    expect(await offsetsOf(batch)).toEqual([[7, 8, 9]])
  })

  it('may have many headers', async () => {
    for (const count of [56, 57, 58, 63, 64, 70]) {
      const headers = Array.from({ length: count }, (_, at) => header(`h${at}`, '1'))
      const [found] = await localBatches(upstream({ offset: 7, headers }), names(), { local: 0, central: 0 })
      expect(allRecords(openRecords(found!.batch))[0]!.headers).toEqual(headers)
    }
  })

  it('do not end with a header that looks like a name', async () => {
    const builder = new BatchBuilder()
    for (const key of ['gateway.offset', 'offset'])
      builder.append(1, null, Buffer.from('v'), 0, 1, encodeHeaders([header(key, '7')]))
    expect(await offsetsOf(Buffer.from(builder.finish(0, -1)))).toEqual([])
  })

  it('keep their own time where the central topic has the time of its broker', async () => {
    const batch = upstream({ offset: 7 }, { offset: 8 })
    batch.writeInt16BE(LOG_APPEND_TIME_BIT, AT.attributes)
    writeInt64(batch, AT.maxTimestamp, 9_999_999)
    seal(batch)
    const [found] = await localBatches(batch, names(), { local: 0, central: 0 })
    expect(allRecords(openRecords(found!.batch)).map(({ timestampMs }) => timestampMs)).toEqual([5_007, 5_008])
  })

  it('are not taken from a batch that is damaged', async () => {
    const damaged = await compressBatch(upstream({ offset: 7 }), 'zstd')
    damaged[damaged.length - 1]! ^= 1
    await expect(offsetsOf(damaged)).rejects.toThrow(UnreadableBatch)
    seal(damaged)
    await expect(offsetsOf(damaged)).rejects.toThrow(UnreadableBatch)
  })
})

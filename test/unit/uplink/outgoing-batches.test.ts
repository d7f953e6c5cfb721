import { describe, expect, it } from 'vitest'
import { partitionOfKey } from '../../../src/core/murmur2.ts'
import { gatewayHeader, originHeaders } from '../../../src/uplink/origin-headers.ts'
import { type OutgoingRules, outgoingBatches } from '../../../src/uplink/outgoing-batches.ts'
import { KeyCounts, Thinning } from '../../../src/uplink/thinning.ts'
import { compressBatch, encodeBatch, type NewRecord } from '../../../src/wire/kafka/batch-encoding.ts'
import { AT, CONTROL_BIT, codecOf, LOG_APPEND_TIME_BIT, seal, stamp } from '../../../src/wire/kafka/record-batch.ts'
import { allRecords, decompressRecords } from '../../../src/wire/kafka/records.ts'

const rules: OutgoingRules = {
  end: Number.POSITIVE_INFINITY,
  thinning: undefined,
  partition: 1,
  partitions: 4,
  targetPartitions: 4,
  addHeaders: undefined,
  present: new Map(),
  compression: 'zstd',
  batchBytes: 10_000,
  mostStoredBytes: 1 << 20,
  limitBytes: 1 << 20,
  afterIo: async () => undefined,
}
const origin = {
  gateway: 'g7',
  logId: 'a'.repeat(32),
  incarnation: 'b'.repeat(16),
  topic: 't',
  topicId: 'c'.repeat(32),
  partition: 1,
}

const record = (value: string, key: string | null = 'k', headers: NewRecord['headers'] = []): NewRecord => ({
  timestampMs: 1000,
  key: key === null ? null : Buffer.from(key),
  value: Buffer.from(value),
  headers,
})

const stored = (baseOffset: number, ...records: NewRecord[]): Buffer => {
  const batch = encodeBatch(records)
  stamp(batch, baseOffset, 3)
  return batch
}

const contentOf = async (batches: readonly { readonly partition: number; readonly batch: Buffer }[]) => {
  const content: string[] = []
  for (const { partition, batch } of batches) {
    for (const { offset, key, value, headers } of allRecords(await decompressRecords(batch, 1 << 20))) {
      const shown = headers.map(header => `${header.key}=${header.value}`).join(',')
      content.push(`${partition}:${offset} ${key}=${value}${shown === '' ? '' : ` ${shown}`}`)
    }
  }
  return content
}

describe('batches on their way up', () => {
  it('small ones become one, compressed', async () => {
    const many = Array.from({ length: 50 }, (_, index) => stored(index, record(`value ${index}`)))
    const { batches, records } = await outgoingBatches(many, 0, rules)
    expect(batches).toHaveLength(1)
    expect(records).toBe(50)
    expect(codecOf(batches[0]!.batch)).toBe(4)
    expect(await contentOf(batches)).toEqual(many.map((_, index) => `1:${index} k=value ${index}`))
  })

  it('large ones and compressed ones go as they are stored, in a buffer of their own, between merged ones', async () => {
    const large = stored(1, record('x'.repeat(6000)))
    const packed = await compressBatch(stored(2, record('a'), record('b')), 'gzip')
    stamp(packed, 2, 3)
    const given = [stored(0, record('before')), large, packed, stored(4, record('after'))]
    const { batches } = await outgoingBatches(given, 0, rules)
    expect(batches.map(({ count }) => count)).toEqual([1, 1, 2, 1])
    expect(batches[1]!.batch.equals(large)).toBe(true)
    expect(batches[2]!.batch.equals(packed)).toBe(true)
    batches[1]!.batch.fill(0)
    expect(large[AT.magic]).toBe(2)
  })

  it('begin at the position, also inside a batch', async () => {
    const { batches, records } = await outgoingBatches([stored(5, record('a'), record('b'), record('c'))], 6, rules)
    expect(records).toBe(2)
    expect(await contentOf(batches)).toEqual(['1:0 k=b', '1:1 k=c'])
  })

  it('are cut at the batch size', async () => {
    const many = Array.from({ length: 40 }, (_, index) => stored(index, record(String(index).repeat(200))))
    const { batches } = await outgoingBatches(many, 0, { ...rules, batchBytes: 2000, compression: 'none' })
    expect(batches.length).toBeGreaterThan(5)
    for (const { batch } of batches) expect(batch.length).toBeLessThan(2600)
  })

  it('end where there are enough, also inside a batch, and go on there', async () => {
    const large = stored(0, ...Array.from({ length: 40 }, (_, index) => record(String(index).repeat(200))))
    const given = [large, stored(40, record('behind'))]
    const cut = { ...rules, batchBytes: 2000, compression: 'none', mostStoredBytes: 2000, limitBytes: 5000 } as const
    const content: string[] = []
    let next = 0
    for (let round = 0; round < 10 && next < 41; round++) {
      const outgoing = await outgoingBatches(given, next, cut)
      expect(outgoing.bytes).toBeLessThan(8000)
      content.push(...(await contentOf(outgoing.batches)).map(line => line.replace(/^.*=/, '')))
      expect(content).toHaveLength(outgoing.next ?? 41)
      next = outgoing.next ?? 41
    }
    expect(content).toEqual([...Array.from({ length: 40 }, (_, index) => String(index).repeat(200)), 'behind'])
  })

  it('a batch that is too large for the link does not go as it is stored', async () => {
    const large = stored(0, ...Array.from({ length: 40 }, (_, index) => record(String(index).repeat(200))))
    const { batches } = await outgoingBatches([large], 0, { ...rules, mostStoredBytes: 5000 })
    expect(batches[0]!.batch.equals(large)).toBe(false)
  })

  it('markers and what compaction emptied are left out; what it thinned is written anew', async () => {
    const marker = stored(0, record('m'))
    marker.writeInt16BE(CONTROL_BIT, AT.attributes)
    const thinned = stored(1, record('x'.repeat(6000)), record('y'))
    thinned.writeInt32BE(4, AT.lastOffsetDelta)
    seal(thinned)
    const { batches, records } = await outgoingBatches([marker, thinned], 0, rules)
    expect(records).toBe(2)
    expect(batches[0]!.batch.readInt32BE(AT.lastOffsetDelta)).toBe(1)
  })

  it('a batch with the time of its append is written anew: brokers refuse it from clients', async () => {
    const timed = stored(0, record('x'.repeat(6000)))
    timed.writeInt16BE(LOG_APPEND_TIME_BIT, AT.attributes)
    seal(timed)
    const { batches } = await outgoingBatches([timed], 0, rules)
    expect(batches[0]!.batch.readInt16BE(AT.attributes) & LOG_APPEND_TIME_BIT).toBe(0)
  })

  it('with another number of partitions records go by key, those without key stay together', async () => {
    const keys = ['a', 'b', 'c', 'd', 'e', null, null]
    const batch = stored(0, ...keys.map((key, index) => record(String(index), key)))
    const { batches } = await outgoingBatches([batch], 0, { ...rules, targetPartitions: 3 })
    const byPartition = await contentOf(batches)
    for (const [index, key] of keys.entries()) {
      const partition = key === null ? 1 : partitionOfKey(Buffer.from(key), 3)
      expect(byPartition.filter(line => line.startsWith(`${partition}:`) && line.endsWith(`=${index}`))).toHaveLength(1)
    }
  })

  it('headers are added behind those there are, and count as a change', async () => {
    const large = stored(7, record('x'.repeat(6000)), record('y', 'k', [{ key: 'site', value: Buffer.from('s') }]))
    const one = await outgoingBatches([large], 0, { ...rules, addHeaders: gatewayHeader(origin) })
    const lines = await contentOf(one.batches)
    expect(lines[0]).toMatch(/ gateway=g7$/)
    expect(lines[1]).toBe('1:1 k=y site=s,gateway=g7')
    const full = await outgoingBatches([large], 8, { ...rules, addHeaders: originHeaders(origin) })
    expect(await contentOf(full.batches)).toEqual([
      `1:0 k=y site=s,gateway=g7,gateway.log=${origin.logId},gateway.topic=t,gateway.topic.id=${origin.topicId},gateway.partition=1,` +
        `gateway.incarnation=${origin.incarnation},gateway.offset=8`,
    ])
  })

  it('more than 63 headers have a longer count', async () => {
    const headers = Array.from({ length: 63 }, (_, index) => ({ key: `h${index}`, value: null }))
    const { batches } = await outgoingBatches([stored(0, record('v', 'k', headers))], 0, {
      ...rules,
      addHeaders: gatewayHeader(origin),
    })
    const [only] = allRecords(await decompressRecords(batches[0]!.batch, 1 << 20))
    expect(only!.headers).toHaveLength(64)
    expect(only!.headers.at(-1)!.key).toBe('gateway')
  })

  it('what stands upstream already counts as sent, with its place there, and does not go again', async () => {
    const batch = stored(5, record('a'), record('b'), record('c'))
    const present = new Map([
      [5, { partition: 1, offset: 70 }],
      [7, { partition: 1, offset: 90 }],
    ])
    const outgoing = await outgoingBatches([batch], 5, { ...rules, present })
    expect(await contentOf(outgoing.batches)).toEqual(['1:0 k=b'])
    expect(outgoing.records).toBe(3)
    expect([...outgoing.present]).toEqual([[1, { first: 70, last: 90, records: 2 }]])
  })

  it('what a round in doubt has left out, as it is on record, does not come behind what stands there', async () => {
    const batch = stored(5, record('a'), record('b'), record('c'), record('d'), record('e'))
    const present = new Map([[8, { partition: 1, offset: 90 }]])
    const onRecord = [
      { first: 5, last: 5, records: 1, reason: 'expired', logAge: 1 },
      { first: 6, last: 9, records: 2, reason: 'thinned', logAge: 1 },
    ] as const
    const thinning = new Thinning(new KeyCounts(), undefined, onRecord)
    const outgoing = await outgoingBatches([batch], 5, { ...rules, present, thinning })
    expect(await contentOf(outgoing.batches)).toEqual(['1:0 k=e'])
    expect([outgoing.records, thinning.dropped]).toEqual([2, 2])
    expect(thinning.expired).toEqual({ first: 5, last: 5, records: 1, reason: 'expired' })
  })
})

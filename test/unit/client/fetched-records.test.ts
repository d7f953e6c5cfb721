import { describe, expect, it } from 'vitest'
import { unpackRecords } from '../../../src/client/fetched-records.ts'
import { UnreadableBatch } from '../../../src/client/kafka-error.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { AT, attributesOf, CONTROL_BIT, seal, stamp } from '../../../src/wire/kafka/record-batch.ts'

interface Options {
  readonly producerId?: number
  readonly control?: boolean
}

const batchAt = (offset: number, values: readonly string[], { producerId, control = false }: Options = {}): Buffer => {
  const producer = producerId === undefined ? {} : { producer: { producerId, producerEpoch: 0, baseSequence: 0 } }
  const records = values.map(value => ({ timestampMs: 1, key: Buffer.from('k'), value: Buffer.from(value) }))
  const batch = encodeBatch(records, { ...producer, transactional: producerId !== undefined })
  if (control) batch.writeInt16BE(attributesOf(batch) | CONTROL_BIT, AT.attributes)
  seal(batch)
  stamp(batch, offset, 0)
  return batch
}

const valuesOf = async (bytes: Buffer, position = 0, aborted: { producerId: number; firstOffset: number }[] = []) => {
  const { records, position: next } = await unpackRecords(bytes, position, aborted)
  return { values: records.map(({ value }) => value!.toString()), next }
}

it('gives the records from the position on, of whole batches', async () => {
  const bytes = Buffer.concat([batchAt(10, ['a', 'b', 'c']), batchAt(13, ['d']), batchAt(14, ['e']).subarray(0, 65)])
  expect(await valuesOf(bytes, 11)).toEqual({ values: ['b', 'c', 'd'], next: 14 })
  expect(await unpackRecords(null, 7, [])).toMatchObject({ records: [], position: 7 })
})

it('goes on behind a batch whose last records were compacted away', async () => {
  const batch = batchAt(10, ['a'])
  batch.writeInt32BE(9, AT.lastOffsetDelta)
  seal(batch)
  expect(await valuesOf(batch, 10)).toEqual({ values: ['a'], next: 20 })
  expect(await valuesOf(batch, 15)).toEqual({ values: [], next: 20 })
})

describe('what cannot be read', () => {
  const broken = batchAt(12, ['broken'])
  broken[62]! ^= 1

  it('does not hide what comes before it', async () => {
    expect(await valuesOf(Buffer.concat([batchAt(10, ['a', 'b']), broken]), 10)).toEqual({
      values: ['a', 'b'],
      next: 12,
    })
  })

  it('gives nothing of its first records: they would come again and again', async () => {
    const half = batchAt(12, ['a', 'b', 'c'])
    half[half.length - 1] = 0x7f
    seal(half)
    await expect(valuesOf(half, 12)).rejects.toThrow(/offsets 12 to 14 cannot be read/)
    expect(await valuesOf(Buffer.concat([batchAt(10, ['x', 'y']), half]), 10)).toEqual({ values: ['x', 'y'], next: 12 })
  })

  it('is an error where it is due', async () => {
    await expect(valuesOf(broken, 12)).rejects.toThrow(UnreadableBatch)
    const packed = batchAt(12, ['a'])
    packed.writeInt16BE(1, AT.attributes)
    seal(packed)
    await expect(valuesOf(packed, 12)).rejects.toThrow(/offsets 12 to 12 cannot be read/)
  })
})

describe('transactions', () => {
  const bytes = Buffer.concat([
    batchAt(0, ['aborted'], { producerId: 1 }),
    batchAt(1, ['plain']),
    batchAt(2, ['other'], { producerId: 2 }),
    batchAt(3, ['marker'], { producerId: 1, control: true }),
    batchAt(4, ['later'], { producerId: 1 }),
  ])

  it('leaves control records out', async () => {
    expect(await valuesOf(bytes)).toEqual({ values: ['aborted', 'plain', 'other', 'later'], next: 5 })
  })

  it('leaves aborted ones out, up to their marker', async () => {
    const aborted = [{ producerId: 1, firstOffset: 0 }]
    expect(await valuesOf(bytes, 0, aborted)).toEqual({ values: ['plain', 'other', 'later'], next: 5 })
  })
})

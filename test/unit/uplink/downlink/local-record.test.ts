import { expect, it } from 'vitest'
import { lifeLeftMs, localHeaders } from '../../../../src/uplink/downlink/local-record.ts'
import { BatchBuilder } from '../../../../src/wire/kafka/batch-builder.ts'
import { allRecords, openRecords } from '../../../../src/wire/kafka/records.ts'

const stampMs = 1_700_000_000_000
const forever = Number.POSITIVE_INFINITY
const fetched = (headers: Readonly<Record<string, string>> = {}, timestampMs = stampMs) => ({
  topic: 'orders',
  partition: 3,
  offset: 42,
  timestampMs,
  key: Buffer.from('g7/pump'),
  value: null,
  headers: Object.entries(headers).map(([key, value]) => ({ key, value: Buffer.from(value) })),
})

it('a record lives as long as its rule or its own header says, whichever ends first', () => {
  const minute = { 'mqtt.message.expiry': '60' }
  expect(lifeLeftMs(fetched(), forever, stampMs + 1e9)).toBe(forever)
  expect(lifeLeftMs(fetched(), 10_000, stampMs + 4_000)).toBe(6_000)
  expect(lifeLeftMs(fetched(), 10_000, stampMs + 10_000)).toBe(0)
  expect(lifeLeftMs(fetched(minute), 10_000, stampMs)).toBe(10_000)
  expect(lifeLeftMs(fetched(minute), forever, stampMs + 1_000)).toBe(59_000)
  expect(lifeLeftMs(fetched({ 'mqtt.message.expiry': 'soon' }), forever, stampMs)).toBe(forever)
})

it('its time begins with its arrival where no clock can be believed', () => {
  expect(lifeLeftMs(fetched(), 10_000, undefined)).toBe(10_000)
  expect(lifeLeftMs(fetched({}, -1), 10_000, stampMs)).toBe(10_000)
  // its producer's clock is ahead
  expect(lifeLeftMs(fetched(), 10_000, stampMs - 60_000)).toBe(10_000)
})

/** As a reader of the log sees them. */
const headersOf = (record: ReturnType<typeof fetched>, key: string, leftMs: number): Record<string, string> => {
  const builder = new BatchBuilder()
  builder.append(0, null, null, 0, 0, localHeaders(record, Buffer.from(key), leftMs))
  const [read] = allRecords(openRecords(builder.finish(0, 0)))
  return Object.fromEntries(read!.headers.map(header => [header.key, header.value!.toString()]))
}

it('keeps its headers, but for those that speak of another way down, and says where it is from', () => {
  const own = { a: 'b', 'central.topic': 'elsewhere', 'mqtt.message.expiry': '60' }
  const from = { 'central.topic': 'orders', 'central.partition': '3', 'central.offset': '42' }
  expect(headersOf(fetched(own), 'pump', 1_500)).toEqual({
    a: 'b',
    'mqtt.message.expiry': '2',
    ...from,
    'central.key': 'g7/pump',
  })
  expect(headersOf(fetched(), 'g7/pump', forever)).toEqual(from)
})

import { centralHeaders } from '../../broker/command-report.ts'
import type { FetchedRecord } from '../../client/partition-reader.ts'
import { encodeHeaders, type NewRecordHeader } from '../../wire/kafka/batch-encoding.ts'

/** MQTT's Message Expiry Interval as a header, in seconds: by it the MQTT front knows when a record is too old to be delivered. */
const expiryHeader = 'mqtt.message.expiry'
const secondMs = 1000
const mostExpirySeconds = 2 ** 32 - 1

/**
 * How much longer the record is worth anything, milliseconds; Infinity: for ever, 0: it is too old. By the rule's limit or its own header,
 * whichever ends first. `wallMs` is undefined where nobody vouches for the clock: then its time begins now, for a clock that is wrong must not
 * drop what is right.
 */
export const lifeLeftMs = (record: FetchedRecord, ttlMs: number, wallMs: number | undefined): number => {
  const limitMs = Math.min(ttlMs, ownExpiryMs(record))
  if (wallMs === undefined || record.timestampMs < 0) return limitMs
  return Math.max(0, limitMs - Math.max(0, wallMs - record.timestampMs))
}

const ownExpiryMs = ({ headers }: FetchedRecord): number => {
  const seconds = Number(headers.find(({ key }) => key === expiryHeader)?.value?.toString() ?? Number.NaN)
  return Number.isInteger(seconds) && seconds > 0 ? seconds * secondMs : Number.POSITIVE_INFINITY
}

const ownHeaders: readonly string[] = [...Object.values(centralHeaders), expiryHeader]

/** The header list that it has here: its own, how long it is worth anything, and where it is from. */
export const localHeaders = (record: FetchedRecord, key: Buffer | null, leftMs: number): Buffer => {
  const headers: NewRecordHeader[] = record.headers.filter(header => !ownHeaders.includes(header.key))
  const add = (name: string, value: Buffer | string | number): void => {
    headers.push({ key: name, value: Buffer.isBuffer(value) ? value : Buffer.from(String(value)) })
  }
  if (leftMs !== Number.POSITIVE_INFINITY)
    add(expiryHeader, Math.min(mostExpirySeconds, Math.max(1, Math.ceil(leftMs / secondMs))))
  add(centralHeaders.topic, record.topic)
  add(centralHeaders.partition, record.partition)
  add(centralHeaders.offset, record.offset)
  if (record.key !== null && (key === null || !key.equals(record.key))) add(centralHeaders.key, record.key)
  return encodeHeaders(headers)
}

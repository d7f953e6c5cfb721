import { ByteReader } from '../core/byte-reader.ts'
import { decodeState } from '../state/codec.ts'
import { decodeOffset, offsetKeyTag } from '../state/group-offsets.ts'
import { internalPartitions } from '../state/internal-partitions.ts'
import { positionKeyTag } from '../state/mqtt-sessions.ts'
import { decodeControlRecord } from '../storage/control-record.ts'
import { logControlPartition } from '../storage/log.ts'
import type { LogRecord } from '../wire/kafka/records.ts'
import { decodeValue } from './decode-value.ts'
import { isInternal } from './log-partitions.ts'

/** A record in a form that JSON can say. */
export interface ShownRecord {
  readonly offset: number
  readonly time: string
  readonly key: unknown
  /** Null: a tombstone. */
  readonly value: unknown
  readonly headers: Readonly<Record<string, unknown>>
}

/** The record with key and value decoded: internal ones as the view that writes them says, others as JSON, CBOR or text. */
export const shownRecord = (partition: number, record: LogRecord): ShownRecord => ({
  offset: record.offset,
  time: isoTime(record.timestampMs),
  ...keyAndValue(partition, record),
  headers: Object.fromEntries(record.headers.map(({ key, value }) => [key, textOf(value)])),
})

/** The time, or the number where it is beyond what a calendar can say. */
export const isoTime = (timestampMs: number): string =>
  Math.abs(timestampMs) <= 8.64e15 ? new Date(timestampMs).toISOString() : String(timestampMs)

const keyAndValue = (partition: number, { key, value }: LogRecord): { key: unknown; value: unknown } => {
  if (!isInternal(partition)) return { key: textOf(key), value: decodeValue(value) }
  try {
    return { key: internalKey(partition, key), value: internalValue(partition, key, value) }
  } catch {
    // a format that a later version may have written
    return { key: textOf(key), value: textOf(value) }
  }
}

const internalKey = (partition: number, key: Buffer | null): unknown => {
  if (key === null) return null
  switch (partition) {
    case internalPartitions.groups:
      return groupKey(key)
    case internalPartitions.producers:
      if (key.length !== 12) return textOf(key)
      return { partition: key.readUInt32BE(0), producerId: Number(key.readBigUInt64BE(4)) }
    case internalPartitions.mqttInflight:
      return { packetId: key.readUInt16BE(0), clientId: key.toString('utf8', 2) }
    case internalPartitions.mqttOutbound:
      return { window: key.readUIntBE(0, 6), clientId: key.toString('utf8', 6) }
    case internalPartitions.mqttShares:
      return { filter: key.toString('utf8', 4), partition: key.readUInt32BE(0) }
    case internalPartitions.mqttSessions:
      if (key[0] !== positionKeyTag) return { clientId: key.toString('utf8', 1) }
      return { clientId: key.toString('utf8', 5), partition: key.readUInt32BE(1) }
    default:
      return textOf(key)
  }
}

const groupKey = (key: Buffer): unknown => {
  if (key[0] !== offsetKeyTag) return { group: key.toString('utf8', 1) }
  const reader = new ByteReader(key, 'group offset key', 1)
  const group = reader.text(reader.unsignedVarint())
  const topic = reader.text(reader.unsignedVarint())
  return { group, topic, partition: reader.unsignedVarint() }
}

const internalValue = (partition: number, key: Buffer | null, value: Buffer | null): unknown => {
  if (value === null) return null
  if (partition === logControlPartition) return decodeControlRecord(value) ?? textOf(value)
  if (partition === internalPartitions.groups && key?.[0] === offsetKeyTag) return decodeOffset(value)
  if (partition === internalPartitions.mqttInflight) return 'held'
  return plainState(decodeState(value))
}

/** Bytes within a state value become text or base64. */
const plainState = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return textOf(Buffer.from(value))
  if (Array.isArray(value)) return value.map(plainState)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plainState(part)]))
}

const textOf = (bytes: Buffer | null): unknown => {
  if (bytes === null) return null
  const text = bytes.toString()
  const isText = Buffer.from(text).equals(bytes) && !hasControlCharacter(text)
  return isText ? text : { base64: bytes.toString('base64') }
}

const hasControlCharacter = (text: string): boolean =>
  [...text].some(character => character < ' ' && character !== '\n' && character !== '\t')

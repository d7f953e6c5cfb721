import type { Uuid } from '../core/uuid.ts'
import { varintLength, writeVarint } from '../core/varint.ts'
import { encodeHeaders } from '../wire/kafka/batch-encoding.ts'
import type { RecordHeader } from '../wire/kafka/records.ts'

/** Where a record is from, as headers upstream say it. */
export interface Origin {
  readonly gateway: string
  readonly logId: Uuid
  readonly incarnation: string
  readonly topic: string
  readonly topicId: Uuid
  readonly partition: number
}

/** Adds to the header list of a record, both encoded. */
export type AddHeaders = (headers: Buffer, offset: number) => Buffer

/** The header `gateway`. */
export const gatewayHeader = ({ gateway }: Origin): AddHeaders => {
  const added = withoutCount(encodeHeaders([{ key: 'gateway', value: Buffer.from(gateway) }]))
  // records of one device have the same headers, one after the other
  let before: Buffer | undefined
  let after = added
  return headers => {
    if (before === undefined || !before.equals(headers)) {
      before = headers
      after = joined(headers, added, 1)
    }
    return after
  }
}

/** What `originHeaders` adds, in this order, behind all others. */
export const originHeaderKeys = [
  'gateway',
  'gateway.log',
  'gateway.topic',
  'gateway.topic.id',
  'gateway.partition',
  'gateway.incarnation',
  'gateway.offset',
] as const

/** The header `gateway`, and `gateway.log`, `.topic`, `.topic.id`, `.partition`, `.incarnation` and `.offset`: a record that names its one origin. */
export const originHeaders = (origin: Origin): AddHeaders => {
  const { gateway, logId, topic, topicId, partition, incarnation } = origin
  const same = [gateway, logId, topic, topicId, String(partition), incarnation]
  const fixed = same.map((value, index) => ({ key: originHeaderKeys[index]!, value: Buffer.from(value) }))
  return (headers, offset) => {
    const own = [...fixed, { key: originHeaderKeys.at(-1)!, value: Buffer.from(String(offset)) }]
    return joined(headers, withoutCount(encodeHeaders(own)), own.length)
  }
}

/** The one record of a log that a record upstream is, and the start of the log that sent it. */
export interface RecordOrigin {
  readonly logId: string
  readonly incarnation: string
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly offset: number
}

/** What `originHeaders` wrote; undefined where it did not. Of a record that came up over several gateways the last one counts. */
export const originOf = (headers: readonly RecordHeader[]): RecordOrigin | undefined => {
  const read = (name: string): string => headers.findLast(({ key }) => key === name)?.value?.toString() ?? ''
  const offset = read('gateway.offset')
  if (offset === '') return undefined
  return {
    logId: read('gateway.log'),
    incarnation: read('gateway.incarnation'),
    topic: read('gateway.topic'),
    topicId: read('gateway.topic.id'),
    partition: Number(read('gateway.partition')),
    offset: Number(offset),
  }
}

/** Fewer than 64 headers have a count of one byte. */
const withoutCount = (headers: Buffer): Buffer => headers.subarray(1)

const joined = (headers: Buffer, added: Buffer, addedCount: number): Buffer => {
  const { count, bytes } = readCount(headers)
  const prefix = Buffer.alloc(varintLength(count + addedCount))
  writeVarint(prefix, 0, count + addedCount)
  return Buffer.concat([prefix, headers.subarray(bytes), added])
}

/** A zigzag varint; the record was checked when it was taken in. */
const readCount = (headers: Buffer): { count: number; bytes: number } => {
  let value = 0
  let bytes = 0
  for (let shift = 0; ; shift += 7) {
    const byte = headers[bytes++]!
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) return { count: value >>> 1, bytes }
  }
}

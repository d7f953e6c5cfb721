import { ByteReader } from '../core/byte-reader.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import { writeUnsignedVarint, writeVarint, writeVarlong } from '../core/varint.ts'
import type { StateRecord } from './view.ts'

export interface CommittedOffset {
  readonly offset: number
  /** -1 when the consumer did not know it. */
  readonly leaderEpoch: number
  readonly metadata: string | null
  /** Log age in whole seconds at the commit: expiry counts from here. */
  readonly logAge: number
}

/** Partition index to its committed offset. */
export type TopicOffsets = ReadonlyMap<number, CommittedOffset>

/** First byte of the key of an offset record. */
export const offsetKeyTag = 2

const valueFormat = 1
/** What an offset costs in maps and objects, besides its key and metadata. Measured roughly; only to bound the table. */
const overheadBytes = 128

/**
 * Committed offsets of all groups, in memory: group -> topic -> partition. Records, varints as in `core/varint.ts`:
 *
 *     key    02 | uvarint length, group id | uvarint length, topic name | uvarint partition
 *     value  01 | varlong offset | varint leader epoch | uvarint log age in s | uvarint metadata length + 1 (0: null), metadata
 */
export class GroupOffsets {
  readonly #groups = new Map<string, Map<string, Map<number, CommittedOffset>>>()
  #bytes = 0

  /** Approximate memory that the offsets hold. */
  get bytes(): number {
    return this.#bytes
  }

  get(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#groups.get(group)?.get(topic)?.get(partition)
  }

  /** Topics of the group with their offsets; undefined when it has none. Not to be kept: it changes with every commit. */
  topics(group: string): ReadonlyMap<string, TopicOffsets> | undefined {
    return this.#groups.get(group)
  }

  /** The least offset that a group has committed of the partition: every group that reads it has read what lies below. Undefined when none has. */
  readThrough(topic: string, partition: number): number | undefined {
    let least = Number.POSITIVE_INFINITY
    for (const topics of this.#groups.values()) {
      const committed = topics.get(topic)?.get(partition)
      if (committed !== undefined && committed.offset < least) least = committed.offset
    }
    return least === Number.POSITIVE_INFINITY ? undefined : least
  }

  /** Groups that have offsets. */
  groups(): Iterable<string> {
    return this.#groups.keys()
  }

  apply(key: Buffer, value: Buffer | null): void {
    const reader = new ByteReader(key, 'group offset key', 1)
    const group = reader.text(reader.unsignedVarint())
    const topic = reader.text(reader.unsignedVarint())
    const partition = reader.unsignedVarint() | 0
    if (value === null) this.#remove(group, topic, partition)
    else this.#put(group, topic, partition, decodeOffset(value))
  }

  *entries(): Iterable<StateRecord> {
    for (const [group, topics] of this.#groups)
      for (const [topic, offsets] of topics)
        for (const [partition, committed] of offsets)
          yield { key: offsetKey(group, topic, partition), value: encodeOffset(committed) }
  }

  clear(): void {
    this.#groups.clear()
    this.#bytes = 0
  }

  #put(group: string, topic: string, partition: number, committed: CommittedOffset): void {
    let topics = this.#groups.get(group)
    if (topics === undefined) this.#groups.set(group, (topics = new Map()))
    let offsets = topics.get(topic)
    if (offsets === undefined) topics.set(topic, (offsets = new Map()))
    const before = offsets.get(partition)
    if (before !== undefined) this.#bytes -= offsetBytes(group, topic, before.metadata)
    offsets.set(partition, committed)
    this.#bytes += offsetBytes(group, topic, committed.metadata)
  }

  #remove(group: string, topic: string, partition: number): void {
    const topics = this.#groups.get(group)
    const offsets = topics?.get(topic)
    const before = offsets?.get(partition)
    if (topics === undefined || offsets === undefined || before === undefined) return
    this.#bytes -= offsetBytes(group, topic, before.metadata)
    offsets.delete(partition)
    if (offsets.size === 0) topics.delete(topic)
    if (topics.size === 0) this.#groups.delete(group)
  }
}

/** What an offset adds to `GroupOffsets.bytes`. */
export const offsetBytes = (group: string, topic: string, metadata: string | null): number =>
  overheadBytes + group.length + topic.length + (metadata?.length ?? 0)

export function offsetKey(group: string, topic: string, partition: number): Buffer {
  const groupBytes = Buffer.byteLength(group)
  const topicBytes = Buffer.byteLength(topic)
  const key = Buffer.allocUnsafe(groupBytes + topicBytes + 16)
  key[0] = offsetKeyTag
  let at = writeUnsignedVarint(key, 1, groupBytes)
  at += key.write(group, at)
  at = writeUnsignedVarint(key, at, topicBytes)
  at += key.write(topic, at)
  return key.subarray(0, writeUnsignedVarint(key, at, partition))
}

export function encodeOffset({ offset, leaderEpoch, metadata, logAge }: CommittedOffset): Buffer {
  const metadataBytes = metadata === null ? 0 : Buffer.byteLength(metadata)
  const value = Buffer.allocUnsafe(metadataBytes + 26)
  value[0] = valueFormat
  let at = writeVarlong(value, 1, offset)
  at = writeVarint(value, at, leaderEpoch)
  at = writeUnsignedVarint(value, at, logAge)
  at = writeUnsignedVarint(value, at, metadata === null ? 0 : metadataBytes + 1)
  if (metadata !== null) at += value.write(metadata, at)
  return value.subarray(0, at)
}

/** The inverse of `encodeOffset`; `MalformedFrame` when the bytes are none. */
export function decodeOffset(value: Buffer): CommittedOffset {
  const reader = new ByteReader(value, 'group offset')
  const format = reader.uint8()
  if (format !== valueFormat) throw new MalformedFrame('group offset', `unknown format ${format}`)
  const offset = reader.varlong()
  const leaderEpoch = reader.varint()
  const logAge = reader.unsignedVarint()
  const metadataBytes = reader.unsignedVarint()
  return { offset, leaderEpoch, logAge, metadata: metadataBytes === 0 ? null : reader.text(metadataBytes - 1) }
}

import { ByteReader } from '../core/byte-reader.ts'
import { ByteWriter } from '../core/byte-writer.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'

/** Assigned partitions by topic. */
export type Assignment = ReadonlyMap<string, readonly number[]>

/** What a member of a `consumer` group says when it joins (ConsumerProtocolSubscription, version 0). */
export const encodeSubscription = (topics: readonly string[]): Buffer => {
  const writer = new ByteWriter()
  writer.int16(0)
  writer.int32(topics.length)
  for (const topic of topics) writeString(writer, topic)
  writer.int32(-1)
  return Buffer.concat(writer.finish())
}

/** Topics of a subscription of any version: the fields that later versions add come after. */
export const decodeSubscription = (bytes: Buffer): string[] => {
  const reader = new ByteReader(bytes, 'subscription')
  reader.int16()
  const count = reader.int32()
  reader.claimElements(count, 2)
  return Array.from({ length: count }, () => readString(reader))
}

/** ConsumerProtocolAssignment, version 0. */
export const encodeAssignment = (assignment: Assignment): Buffer => {
  const writer = new ByteWriter()
  writer.int16(0)
  writer.int32(assignment.size)
  for (const [topic, partitions] of assignment) {
    writeString(writer, topic)
    writer.int32(partitions.length)
    for (const partition of partitions) writer.int32(partition)
  }
  writer.int32(-1)
  return Buffer.concat(writer.finish())
}

/** Empty bytes are an empty assignment: the leader left this member out. */
export const decodeAssignment = (bytes: Buffer): Assignment => {
  const assignment = new Map<string, number[]>()
  if (bytes.length === 0) return assignment
  const reader = new ByteReader(bytes, 'assignment')
  reader.int16()
  const topics = reader.int32()
  reader.claimElements(topics, 6)
  for (let index = 0; index < topics; index += 1) {
    const topic = readString(reader)
    const count = reader.int32()
    reader.claimElements(count, 4)
    assignment.set(
      topic,
      Array.from({ length: count }, () => reader.int32()),
    )
  }
  return assignment
}

const noAssignment: Assignment = new Map()

/** As `decodeAssignment`; none where it is not what consumers of Kafka write: a member's client may write anything. */
export const readAssignment = (bytes: Buffer): Assignment => {
  try {
    return decodeAssignment(bytes)
  } catch (error) {
    if (error instanceof MalformedFrame) return noAssignment
    throw error
  }
}

/** The range assignor of Kafka's consumers: per topic, contiguous partitions to members in order of their ids. */
export const assignRanges = (
  subscriptions: ReadonlyMap<string, readonly string[]>,
  partitionCounts: ReadonlyMap<string, number>,
): Map<string, Assignment> => {
  const assignments = new Map([...subscriptions.keys()].map(member => [member, new Map<string, number[]>()]))
  for (const [topic, count] of partitionCounts) {
    const members = [...subscriptions].filter(([, topics]) => topics.includes(topic)).map(([member]) => member)
    members.sort()
    const each = Math.floor(count / members.length)
    const extra = count % members.length
    for (const [index, member] of members.entries()) {
      const start = each * index + Math.min(index, extra)
      const length = each + (index < extra ? 1 : 0)
      if (length > 0)
        assignments.get(member)!.set(
          topic,
          Array.from({ length }, (_, step) => start + step),
        )
    }
  }
  return assignments
}

const writeString = (writer: ByteWriter, text: string): void => {
  const bytes = Buffer.byteLength(text)
  writer.int16(bytes)
  writer.text(text, bytes)
}

const readString = (reader: ByteReader): string => reader.text(Math.max(0, reader.int16()))

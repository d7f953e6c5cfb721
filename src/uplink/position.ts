import type { Uuid } from '../core/uuid.ts'
import type { UpstreamPosition } from '../state/uplink.ts'
import type { LogRecord } from '../wire/kafka/records.ts'
import { UplinkStopped } from './uplink-errors.ts'

/** What a record of the positions topic says of one partition of one log. */
export interface Position extends UpstreamPosition {
  readonly topic: string
  readonly partition: number
  /** Name of the gateway, for people. */
  readonly gateway: string
  /** Of the start of the log that sent it. */
  readonly incarnation: string
  readonly target: string
  /** By target partition: the central offset of the last record that the round brought it. */
  readonly central: Readonly<Record<string, number>>
}

const version = 1

export const positionKey = (logId: string, topic: string, partition: number): Buffer =>
  Buffer.from(`${logId}/${topic}/${partition}`)

/** JSON, so that every tool of the central cluster shows it. Milliseconds are the gateway's wall clock, for people. */
export const encodePosition = (logId: string, position: Position, wallMs: number) => {
  const { topic, partition, ...rest } = position
  return {
    timestampMs: wallMs,
    key: positionKey(logId, topic, partition),
    value: Buffer.from(JSON.stringify({ version, ...rest })),
  }
}

/** The position in a record; undefined when it is of another log. Throws `UnreadablePosition`. */
export const decodePosition = (logId: string, { key, value }: LogRecord): Position | undefined => {
  const [log, topic, partition] = (key ?? '').toString().split('/')
  if (log !== logId || topic === undefined || partition === undefined || value === null) return undefined
  const where = `position of partition ${partition} of ${topic}`
  const read = parse(value, where)
  if (read['version'] !== version)
    throw new UnreadablePosition(`${where}: version ${String(read['version'])} is not known`)
  const { topicId, last, records, gateway, incarnation, target, central } = read
  if (!isText(topicId) || !isCount(last) || !isCount(records) || !isText(incarnation))
    throw new UnreadablePosition(`${where}: fields are missing`)
  return {
    topic,
    partition: Number(partition),
    topicId: topicId as Uuid,
    last,
    records,
    incarnation,
    gateway: String(gateway),
    target: String(target),
    central: (central ?? {}) as Record<string, number>,
  }
}

/** A position that cannot be understood: going on without it could send records twice. */
export class UnreadablePosition extends UplinkStopped {
  override name = 'UnreadablePosition'
}

const parse = (value: Buffer, where: string): Record<string, unknown> => {
  try {
    const read: unknown = JSON.parse(value.toString())
    if (typeof read === 'object' && read !== null) return read as Record<string, unknown>
  } catch {
    // said below
  }
  throw new UnreadablePosition(`${where}: not a JSON object`)
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

import type { CentralSpan, OffsetSpan, StartOffset, Unsent, UpstreamPosition } from '../state/uplink.ts'
import type { LogRecord } from '../wire/kafka/records.ts'
import { offsetsIn, trackOf } from './track.ts'
import { UplinkStopped } from './uplink-errors.ts'

/** What a record of the positions topic says of one partition of one log. */
export interface Position extends UpstreamPosition {
  readonly topic: string
  readonly partition: number
  /** Name of the gateway, for people. */
  readonly gateway: string
}

const version = 1

/**
 * The position comes after a newer one: it is of a request that was late, which without transactions nothing holds off. Of an earlier topic of this
 * name is every one whose topic is not `topicId`, the one that is here now.
 */
export const isLate = (
  position: UpstreamPosition,
  known: UpstreamPosition | undefined,
  topicId: string | undefined,
): boolean => {
  if (known === undefined) return false
  if (known.topicId !== position.topicId) return known.topicId === topicId
  return offsetsIn(trackOf(known)) > offsetsIn(trackOf(position))
}

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
  const { topicId, last, ahead, named, records, unsent, gateway, target, targetId, central, elsewhere, starts } = read
  if (!isText(topicId) || !isText(target) || !isText(targetId) || !isEnd(last) || !isCount(records))
    throw new UnreadablePosition(`${where}: fields are missing`)
  if (
    (ahead !== undefined && !isAhead(ahead)) ||
    (named !== undefined && !isCount(named)) ||
    !isUnsent(unsent) ||
    !isCentral(central) ||
    !isElsewhere(elsewhere) ||
    !isStarts(starts)
  )
    throw new UnreadablePosition(`${where}: fields are not as they should be`)
  return {
    topic,
    partition: Number(partition),
    ...(ahead === undefined ? {} : { ahead }),
    ...(named === undefined ? {} : { named }),
    ...{ topicId, last, records, unsent, gateway: String(gateway), target, targetId, central, elsewhere, starts },
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
const isEnd = (value: unknown): value is number => value === -1 || isCount(value)
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isUnsent = (value: unknown): value is Unsent => isObject(value) && Object.values(value).every(isCount)
const isCentral = (value: unknown): value is Record<string, CentralSpan> =>
  isObject(value) && Object.values(value).every(isSpan)
const isSpan = (value: unknown): value is CentralSpan =>
  isObject(value) && isCount(value['first']) && isCount(value['last']) && isCount(value['records'])
const isAhead = (value: unknown): value is readonly OffsetSpan[] =>
  Array.isArray(value) && value.every(one => isObject(one) && isCount(one['first']) && isCount(one['last']))
const isElsewhere = (value: unknown): value is UpstreamPosition['elsewhere'] =>
  isObject(value) && isCount(value['renamed']) && isCount(value['remade'])
const isStarts = (value: unknown): value is readonly StartOffset[] =>
  Array.isArray(value) && value.length > 0 && value.every(isStart)
const isStart = (value: unknown): value is StartOffset =>
  isObject(value) && isText(value['incarnation']) && isCount(value['from'])

import type { Uuid } from '../core/uuid.ts'
import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/**
 * Why an offset below a position is not upstream: `budget`, `retention` and `damage` took it before it was sent, as gap records say; `removed`: it
 * left the log without one (DeleteRecords, or before the topic was to go up); `empty`: no record has it (compaction); `skipped` by an
 * operator; `expired` and `thinned` by a rule of `uplink.rules`; `parent`: the log that this one was made of brought it up.
 */
export type UnsentReason =
  | 'budget'
  | 'retention'
  | 'damage'
  | 'removed'
  | 'empty'
  | 'skipped'
  | 'expired'
  | 'thinned'
  | 'parent'

/** Offsets by the reason why they are not upstream. */
export type Unsent = Readonly<Partial<Record<UnsentReason, number>>>

/** What went to one partition of the target: how many records, and the central offsets of the first and the last. */
export interface CentralSpan {
  readonly first: number
  readonly last: number
  readonly records: number
}

/** A start of the log, and the offset at which it began in a partition. */
export interface StartOffset {
  readonly incarnation: string
  readonly from: number
}

/** Offsets, both ends included. */
export interface OffsetSpan {
  readonly first: number
  readonly last: number
}

/**
 * How far a partition is upstream, and what became of each offset: `last + 1` + the offsets of `ahead` = `records` + the sum of `unsent`, and
 * `records` = those of `central` + `elsewhere`.
 */
export interface UpstreamPosition {
  /** Of the topic that was sent: one of the same name that was made later starts anew. */
  readonly topicId: Uuid
  /** Last offset of those from 0 on that are all upstream, or never will be; -1: the first is not. */
  readonly last: number
  /** Spans behind that which are, ascending; absent: there is none. Of `order: newest-first`, and what an operator skipped. */
  readonly ahead?: readonly OffsetSpan[]
  /** Records sent since the topic was made. */
  readonly records: number
  readonly unsent: Unsent
  /**
   * All that went to the target from this offset on stands there once, in order, and each record names its origin; absent: not even what went last.
   * What `remote.read` may read.
   */
  readonly named?: number
  /** Name of the topic upstream, and its id there (zeros where the cluster has none). */
  readonly target: string
  readonly targetId: Uuid
  /** By partition of the target. */
  readonly central: Readonly<Record<string, CentralSpan>>
  /** Records that went to earlier targets: topics of another name, or of this name that were deleted upstream. */
  readonly elsewhere: { readonly renamed: number; readonly remade: number }
  /** Newest first: the start of the log that sent it, and some before. */
  readonly starts: readonly StartOffset[]
}

/** A start of the log, as the log remembers it. */
export interface KnownStart {
  readonly incarnation: string
  /** Leader epoch of what it appended. */
  readonly epoch: number
  /** It had a session with the central cluster: a position upstream may name it. */
  readonly mayHaveSent: boolean
}

/** Where the positions of this log stand upstream, and how far they were read. */
export interface PositionsPlace {
  readonly topicId: Uuid
  /** Partitions that the topic had when the first position was written: they said which one it is. */
  readonly partitions: number
  readonly partition: number
  /** Offset to read on from. */
  readonly next: number
}

/** What an operator gave up of a partition: it stands here and not upstream. */
export interface SkippedSpan {
  readonly topicId: Uuid
  readonly first: number
  readonly last: number
  /** What the central cluster had said. */
  readonly refusal: string
  /** Log age in seconds. */
  readonly logAge: number
}

/**
 * Offsets of which so many records were left out by a rule: they stand here and not upstream. At most so many where a round in doubt has cut the span,
 * without transactions; the ledger has the number.
 */
export interface LeftOutSpan {
  readonly first: number
  readonly last: number
  readonly records: number
  readonly reason: 'expired' | 'thinned'
  /** Log age in seconds. */
  readonly logAge: number
}

/** Of a partition: the newest spans, and those before them summed. */
export interface LeftOut {
  readonly topicId: Uuid
  readonly spans: readonly LeftOutSpan[]
  readonly older: { readonly spans: number; readonly records: number }
}

/** Losses upstream that an operator knows of, so that the audit does not call them unexplained. */
export interface KnownLosses {
  readonly topicId: Uuid
  readonly losses: readonly KnownLoss[]
}

export interface KnownLoss {
  /** Which one it is, as the audit names it. */
  readonly name: string
  /** Records that it was about: more are another loss. */
  readonly records: number
  readonly by: string
  /** Log age in seconds. */
  readonly logAge: number
}

/** Records below this offset were deleted here (DeleteRecords): what the central cluster has of them is not read, either. */
export interface DeletedRecords {
  readonly topicId: Uuid
  readonly below: number
}

/** Under which producer id the log sends where there are no transactions. */
export interface UplinkProducer {
  /** Topic id of the positions topic: of another cluster the id means nothing. */
  readonly positionsId: string
  readonly producerId: number
}

/** Where the records of this log ended in a partition upstream. */
export interface UpstreamTail {
  /** Of the target. */
  readonly topicId: string
  readonly producerId: number
  readonly epoch: number
  /** Central offset: what this log has below it, the positions know. */
  readonly offset: number
  /** Of the first batch that this log sends behind it. */
  readonly sequence: number
}

const positionTag = 'position/'
const leftOutTag = 'left-out/'
const skippedTag = 'skipped/'
const acknowledgedTag = 'acknowledged/'
const incarnationTag = 'incarnation/'
const inheritedTag = 'inherited/'
const placeKey = 'place'
const fencedTag = 'fenced/'
const pausedKey = 'paused'
const producerTag = 'producer/'
const tailTag = 'tail/'
const deletedTag = 'deleted/'

/**
 * The copy of what the central cluster says of this log, and what must outlive a restart beside it. It may be old, never ahead. Keys are
 * text, values CBOR:
 *
 *     position/TOPIC/PARTITION   -> `UpstreamPosition`
 *     skipped/TOPIC/PARTITION    -> array of `SkippedSpan`, ascending
 *     left-out/TOPIC/PARTITION   -> `LeftOut`, spans ascending
 *     acknowledged/TOPIC/PARTITION -> `KnownLosses`
 *     incarnation/HEX            -> `epoch` and `mayHaveSent` of a start of this log
 *     inherited/LOG_ID           -> log age in seconds; what this log has of its parents is in its positions
 *     place                      -> `PositionsPlace`
 *     fenced/LOG_ID              -> text; why this log must not send any more; one restored from it has another id
 *     paused                     -> log age in seconds; since when nothing is to be sent
 *     producer/LOG_ID            -> `UplinkProducer`
 *     tail/TARGET/PARTITION      -> `UpstreamTail`
 *     deleted/TOPIC/PARTITION    -> `DeletedRecords`
 */
export class UplinkView implements View {
  readonly name = 'uplink'
  readonly partition = internalPartitions.uplink
  readonly #values = new Map<string, Buffer>()

  position(topic: string, partition: number): UpstreamPosition | undefined {
    return this.#get(positionKey(topic, partition))
  }

  get place(): PositionsPlace | undefined {
    return this.#get(placeKey)
  }

  /** Why the log of this id is fenced; undefined: it is not. */
  fenced(logId: string): string | undefined {
    return this.#get(fencedTag + logId)
  }

  /** Somebody wants nothing to be sent for now. */
  get paused(): boolean {
    return this.#values.has(pausedKey)
  }

  /** Undefined: this log has not had that start. */
  start(incarnation: string): KnownStart | undefined {
    const start = this.#get<Omit<KnownStart, 'incarnation'>>(incarnationTag + incarnation)
    return start && { incarnation, ...start }
  }

  /** Starts of this log, newest first. */
  starts(): KnownStart[] {
    const found = this.#tagged<Omit<KnownStart, 'incarnation'>>(incarnationTag)
    const starts = found.map(([incarnation, start]) => ({ incarnation, ...start }))
    return starts.sort((one, other) => other.epoch - one.epoch)
  }

  /** Of all partitions that have one, those of deleted topics included. */
  positions(): { readonly topic: string; readonly partition: number; readonly position: UpstreamPosition }[] {
    return this.#tagged<UpstreamPosition>(positionTag).map(([name, position]) => {
      const [topic = '', partition] = name.split('/')
      return { topic, partition: Number(partition), position }
    })
  }

  /** The log of this id has taken over what the logs have sent that it was made of. */
  hasInherited(logId: string): boolean {
    return this.#values.has(inheritedTag + logId)
  }

  producer(logId: string): UplinkProducer | undefined {
    return this.#get(producerTag + logId)
  }

  tail(target: string, partition: number): UpstreamTail | undefined {
    return this.#get(tailKey(target, partition))
  }

  putPosition(topic: string, partition: number, position: UpstreamPosition): StateChange {
    return this.#put(positionKey(topic, partition), position)
  }

  skipped(topic: string, partition: number): readonly SkippedSpan[] {
    return this.#get(`${skippedTag}${topic}/${partition}`) ?? []
  }

  putSkipped(topic: string, partition: number, spans: readonly SkippedSpan[]): StateChange {
    return this.#put(`${skippedTag}${topic}/${partition}`, spans)
  }

  leftOut(topic: string, partition: number): LeftOut | undefined {
    return this.#get(`${leftOutTag}${topic}/${partition}`)
  }

  putLeftOut(topic: string, partition: number, leftOut: LeftOut): StateChange {
    return this.#put(`${leftOutTag}${topic}/${partition}`, leftOut)
  }

  acknowledged(topic: string, partition: number): KnownLosses | undefined {
    return this.#get(`${acknowledgedTag}${topic}/${partition}`)
  }

  putAcknowledged(topic: string, partition: number, known: KnownLosses): StateChange {
    return this.#put(`${acknowledgedTag}${topic}/${partition}`, known)
  }

  deleted(topic: string, partition: number): DeletedRecords | undefined {
    return this.#get(`${deletedTag}${topic}/${partition}`)
  }

  putDeleted(topic: string, partition: number, deleted: DeletedRecords): StateChange {
    return this.#put(`${deletedTag}${topic}/${partition}`, deleted)
  }

  putPlace(place: PositionsPlace): StateChange {
    return this.#put(placeKey, place)
  }

  putStart({ incarnation, ...start }: KnownStart): StateChange {
    return this.#put(incarnationTag + incarnation, start)
  }

  removeStart(incarnation: string): StateChange {
    return { view: this, key: Buffer.from(incarnationTag + incarnation), value: null }
  }

  putInherited(logId: string, logAge: number): StateChange {
    return this.#put(inheritedTag + logId, logAge)
  }

  putFenced(logId: string, reason: string): StateChange {
    return this.#put(fencedTag + logId, reason)
  }

  putPaused(logAge: number): StateChange {
    return this.#put(pausedKey, logAge)
  }

  removePaused(): StateChange {
    return { view: this, key: Buffer.from(pausedKey), value: null }
  }

  putProducer(logId: string, producer: UplinkProducer): StateChange {
    return this.#put(producerTag + logId, producer)
  }

  removeProducer(logId: string): StateChange {
    return { view: this, key: Buffer.from(producerTag + logId), value: null }
  }

  putTail(target: string, partition: number, tail: UpstreamTail): StateChange {
    return this.#put(tailKey(target, partition), tail)
  }

  removeTail(target: string, partition: number): StateChange {
    return { view: this, key: Buffer.from(tailKey(target, partition)), value: null }
  }

  apply(key: Buffer, value: Buffer | null): void {
    // a copy, for the value may be a piece of a large batch
    if (value === null) this.#values.delete(key.toString())
    else this.#values.set(key.toString(), Buffer.from(value))
  }

  *entries(): Iterable<StateRecord> {
    for (const [key, value] of this.#values) yield { key: Buffer.from(key), value }
  }

  clear(): void {
    this.#values.clear()
  }

  /** What stands behind the tag in the keys, and their values. */
  #tagged<Value>(tag: string): [string, Value][] {
    return [...this.#values]
      .filter(([key]) => key.startsWith(tag))
      .map(([key, value]) => [key.slice(tag.length), decodeState<Value>(value)])
  }

  #get<Value>(key: string): Value | undefined {
    const value = this.#values.get(key)
    return value === undefined ? undefined : decodeState<Value>(value)
  }

  #put(key: string, value: unknown): StateChange {
    return { view: this, key: Buffer.from(key), value: encodeState(value) }
  }
}

const tailKey = (target: string, partition: number): string => `${tailTag}${target}/${partition}`

const positionKey = (topic: string, partition: number): string => `${positionTag}${topic}/${partition}`

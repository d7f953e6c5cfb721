import type { Uuid } from '../core/uuid.ts'
import { decodeState, encodeState } from './codec.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

/** How far a partition is upstream. */
export interface UpstreamPosition {
  /** Of the topic that was sent: one of the same name that was made later starts anew. */
  readonly topicId: Uuid
  /** Last offset that is upstream. */
  readonly last: number
  /** Records sent since the topic was made. */
  readonly records: number
}

/** Where the positions of this log stand upstream, and how far they were read. */
export interface PositionsPlace {
  readonly topicId: Uuid
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

const positionTag = 'position/'
const skippedTag = 'skipped/'
const incarnationTag = 'incarnation/'
const placeKey = 'place'
const fencedTag = 'fenced/'
const pausedKey = 'paused'

/**
 * The copy of what the central cluster says of this log, and what must outlive a restart beside it. It may be old, never ahead. Keys are
 * text, values CBOR:
 *
 *     position/TOPIC/PARTITION   -> `UpstreamPosition`
 *     skipped/TOPIC/PARTITION    -> array of `SkippedSpan`, ascending
 *     incarnation/HEX            -> log age in seconds; a start of this log that had an uplink
 *     place                      -> `PositionsPlace`
 *     fenced/LOG_ID              -> text; why this log must not send any more; one restored from it has another id
 *     paused                     -> log age in seconds; since when nothing is to be sent
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

  hasIncarnation(incarnation: string): boolean {
    return this.#values.has(incarnationTag + incarnation)
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

  putPlace(place: PositionsPlace): StateChange {
    return this.#put(placeKey, place)
  }

  putIncarnation(incarnation: string, logAge: number): StateChange {
    return this.#put(incarnationTag + incarnation, logAge)
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

  #get<Value>(key: string): Value | undefined {
    const value = this.#values.get(key)
    return value === undefined ? undefined : decodeState<Value>(value)
  }

  #put(key: string, value: unknown): StateChange {
    return { view: this, key: Buffer.from(key), value: encodeState(value) }
  }
}

const positionKey = (topic: string, partition: number): string => `${positionTag}${topic}/${partition}`

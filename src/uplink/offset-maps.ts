import type { Broker } from '../broker/broker.ts'
import { BrokerError } from '../core/errors.ts'
import { type OffsetMap, type OffsetSync, withSync } from '../core/offset-syncs.ts'
import type { Clock } from '../platform/clock.ts'
import type { OffsetMapView, StoredOffsetMap } from '../state/offset-map.ts'
import type { StateLog } from '../state/state-log.ts'
import type { CentralSpan } from '../state/uplink.ts'
import type { StateChange } from '../state/view.ts'
import type { Lane } from './lane.ts'

export interface OffsetMapsParts {
  readonly broker: Broker
  readonly view: OffsetMapView
  readonly state: StateLog
  readonly clock: Clock
}

/** What a round brought of one partition: offsets from `from` on, to these partitions of the target. */
export interface BroughtRun {
  readonly from: number
  readonly central: ReadonlyMap<number, CentralSpan>
}

/** A copy of one partition is some 1 KB, and an old one costs no more than exactness. */
const copyEveryMs = 5 * 60_000

/** Where the offsets of partitions stand upstream, round by round, so that positions of consumer groups can be carried there and back. */
export class OffsetMaps {
  readonly #parts: OffsetMapsParts
  readonly #known = new Map<string, StoredOffsetMap>()
  readonly #uncopied = new Set<Lane>()
  #copiedAtMs: number

  constructor(parts: OffsetMapsParts) {
    this.#parts = parts
    this.#copiedAtMs = parts.clock.monotonicMs()
    parts.broker.topics.onChange(({ name }, change) => {
      if (change === 'deleted') this.#forget(name)
    })
  }

  /** Undefined: nothing of it is upstream. */
  of(lane: Lane): OffsetMap | undefined {
    return this.#mapOf(lane)
  }

  /** Takes where the lane is now; with what the last round brought it knows more than the end. */
  note(lane: Lane, brought?: BroughtRun): void {
    const { ledger, next, track } = lane
    // with newer records upstream an end there is no end here
    if (Object.keys(ledger.central).length === 0 || track.ahead.length > 0) return
    const before = this.#mapOf(lane)
    const sync: OffsetSync = {
      next,
      central: byPartition(ledger.central, ({ last }) => last + 1),
      run: brought === undefined || lane.rule.order === 'newest-first' ? null : runOf(brought, next),
    }
    const syncs = withSync(before?.syncs ?? [], sync)
    if (syncs === before?.syncs) return
    const { topicId } = lane
    const { target, targetId } = ledger
    const first = byPartition(ledger.central, span => span.first)
    this.#known.set(keyOf(lane), { topicId, target, targetId, first, syncs })
    this.#uncopied.add(lane)
  }

  /** Copies what is known to the log, when the last copy is old enough; a failure leaves it for later. */
  copy(options: { now?: boolean } = {}): void {
    const { view, clock } = this.#parts
    const nowMs = clock.monotonicMs()
    if (this.#uncopied.size === 0 || (!options.now && nowMs - this.#copiedAtMs < copyEveryMs)) return
    for (const lane of this.#uncopied) {
      if (!this.#write([view.put(lane.topic, lane.partition, this.#known.get(keyOf(lane))!)])) return
      this.#uncopied.delete(lane)
    }
    this.#copiedAtMs = nowMs
  }

  /** What cannot be removed now is out of date, and the next topic of this name replaces it. */
  #forget(topic: string): void {
    for (const lane of this.#uncopied) if (lane.topic === topic) this.#uncopied.delete(lane)
    for (const key of this.#known.keys()) if (key.startsWith(`${topic}/`)) this.#known.delete(key)
    this.#write(this.#parts.view.removals(topic))
  }

  /** False: not now. */
  #write(changes: readonly StateChange[]): boolean {
    try {
      if (changes.length > 0) this.#parts.state.write(changes)
      return true
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      return false
    }
  }

  /** A map of another topic of this name, or of another target, says nothing. */
  #mapOf(lane: Lane): StoredOffsetMap | undefined {
    const map = this.#known.get(keyOf(lane)) ?? this.#parts.view.get(lane.topic, lane.partition)
    const { target, targetId } = lane.ledger
    const isOfThis = map?.topicId === lane.topicId && map.target === target && map.targetId === targetId
    return isOfThis ? map : undefined
  }
}

/** One to one: no offset was left out here, and nothing came in between there. */
const runOf = ({ from, central }: BroughtRun, next: number): OffsetSync['run'] => {
  const [only, ...others] = central
  if (only === undefined || others.length > 0) return null
  const [partition, { first, last, records }] = only
  return next - from === records && last - first + 1 === records ? { partition, count: records } : null
}

const byPartition = (
  spans: Readonly<Record<string, CentralSpan>>,
  offsetOf: (span: CentralSpan) => number,
): Record<string, number> =>
  Object.fromEntries(Object.entries(spans).map(([partition, span]) => [partition, offsetOf(span)]))

const keyOf = ({ topic, partition }: Pick<Lane, 'topic' | 'partition'>): string => `${topic}/${partition}`

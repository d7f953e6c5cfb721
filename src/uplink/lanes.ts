import type { Broker } from '../broker/broker.ts'
import type { Topic } from '../broker/topics.ts'
import type { RetentionClass } from '../config/metered-windows.ts'
import { plainRule, priorities, type UplinkRule } from '../config/uplink-rules.ts'
import type { PartitionId } from '../core/brand.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { UplinkView, UpstreamPosition } from '../state/uplink.ts'
import type { Caps } from './caps.ts'
import { Lane } from './lane.ts'
import type { Selection } from './selection.ts'
import { ownSpans, passSpan } from './skip.ts'
import { holesIn } from './track.ts'

/** The position of a partition as it is known now. */
export type PositionOf = (topic: string, partition: number) => UpstreamPosition | undefined

export interface LanesParts {
  readonly broker: Broker
  readonly clock: Clock
  readonly selection: Selection
  readonly positionOf: PositionOf
  readonly view: UplinkView
  readonly caps: Caps
}

/** The partitions that go up, and which of them have something to send. Follows the topics as they come, grow and go. */
export class Lanes {
  readonly #broker: Broker
  readonly #clock: Clock
  readonly #selection: Selection
  readonly #positionOf: PositionOf
  readonly #view: UplinkView
  readonly #caps: Caps
  readonly #byPartition = new Map<PartitionId, Lane>()
  /** Whose turn it is: who comes first has waited longest. */
  readonly #waiting = new Set<Lane>()
  #wake: (() => void) | undefined

  constructor({ broker, clock, selection, positionOf, view, caps }: LanesParts) {
    this.#broker = broker
    this.#clock = clock
    this.#selection = selection
    this.#positionOf = positionOf
    this.#view = view
    this.#caps = caps
    for (const topic of broker.topics.all()) this.#add(topic)
    broker.topics.onChange((topic, change) => (change === 'deleted' ? this.#remove(topic) : this.#add(topic)))
    broker.onDurable((_group, partitions) => this.#advanced(partitions))
  }

  all(): Iterable<Lane> {
    return this.#byPartition.values()
  }

  find(topic: string, partition: number): Lane | undefined {
    const id = this.#broker.topics.find(topic)?.partitions[partition]
    return id === undefined ? undefined : this.#byPartition.get(id)
  }

  /** Records durable here and not upstream. */
  lag({ id, track }: Lane): number {
    const { highWatermark, logStart } = this.#broker.offsets(id)
    return holesIn(track, highWatermark).reduce(
      (sum, { first, end }) => sum + Math.max(0, end - Math.max(first, logStart)),
      0,
    )
  }

  /** Records of all partitions that are durable here and not upstream. */
  get lagInAll(): number {
    let records = 0
    for (const lane of this.#byPartition.values()) records += this.lag(lane)
    return records
  }

  /** Partitions that the central cluster takes nothing from at present. */
  get refused(): number {
    let count = 0
    for (const { trouble } of this.#byPartition.values()) if (trouble !== undefined) count++
    return count
  }

  /** Takes the positions anew: what was sent since they were read may or may not be upstream. */
  restart(): void {
    for (const lane of this.#byPartition.values()) {
      this.#place(lane)
      lane.keyCounts.clear()
      lane.isUnderWay = false
      this.#waiting.add(lane)
    }
  }

  /** Those with something to send and nothing against it, by priority, and of each in the order of their turns. All of them have had theirs. */
  takeTurns(): readonly (readonly Lane[])[] {
    const nowMs = this.#clock.monotonicMs()
    const holds = this.#caps.holds(nowMs)
    const turns: Lane[] = []
    for (const lane of [...this.#waiting]) {
      if (holds.has(lane.retentionClass) || (lane.trouble !== undefined && lane.trouble.retryAtMs > nowMs)) continue
      this.#waiting.delete(lane)
      if (this.lag(lane) > 0) turns.push(lane)
    }
    return priorities.map(priority => turns.filter(({ rule }) => rule.priority === priority))
  }

  /** There may be more of it: its turn comes again, after all others. */
  queue(lane: Lane): void {
    if (this.#byPartition.get(lane.id) !== lane) return
    this.#waiting.delete(lane)
    this.#waiting.add(lane)
    this.wake()
  }

  /** Resolves when some lane may have something to send, or `wake` is called. True: that was not so when it was asked. */
  async ready(): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs()
    let waitMs = Number.POSITIVE_INFINITY
    const holds = this.#caps.holds(nowMs)
    for (const { trouble, retentionClass } of this.#waiting) {
      const fromMs = Math.max(trouble?.retryAtMs ?? nowMs, holds.get(retentionClass)?.untilMs ?? nowMs)
      waitMs = Math.min(waitMs, Math.max(0, fromMs - nowMs))
    }
    if (waitMs === 0) return false
    let timer: Timer | undefined
    await new Promise<void>(resolve => {
      this.#wake = resolve
      if (waitMs !== Number.POSITIVE_INFINITY) timer = this.#clock.after(waitMs, resolve)
    })
    timer?.cancel()
    this.#wake = undefined
    return true
  }

  wake(): void {
    this.#wake?.()
  }

  #advanced(partitions: readonly PartitionId[]): void {
    let isNew = false
    const nowMs = this.#clock.monotonicMs()
    for (const partition of partitions) {
      const lane = this.#byPartition.get(partition)
      lane?.durableTimes.advanced(this.#broker.offsets(partition).highWatermark, nowMs)
      if (lane === undefined || this.#waiting.has(lane)) continue
      this.#waiting.add(lane)
      isNew = true
    }
    if (isNew) this.wake()
  }

  #add(topic: Topic): void {
    if (!this.#selection.has(topic.name)) return
    const retentionClass = (topic.configs.get('retention.class') ?? 'normal') as RetentionClass
    for (const [partition, id] of topic.partitions.entries()) {
      const lane = this.#byPartition.get(id) ?? this.#addLane(topic, partition)
      lane.retentionClass = retentionClass
      lane.rule = this.#ruleOf(topic)
    }
  }

  /** Where acknowledgements wait for the central cluster, all goes up, and in order. */
  #ruleOf({ name, configs }: Topic): UplinkRule {
    const rule = this.#selection.rule(name)
    return configs.get('min.insync.replicas') === '2' ? { ...plainRule, priority: rule.priority } : rule
  }

  #addLane(topic: Topic, partition: number): Lane {
    const lane = new Lane(topic, partition, this.#selection.target(topic.name))
    lane.durableTimes.advanced(this.#broker.offsets(lane.id).highWatermark, this.#clock.monotonicMs())
    this.#place(lane)
    this.#byPartition.set(lane.id, lane)
    this.queue(lane)
    return lane
  }

  #place(lane: Lane): void {
    lane.continueAfter(this.#positionOf(lane.topic, lane.partition))
    // what is not on the device yet may not come to pass
    if (!lane.isHeld) for (const span of ownSpans(this.#view, lane)) passSpan(lane, span)
  }

  #remove(topic: Topic): void {
    for (const id of topic.partitions) {
      const lane = this.#byPartition.get(id)
      if (lane !== undefined) this.#waiting.delete(lane)
      this.#byPartition.delete(id)
    }
  }
}

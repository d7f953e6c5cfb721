import type { Metrics } from '../../core/metrics.ts'
import { TokenBucket } from '../../core/token-bucket.ts'
import type { Clock } from '../../platform/clock.ts'
import { encodeRebirth } from '../../wire/sparkplug/payload.ts'
import { commandTopic, type SparkplugTopic } from '../../wire/sparkplug/topic.ts'
import type { Distribution } from '../distribution.ts'
import { Publication } from '../publication.ts'
import { edgePath, type RebirthReason } from './edge-nodes.ts'

/** An edge node has so long to be born again before it is asked once more. */
const againMs = 10_000
const perSecond = 10
/** Edge nodes of which it is remembered. */
const maxAsked = 10_000
const noBytes = Buffer.alloc(0)

/** Asks edge nodes for their birth certificates (Sparkplug 3.0, section 6.4.19), none too often and not all at once. */
export class Rebirths {
  readonly #distribution: Distribution
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #bucket = new TokenBucket(perSecond)
  readonly #askedMs = new Map<string, number>()

  constructor(distribution: Distribution, clock: Clock, metrics: Metrics) {
    this.#distribution = distribution
    this.#clock = clock
    this.#metrics = metrics
  }

  /** Asks unless that was done just now; what is wrong still comes again with the next payload. */
  ask(topic: SparkplugTopic, reason: RebirthReason): void {
    const nowMs = this.#clock.monotonicMs()
    const path = edgePath(topic)
    const askedMs = this.#askedMs.get(path)
    if ((askedMs !== undefined && nowMs - askedMs < againMs) || this.#bucket.waitMs(nowMs) > 0) return
    this.#bucket.take(1)
    this.#askedMs.delete(path)
    this.#askedMs.set(path, nowMs)
    if (this.#askedMs.size > maxAsked) this.#askedMs.delete(this.#askedMs.keys().next().value!)
    this.#metrics.add('sparkplugRebirths', 1, reason)
    const publication = new Publication({
      topic: commandTopic(topic),
      payload: encodeRebirth(this.#clock.wallMs()),
      qos: 0,
      retain: false,
      properties: noBytes,
      publisher: '',
      receivedMs: nowMs,
    })
    this.#distribution.publish(publication, undefined)
  }
}

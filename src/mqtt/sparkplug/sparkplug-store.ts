import type { ClockQuality } from '../../broker/clock-quality.ts'
import type { GroupNumber } from '../../core/brand.ts'
import { BrokerError } from '../../core/errors.ts'
import { MalformedFrame } from '../../core/malformed-frame.ts'
import type { Metrics } from '../../core/metrics.ts'
import { partitionOfKey } from '../../core/murmur2.ts'
import type { StateChange } from '../../state/view.ts'
import type { RecordAppend } from '../../storage/log.ts'
import { encodeHeaders } from '../../wire/kafka/batch-encoding.ts'
import { decodeSparkplug } from '../../wire/sparkplug/payload.ts'
import type { PublishState } from '../publish-state.ts'
import type { StoredPublish } from '../publish-store.ts'
import { headerNames } from '../record-headers.ts'
import type { SparkplugDestination } from '../routes.ts'
import type { OpenRoute, TopicRoutes } from '../topic-routes.ts'
import type { EdgeNodes } from './edge-nodes.ts'
import { type MetricRecord, recordsOf } from './metric-records.ts'
import type { Rebirths } from './rebirths.ts'

export interface SparkplugStoreParts {
  readonly edgeNodes: EdgeNodes
  readonly rebirths: Rebirths
  readonly state: PublishState
  readonly routes: TopicRoutes
  readonly metrics: Metrics
  /** What one commit takes: what is larger is not made. */
  readonly maxBytes: number
}

/** Why a payload is stored as it came. */
export type Undecoded = 'malformed' | 'unknown alias' | 'no birth' | 'too large' | 'no metrics'

/** Names of the headers of what a route with `decode: sparkplug` stores. The names are read by consumers: never change one. */
export const sparkplugHeaders = { type: 'sparkplug.type', error: 'sparkplug.error' } as const

/** Stores Sparkplug payloads as records of their metrics, with what they change of the state of their senders, in one group. */
export class SparkplugStore {
  readonly #parts: SparkplugStoreParts

  constructor(parts: SparkplugStoreParts) {
    this.#parts = parts
  }

  /**
   * The group of the records, or why there are none: then nothing was stored, and the payload is to be stored as it came. Throws what
   * `StateLog.write` throws. `changes` go with the records.
   */
  store(
    publish: StoredPublish,
    open: OpenRoute,
    { topic, keyOf }: SparkplugDestination,
    changes: readonly StateChange[],
    received: { readonly timestampMs: number; readonly clock: ClockQuality },
  ): { readonly group: GroupNumber } | { readonly undecoded: Undecoded } {
    const { edgeNodes, rebirths, metrics, maxBytes } = this.#parts
    const payload = decoded(publish.payload)
    if (payload === undefined) return this.#undecoded('malformed')
    const reading = edgeNodes.read(topic, payload)
    if (reading.rebirth !== undefined) rebirths.ask(topic, reading.rebirth)
    if (reading.metrics === undefined) {
      reading.settle()
      return this.#undecoded(reading.rebirth === 'no birth' ? 'no birth' : 'unknown alias')
    }
    const headers = new Map(open.destination.headers)
      .set(headerNames.topic, publish.topic)
      .set(sparkplugHeaders.type, topic.type)
    if (received.clock !== 'synchronised') headers.set(headerNames.clock, received.clock)
    const records = recordsOf(reading, payload, {
      topic,
      timestampMs: received.timestampMs,
      headers: encodeHeaders([...headers].map(([name, value]) => ({ key: name, value: Buffer.from(value) }))),
      keyOf,
      maxBytes,
    })
    if (records === undefined) return this.#undecoded('too large')
    if (records.length === 0) return this.#undecoded('no metrics')
    const group = this.#write([...changes, ...reading.changes], open, records)
    if (group === undefined) return this.#undecoded('too large')
    reading.settle()
    if (reading.isFull) metrics.add('sparkplugForgotten')
    metrics.add('sparkplugRecords', records.length)
    return { group }
  }

  /** Undefined: they do not fit in one commit. */
  #write(changes: readonly StateChange[], open: OpenRoute, records: readonly MetricRecord[]): GroupNumber | undefined {
    try {
      return this.#parts.state.write(changes, this.#placed(open, records))
    } catch (error) {
      if (error instanceof BrokerError && error.kind === 'recordTooLarge') return undefined
      throw error
    }
  }

  /** Each goes by its own key. Those of one partition stand together, so that they become one batch. */
  #placed(open: OpenRoute, records: readonly MetricRecord[]): RecordAppend[] {
    const { partitions } = open.topic
    const spread = open.destination.key === null ? this.#parts.routes.partitionFor(open) : 0
    return records
      .map(({ timestampMs, key, value, headers }) => {
        const index = key === null ? spread : partitionOfKey(key, partitions.length)
        return { partition: partitions[index]!, timestampMs, key, value, headers }
      })
      .sort((one, other) => one.partition - other.partition)
  }

  #undecoded(undecoded: Undecoded): { readonly undecoded: Undecoded } {
    this.#parts.metrics.add('sparkplugUndecoded', 1, undecoded)
    return { undecoded }
  }
}

const decoded = (bytes: Buffer): ReturnType<typeof decodeSparkplug> | undefined => {
  try {
    return decodeSparkplug(bytes)
  } catch (error) {
    if (!(error instanceof MalformedFrame)) throw error
    return undefined
  }
}

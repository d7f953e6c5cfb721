import type { Client } from './client.ts'
import { presentOffsets } from './present-offsets.ts'
import type { MqttServices } from './services.ts'

/** Records that a session, or a shared subscription, is not given, by the reason. */
export class PassedOver {
  readonly #services: MqttServices
  readonly #taker: Readonly<Record<string, string>>
  readonly #records = new Map<string, number>()

  /** `taker`: names it in the log. */
  constructor(services: MqttServices, taker: Readonly<Record<string, string>>) {
    this.#services = services
    this.#taker = taker
  }

  add(records: number, reason: string): void {
    if (records <= 0) return
    this.#services.metrics.add('mqttDropped', records, reason)
    this.#records.set(reason, (this.#records.get(reason) ?? 0) + records)
  }

  /** One line for all of it. */
  log(): void {
    if (this.#records.size === 0) return
    const fields = { ...this.#taker, records: Object.fromEntries(this.#records) }
    this.#services.logger.warn(fields, 'a session was not given all that it had missed')
    this.#records.clear()
  }
}

/**
 * What a client that comes back has missed is bounded by `mqtt.session.retention.bytes`: each of its partitions gives up its oldest records, in
 * proportion. Sizes go by the average record of a partition.
 */
export function passOverBytes(client: Client, passedOver: PassedOver): void {
  const { broker, limits } = client.connection.services
  const { backlog } = client.session
  if (limits.sessionRetentionBytes === Number.POSITIVE_INFINITY) return
  const ranges = backlog.missed().flatMap(([partition, offset]) => {
    const offsets = presentOffsets(broker, partition)
    if (offsets === undefined) return []
    const { logStart, highWatermark } = offsets
    const from = Math.max(offset, logStart)
    const records = Math.max(0, highWatermark - from)
    const bytes = records === 0 ? 0 : (broker.sizeBytes(partition) * records) / (highWatermark - logStart)
    return [{ partition, from, records, bytes }]
  })
  const totalBytes = ranges.reduce((sum, { bytes }) => sum + bytes, 0)
  if (totalBytes <= limits.sessionRetentionBytes) return
  const keptShare = limits.sessionRetentionBytes / totalBytes
  for (const { partition, from, records } of ranges) {
    const passed = records - Math.floor(records * keptShare)
    backlog.proceed(partition, from + passed)
    passedOver.add(passed, 'beyond mqtt.session.retention.bytes')
  }
}

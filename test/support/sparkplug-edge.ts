import { payloadType } from '../../src/wire/sparkplug/payload-schema.ts'
import type { RawMqttClient } from './mqtt-client.ts'

/** Fields of a metric by their names in the schema; numbers may stand for 64-bit ones. */
export type TestMetric = Readonly<Record<string, unknown>>

export const encodePayload = (seq: number | undefined, metrics: readonly TestMetric[], more: object = {}): Buffer =>
  Buffer.from(
    payloadType
      .encode(
        payloadType.fromObject({ timestamp: 1_700_000_000_000, ...(seq !== undefined && { seq }), metrics, ...more }),
      )
      .finish(),
  )

export const int = (name: string | undefined, alias: number | undefined, value: number): TestMetric => ({
  ...(name !== undefined && { name, datatype: 3 }),
  ...(alias !== undefined && { alias }),
  intValue: value,
})

/** An edge node over a raw connection: counts its sequence numbers and says what the test tells it to. */
export class TestEdge {
  readonly #client: RawMqttClient
  readonly #group = 'plant'
  readonly #name: string
  seq = 0
  #packetId = 0

  constructor(client: RawMqttClient, name = 'e1') {
    this.#client = client
    this.#name = name
  }

  /** QoS 1, so that a test knows when it is stored. */
  async say(type: string, metrics: readonly TestMetric[], device?: string): Promise<void> {
    if (type === 'NBIRTH') this.seq = 0
    const seq = type === 'NDEATH' ? undefined : this.seq++ % 256
    await this.send(type, encodePayload(seq, metrics), device)
  }

  async send(type: string, payload: Buffer, device?: string): Promise<void> {
    const topic = ['spBv1.0', this.#group, type, this.#name, ...(device === undefined ? [] : [device])].join('/')
    this.#client.publish(topic, payload, 1, ++this.#packetId)
    await this.#client.waitCount('puback', this.#packetId)
  }
}

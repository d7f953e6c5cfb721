import { randomBytes } from 'node:crypto'
import { Producer } from '../../src/client/producer.ts'
import { CommittedRecords, openCentral } from './central-records.ts'
import type { Gateway } from './gateway.ts'

/** A name that no other test and no earlier attempt of this one has used. */
export const uniqueName = (name: string): string => `${name}-${randomBytes(4).toString('hex')}`

/** Stores numbered records; each has its number as value, and keys spread them over the partitions. */
export class NumberedLoad {
  stored = 0
  readonly #topic: string
  readonly #valueBytes: number

  /** Values are filled up to so many bytes. */
  constructor(topic: string, valueBytes = 0) {
    this.#topic = topic
    this.#valueBytes = valueBytes
  }

  async store(gateway: Gateway, count: number): Promise<void> {
    const cluster = openCentral(gateway.addresses.kafka)
    const producer = new Producer(cluster, { compression: 'none', timeoutMs: 5_000, deliveryTimeoutMs: 10_000 })
    try {
      for (let left = count; left > 0; left -= 50) {
        const records = Array.from({ length: 50 }, () => {
          const number = this.stored++
          const value = Buffer.from(String(number).padEnd(this.#valueBytes, '.'))
          return { timestampMs: Date.now(), key: Buffer.from(`k${number % 7}`), value }
        })
        await producer.send(this.#topic, records)
      }
    } finally {
      cluster.close()
    }
  }
}

/** By partition, in order. */
export const valuesOf = ({ partitions }: CommittedRecords): string[][] =>
  partitions.map(records => records.map(({ value }) => String(value)))

/** What the gateway has, partition by partition. */
export const localValues = async (gateway: Gateway, topic: string): Promise<string[][]> => {
  const cluster = openCentral(gateway.addresses.kafka)
  try {
    return valuesOf(await (await CommittedRecords.of(cluster, topic)).readOn())
  } finally {
    cluster.close()
  }
}

import { type Consumer, Kafka, logLevel, type Producer } from 'kafkajs'
import { connectAsync, type MqttClient } from 'mqtt'

/** Numbered records under one key, and how far the gateway has promised them. */
export interface Promised {
  readonly name: string
  readonly topic: string
  readonly key: string
  /** Record 1 to this number were acknowledged, in this order. */
  acked: number
  /** Whether a record may stand in the log more often than once: the protocol repeats what was not acknowledged. */
  readonly repeats: boolean
}

export interface Actor {
  readonly promised: readonly Promised[]
  /** Stops publishing and waits until everything sent is acknowledged. */
  finish(): Promise<void>
}

const recordOf = (key: string, number: number): string => `${key}:${number}`
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

export const kafkaClient = (clientId: string, address: string): Kafka =>
  new Kafka({
    clientId,
    brokers: [address],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1000,
    requestTimeout: 5000,
    // a restart takes a second or two; what was sent must get there in the end
    retry: { initialRetryTime: 50, maxRetryTime: 300, retries: 200 },
  })

/** MQTT.js with a session of its own, which it takes up again after every kill. */
export const mqttActor = async (url: string, qos: 1 | 2, inFlight: number): Promise<Actor> => {
  const client: MqttClient = await connectAsync(url, {
    clientId: `fault-qos${qos}`,
    clean: false,
    protocolVersion: 5,
    properties: { sessionExpiryInterval: 3600 },
    reconnectPeriod: 50,
    connectTimeout: 2000,
  })
  client.on('error', () => undefined)
  const promised: Promised = {
    name: `MQTT QoS ${qos}`,
    topic: `qos${qos}`,
    key: `qos${qos}/a`,
    acked: 0,
    repeats: qos === 1,
  }
  let stopped = false
  let next = 1
  // MQTT.js rejects, unsent, what is published while it repeats its store and the connection ends again
  const publish = async (record: string): Promise<void> => {
    for (;;) {
      try {
        await client.publishAsync(promised.key, record, { qos })
        return
      } catch (error) {
        if ((error as Error).message !== 'Connection closed') throw error
      }
    }
  }
  // one loop for each place in flight: acks come in order, so that `acked` only rises
  const loop = async (): Promise<void> => {
    while (!stopped) {
      const number = next++
      await publish(recordOf(promised.key, number))
      promised.acked = Math.max(promised.acked, number)
    }
  }
  const loops = Array.from({ length: inFlight }, loop)
  return {
    promised: [promised],
    async finish() {
      stopped = true
      await Promise.all(loops)
      await client.endAsync()
    },
  }
}

/** kafkajs, one batch at a time, a few keys in each. */
export const producerActor = async (address: string, idempotent: boolean): Promise<Actor> => {
  const name = idempotent ? 'idempotent' : 'plain'
  const producer: Producer = kafkaClient(name, address).producer({ idempotent, maxInFlightRequests: 1 })
  await producer.connect()
  const promised = ['a', 'b', 'c'].map(
    (key): Promised => ({ name: `kafkajs ${name}`, topic: name, key, acked: 0, repeats: !idempotent }),
  )
  let stopped = false
  const loop = async (): Promise<void> => {
    while (!stopped) {
      const perKey = 4
      const messages = promised.flatMap(({ key, acked }) =>
        Array.from({ length: perKey }, (_, index) => ({ key, value: recordOf(key, acked + 1 + index) })),
      )
      await producer.send({ topic: name, acks: -1, messages })
      for (const each of promised) each.acked += perKey
    }
  }
  const running = loop()
  return {
    promised,
    async finish() {
      stopped = true
      await running
      await producer.disconnect()
    },
  }
}

/** A consumer group that commits as it reads; what it was told is committed may never go back. */
export class CommittingGroup {
  readonly groupId = 'fault-group'
  /** By partition. */
  readonly committed = new Map<number, bigint>()
  readonly topic: string
  readonly #kafka: Kafka
  readonly #consumer: Consumer

  constructor(address: string, topic: string) {
    this.topic = topic
    this.#kafka = kafkaClient('group', address)
    this.#consumer = this.#kafka.consumer({
      groupId: this.groupId,
      sessionTimeout: 6000,
      heartbeatInterval: 200,
      maxWaitTimeInMs: 100,
    })
  }

  async start(): Promise<void> {
    await this.#consumer.connect()
    await this.#consumer.subscribe({ topic: this.topic, fromBeginning: true })
    await this.#consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        const next = BigInt(batch.lastOffset()) + 1n
        const { topic, partition } = batch
        await this.#consumer.commitOffsets([{ topic, partition, offset: String(next) }])
        const before = this.committed.get(partition) ?? 0n
        if (next > before) this.committed.set(partition, next)
      },
    })
  }

  /** What the gateway says is committed. */
  async fetch(): Promise<Map<number, bigint>> {
    const admin = this.#kafka.admin()
    await admin.connect()
    const [topic] = await admin.fetchOffsets({ groupId: this.groupId, topics: [this.topic] })
    await admin.disconnect()
    return new Map((topic?.partitions ?? []).map(({ partition, offset }) => [partition, BigInt(offset)]))
  }

  stop(): Promise<void> {
    return this.#consumer.disconnect()
  }
}

/** Numbers by key, in offset order; a key lies in one partition. */
export const readNumbers = async (address: string, topic: string): Promise<Map<string, number[]>> => {
  const kafka = kafkaClient('reader', address)
  const admin = kafka.admin()
  await admin.connect()
  const offsets = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const ends = new Map(offsets.map(({ partition, high }) => [partition, Number(high)]))
  const numbers = new Map<string, number[]>()
  const consumer = kafka.consumer({ groupId: `reader-${topic}`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const left = new Set([...ends].filter(([, end]) => end > 0).map(([partition]) => partition))
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset }) => {
      for (const message of batch.messages) {
        const key = String(message.key)
        const number = Number(String(message.value).split(':').at(-1))
        const seen = numbers.get(key)
        if (seen === undefined) numbers.set(key, [number])
        else seen.push(number)
      }
      resolveOffset(batch.lastOffset())
      if (Number(batch.lastOffset()) + 1 >= ends.get(batch.partition)!) left.delete(batch.partition)
    },
  })
  while (left.size > 0) await pause(20)
  await consumer.disconnect()
  return numbers
}

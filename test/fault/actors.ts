import { type Consumer, Kafka, logLevel, type Producer } from 'kafkajs'
import { connectAsync, type MqttClient } from 'mqtt'

/** Numbered records under one key, and how far the gateway has promised them. */
export interface Promised {
  readonly name: string
  readonly topic: string
  readonly key: string
  /** Record 1 to this number were acknowledged, in this order. */
  acked: number
  /** The highest number that was sent. */
  sent: number
  /** Records that were refused and sent again, behind later ones. */
  refused: number
  /** Whether a record may stand in the log more often than once: the protocol repeats what was not acknowledged. */
  readonly repeats: boolean
}

export interface Actor {
  readonly promised: readonly Promised[]
  /** Stops publishing and waits until everything sent is acknowledged. */
  finish(): Promise<void>
  /** The run has failed: stops at once. */
  abandon(): void
}

/** What PUBACK says when a record found no room. */
const quotaExceeded = 0x97

/** `KEY:NUMBER`, and so many bytes that the log fills up. */
const recordOf = (key: string, number: number, bytes: number): string => `${key}:${number}:`.padEnd(bytes, 'x')
const numberOf = (value: Buffer | null): number => Number(String(value).split(':')[1])
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
export const mqttActor = async (url: string, qos: 1 | 2, inFlight: number, bytes = 0): Promise<Actor> => {
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
    sent: 0,
    refused: 0,
    repeats: qos === 1,
  }
  let stopped = false
  // a full log refuses when it has made no room for seconds; and MQTT.js rejects, unsent, what is published while it repeats its store and the
  // connection ends again
  const publish = async (record: string): Promise<void> => {
    for (;;) {
      try {
        await client.publishAsync(promised.key, record, { qos })
        return
      } catch (error) {
        const { message, code } = error as Error & { readonly code?: number }
        if (code === quotaExceeded) promised.refused++
        else if (message !== 'Connection closed') throw error
        await pause(20)
      }
    }
  }
  // one loop for each place in flight: acks come in order, so that `acked` only rises
  const loop = async (): Promise<void> => {
    while (!stopped) {
      const number = ++promised.sent
      await publish(recordOf(promised.key, number, bytes))
      promised.acked = Math.max(promised.acked, number)
    }
  }
  const loops = Promise.all(Array.from({ length: inFlight }, loop))
  loops.catch(() => undefined)
  return {
    promised: [promised],
    async finish() {
      stopped = true
      await loops
      await client.endAsync()
    },
    abandon() {
      stopped = true
      client.end(true)
    },
  }
}

/** kafkajs, one batch at a time, a few keys in each. */
export const producerActor = async (address: string, idempotent: boolean, bytes = 0): Promise<Actor> => {
  const name = idempotent ? 'idempotent' : 'plain'
  const producer: Producer = kafkaClient(name, address).producer({ idempotent, maxInFlightRequests: 1 })
  await producer.connect()
  const promised = ['a', 'b', 'c'].map(
    (key): Promised => ({
      name: `kafkajs ${name}`,
      topic: name,
      key,
      acked: 0,
      sent: 0,
      refused: 0,
      repeats: !idempotent,
    }),
  )
  let stopped = false
  const loop = async (): Promise<void> => {
    while (!stopped) {
      const perKey = 4
      const messages = promised.flatMap(({ key, acked }) =>
        Array.from({ length: perKey }, (_, index) => ({ key, value: recordOf(key, acked + 1 + index, bytes) })),
      )
      for (const each of promised) each.sent = each.acked + perKey
      await producer.send({ topic: name, acks: -1, messages })
      for (const each of promised) each.acked += perKey
    }
  }
  const running = loop()
  running.catch(() => undefined)
  return {
    promised,
    async finish() {
      stopped = true
      await running
      await producer.disconnect()
    },
    abandon() {
      stopped = true
      producer.disconnect().catch(() => undefined)
    },
  }
}

/** Versions of a few keys in a compacted topic: of each the newest that was acknowledged, or one sent after it, is what a reader ends with. */
export class CompactedKeys implements Actor {
  readonly topic = 'compacted'
  /** No record of them: those that are not the newest may go. */
  readonly promised = []
  readonly #acked = new Map<string, number>()
  readonly #sent = new Map<string, number>()
  readonly #producer: Producer
  readonly #running: Promise<void>
  #stopped = false

  static async start(address: string): Promise<CompactedKeys> {
    const producer = kafkaClient('keys', address).producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    return new CompactedKeys(producer)
  }

  private constructor(producer: Producer) {
    this.#producer = producer
    this.#running = this.#send()
    this.#running.catch(() => undefined)
  }

  async #send(): Promise<void> {
    for (let version = 1; !this.#stopped; version++) {
      const keys = Array.from({ length: 8 }, (_, index) => `key-${(version + index * index) % 50}`)
      for (const key of keys) this.#sent.set(key, version)
      const messages = keys.map(key => ({ key, value: recordOf(key, version, 2000) }))
      await this.#producer.send({ topic: this.topic, acks: -1, messages })
      for (const key of keys) this.#acked.set(key, version)
    }
  }

  async finish(): Promise<void> {
    this.#stopped = true
    await this.#running
    await this.#producer.disconnect()
  }

  abandon(): void {
    this.#stopped = true
    this.#producer.disconnect().catch(() => undefined)
  }

  /** What a reader does not find as promised. */
  broken({ numbers }: TopicContent): string[] {
    return [...this.#acked].flatMap(([key, acked]) => {
      const newest = numbers.get(key)?.at(-1) ?? 0
      const isKept = newest >= acked && newest <= this.#sent.get(key)!
      return isKept ? [] : [`${key}: version ${newest} instead of ${acked} to ${this.#sent.get(key)}`]
    })
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

/** What a topic shows a reader from its beginning to its end. */
export interface TopicContent {
  /** By key, in offset order; a key lies in one partition. */
  readonly numbers: ReadonlyMap<string, readonly number[]>
  /** By partition. */
  readonly logStarts: ReadonlyMap<number, number>
}

export const readTopic = async (address: string, topic: string): Promise<TopicContent> => {
  const kafka = kafkaClient('reader', address)
  const admin = kafka.admin()
  await admin.connect()
  const offsets = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const ends = new Map(offsets.map(({ partition, high }) => [partition, Number(high)]))
  const logStarts = new Map(offsets.map(({ partition, low }) => [partition, Number(low)]))
  const numbers = new Map<string, number[]>()
  const consumer = kafka.consumer({ groupId: `reader-${topic}`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const left = new Set([...ends].filter(([at, end]) => end > logStarts.get(at)!).map(([partition]) => partition))
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset }) => {
      for (const message of batch.messages) {
        const key = String(message.key)
        const number = numberOf(message.value)
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
  return { numbers, logStarts }
}

import {
  type Actor,
  CommittingGroup,
  CompactedKeys,
  kafkaClient,
  mqttActor,
  type Promised,
  producerActor,
} from './actors.ts'

/** Fills the least budget in a few seconds. */
const payloadBytes = 8000

/** Clients of all kinds on one gateway. They come back to the same addresses after each of its crashes. */
export class Load {
  readonly group: CommittingGroup
  /** Only on a full log. */
  readonly keys: CompactedKeys | undefined
  readonly #actors: readonly Actor[]

  private constructor(actors: readonly Actor[], group: CommittingGroup, keys: CompactedKeys | undefined) {
    this.#actors = actors
    this.group = group
    this.keys = keys
  }

  /** `isFull`: so much that data is evicted, cleaned and compacted all the time. */
  static async start(addresses: { mqtt: string; kafka: string }, isFull: boolean): Promise<Load> {
    const { mqtt, kafka } = addresses
    const bytes = isFull ? payloadBytes : 0
    if (isFull) await createTopics(kafka)
    const keys = isFull ? await CompactedKeys.start(kafka) : undefined
    const actors = await Promise.all([
      mqttActor(`mqtt://${mqtt}`, 1, 20, bytes),
      mqttActor(`mqtt://${mqtt}`, 2, 1),
      producerActor(kafka, false, bytes),
      producerActor(kafka, true, bytes),
    ])
    const group = new CommittingGroup(kafka, 'plain')
    await group.start()
    return new Load(keys === undefined ? actors : [...actors, keys], group, keys)
  }

  get promised(): readonly Promised[] {
    return this.#actors.flatMap(actor => actor.promised)
  }

  /** Everything sent is acknowledged when it resolves. */
  async finish(): Promise<void> {
    await Promise.all(this.#actors.map(actor => actor.finish()))
    await this.group.stop()
  }

  /** After a failure: nobody tries any longer. */
  abandon(): void {
    for (const actor of this.#actors) actor.abandon()
    this.group.stop().catch(() => undefined)
  }
}

/** Data that goes early beside data that stays: the cleaner has something to copy. */
const createTopics = async (address: string): Promise<void> => {
  const admin = kafkaClient('admin', address).admin()
  await admin.connect()
  const topic = (name: string, configs: Record<string, string>) => ({
    topic: name,
    configEntries: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
  })
  await admin.createTopics({
    topics: [
      topic('qos2', { 'retention.class': 'critical' }),
      topic('idempotent', { 'retention.bytes': '4194304' }),
      topic('compacted', { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' }),
    ],
  })
  await admin.disconnect()
}

import { LazyMap } from '../core/lazy-map.ts'
import { ProtocolViolation } from '../wire/mqtt/protocol-violation.ts'
import type { MemoryShare } from './memory-share.ts'

/** Topics that a client has given a number (section 3.3.2.3.4); they end with the connection. [MQTT-3.3.2-7] */
export class InboundAliases {
  readonly #topics = new LazyMap<number, Buffer>()
  readonly #maximum: number
  readonly #memory: MemoryShare

  constructor(maximum: number, memory: MemoryShare) {
    this.#maximum = maximum
    this.#memory = memory
  }

  /** The topic of a PUBLISH with an alias: a name that is not empty gives the alias its meaning. */
  resolve(alias: number, bytes: Buffer, start: number, end: number): Buffer {
    // [MQTT-3.3.2-8] [MQTT-3.3.2-9] [MQTT-3.2.2-17]
    if (alias === 0 || alias > this.#maximum) throw new ProtocolViolation('topicAliasInvalid', `topic alias ${alias}`)
    const known = this.#topics.get(alias)
    if (start === end) {
      if (known === undefined) throw new ProtocolViolation('topicAliasInvalid', `topic alias ${alias} has no topic`)
      return known
    }
    const added = end - start - (known?.length ?? 0)
    if (!this.#memory.hasRoom(added)) throw new ProtocolViolation('quotaExceeded', 'no memory for a topic alias')
    const topic = Buffer.from(bytes.subarray(start, end))
    this.#topics.set(alias, topic)
    this.#memory.hold(added)
    return topic
  }

  /** The connection is gone. */
  end(): void {
    for (const topic of this.#topics.values()) this.#memory.hold(-topic.length)
    this.#topics.clear()
  }
}

/** Numbers for the first topics that a client is sent, as many as it takes and we keep. */
export class OutboundAliases {
  readonly #numbers = new LazyMap<string, number>()
  readonly #maximum: number

  constructor(maximum: number) {
    this.#maximum = maximum
  }

  /** The alias that the client knows; 0: none. */
  known(topic: string): number {
    return this.#numbers.get(topic) ?? 0
  }

  /** An alias for a topic that has none; 0: all are taken. It is in use once `use` was called. */
  get free(): number {
    const used = this.#numbers.size
    return used < this.#maximum ? used + 1 : 0
  }

  /** The client was sent the topic with the free alias. */
  use(topic: string): void {
    this.#numbers.set(topic, this.#numbers.size + 1)
  }
}

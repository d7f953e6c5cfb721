import type { Broker } from '../../broker/broker.ts'
import { BrokerError } from '../../core/errors.ts'
import type { Clock } from '../../platform/clock.ts'
import { stateTopic } from '../../wire/sparkplug/topic.ts'
import type { Distribution } from '../distribution.ts'
import { Publication } from '../publication.ts'
import type { PublishStore } from '../publish-store.ts'

export interface HostStateParts {
  /** '': the gateway is no host application. */
  readonly hostId: string
  /** Who publishes it. */
  readonly gatewayId: string
  readonly broker: Broker
  readonly store: PublishStore
  readonly distribution: Distribution
  readonly clock: Clock
}

const noBytes = Buffer.alloc(0)

/**
 * The birth and death certificates of the gateway as a primary host application (Sparkplug 3.0, section 5.14): retained with QoS 1, online
 * before the first client can connect, offline while the connections still stand. Edge nodes that wait for it publish only in between.
 */
export class HostState {
  readonly #parts: HostStateParts

  constructor(parts: HostStateParts) {
    this.#parts = parts
  }

  /** Resolves once it is durable and on its way. What the log refuses is not told: edge nodes see what was retained before. */
  async announce(online: boolean): Promise<void> {
    const { hostId, gatewayId, broker, store, distribution, clock } = this.#parts
    if (hostId === '') return
    const publish = {
      topic: stateTopic(hostId),
      payload: Buffer.from(JSON.stringify({ online, timestamp: clock.wallMs() })),
      qos: 1,
      retain: true,
      properties: noBytes,
    } as const
    try {
      const { group, partition, offset } = store.store({ ...publish, clientId: gatewayId, packetId: 0, isOwn: true })
      const publication = new Publication({ ...publish, publisher: '', receivedMs: clock.monotonicMs() })
      if (partition !== undefined) publication.placed(partition, offset)
      distribution.publish(publication, group)
      if (group !== undefined) await broker.whenDurable(group)
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
    }
  }
}

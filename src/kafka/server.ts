import type { FrontOptions, Listeners } from '../broker/listeners/listeners.ts'
import { ReadGate } from '../broker/read-gate.ts'
import { RefusalLog } from '../broker/refusal-log.ts'
import type { ListenUrl } from '../config/listen-url.ts'
import type { Timer } from '../platform/clock.ts'
import type { Connection, Listener } from '../platform/network.ts'
import { advertisedAddress } from './advertised.ts'
import { type ConnectionParts, KafkaConnection } from './connection.ts'
import { handlers } from './handlers/index.ts'
import { ResponseShare } from './response-share.ts'
import { Router } from './router.ts'
import type { Services } from './services.ts'

/** How long clients get at a stop to take the answers to what is under way. */
const drainMs = 2_000
const idleCheckMs = 5_000

export interface KafkaServerParts extends Omit<Services, 'responses'> {
  readonly listeners: Listeners
}

/** The Kafka front: listeners of `kafka.listen` and their connections. */
export class KafkaServer {
  readonly #parts: KafkaServerParts
  readonly #connectionParts: ConnectionParts
  readonly #connections = new Set<KafkaConnection>()
  readonly #listeners: Listener[] = []
  #idleCheck: Timer | undefined
  #stopping = false
  #onEmpty: (() => void) | undefined

  /** Resolves when every listener accepts. Rejects with StartError 69 naming the address that cannot be bound. */
  static async start(parts: KafkaServerParts): Promise<KafkaServer> {
    const server = new KafkaServer(parts)
    const { 'kafka.listen': listen, 'kafka.advertised': advertised } = parts.loaded.settings
    for (const [index, url] of listen.entries()) await server.#listen(url, advertised[index])
    server.#scheduleIdleCheck()
    return server
  }

  private constructor(parts: KafkaServerParts) {
    this.#parts = parts
    const { broker, clock, logger, loaded } = parts
    const { metrics, memory } = broker
    const responses = new ResponseShare(memory)
    this.#connectionParts = {
      router: new Router({ ...parts, responses }, handlers),
      clock,
      metrics,
      gate: new ReadGate(memory, metrics, 'kafka'),
      responses,
      refusals: new RefusalLog({ logger, clock, metrics }, 'kafkaRefusedConnections', 'kafka connection closed'),
      maxRequestBytes: loaded.settings['socket.request.max.bytes'],
      maxIdleMs: loaded.settings['connections.max.idle.ms'],
    }
    metrics.gauge('kafkaConnections', () => this.#connections.size)
  }

  /** The addresses bound, in the order of `kafka.listen`, with real ports. */
  get addresses(): readonly Listener['address'][] {
    return this.#listeners.map(({ address }) => address)
  }

  /**
   * Stops accepting, answers what is under way, closes. Whoever else holds answers back (groups, the log) is stopped by the caller
   * meanwhile; after two seconds connections are cut.
   */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#idleCheck?.cancel()
    await Promise.all(this.#listeners.map(listener => listener.close()))
    for (const connection of [...this.#connections]) connection.drain()
    await this.#allGone()
    for (const connection of [...this.#connections]) connection.destroy()
  }

  /** Resolves when the last connection has gone, or the time for that is over. */
  #allGone(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve()
    return new Promise(resolve => {
      const timer = this.#parts.clock.after(drainMs, resolve)
      this.#onEmpty = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  async #listen(url: ListenUrl, advertised: ListenUrl | undefined): Promise<void> {
    try {
      const { refusals } = this.#connectionParts
      const onRefused: FrontOptions['onRefused'] = (reason, remote, why) => refusals.refused(reason, { remote, why })
      const listener = await this.#parts.listeners.open(url, { onRefused }, connection => {
        this.#accept(connection, url, advertised, listener.address.port)
      })
      this.#listeners.push(listener)
    } catch (error) {
      await Promise.all(this.#listeners.map(listener => listener.close()))
      throw error
    }
  }

  #accept(stream: Connection, url: ListenUrl, advertised: ListenUrl | undefined, boundPort: number): void {
    if (this.#stopping) {
      stream.destroy()
      return
    }
    const address = advertisedAddress(url, advertised, boundPort, stream)
    const connection = new KafkaConnection(stream, address, this.#connectionParts, () => {
      this.#connections.delete(connection)
      if (this.#connections.size === 0) this.#onEmpty?.()
    })
    this.#connections.add(connection)
  }

  #scheduleIdleCheck(): void {
    const { clock, loaded } = this.#parts
    const everyMs = Math.min(idleCheckMs, loaded.settings['connections.max.idle.ms'] / 2)
    this.#idleCheck = clock.after(everyMs, () => {
      const nowMs = clock.monotonicMs()
      for (const connection of [...this.#connections]) connection.closeIfIdle(nowMs)
      this.#scheduleIdleCheck()
    })
  }
}

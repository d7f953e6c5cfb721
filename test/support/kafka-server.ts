import type { OpenBroker } from '../../src/broker/open-broker.ts'
import type { RemoteLog } from '../../src/broker/remote-log.ts'
import { LiveSettings } from '../../src/config/live-settings.ts'
import type { MemoryBudget } from '../../src/core/memory-budget.ts'
import type { Metrics } from '../../src/core/metrics.ts'
import { KafkaServer } from '../../src/kafka/server.ts'
import { nodeFiles } from '../../src/platform/node/files.ts'
import { KafkaTestClient } from './kafka-test-client.ts'
import { type LogLine, type MemoryBroker, type MemoryBrokerOptions, openMemoryBroker } from './memory-broker.ts'
import type { MemoryLog } from './memory-log.ts'
import { testListeners } from './test-listeners.ts'

export interface TestServerOptions extends MemoryBrokerOptions {
  readonly keyedTopics?: readonly string[]
  /** Where settings changed at run time are kept; without it they cannot be changed. */
  readonly dataDirectory?: string
  /** What the central cluster has of what has left the log. */
  readonly remote?: RemoteLog
  /** What follows their changes. */
  readonly follow?: (live: LiveSettings) => void
}

/** A Kafka front with a real broker over a log in memory, listening on a free port of 127.0.0.1. */
export class KafkaTestServer {
  readonly log: MemoryLog
  readonly metrics: Metrics
  readonly memory: MemoryBudget
  readonly lines: LogLine[]
  readonly open: OpenBroker
  readonly server: KafkaServer
  readonly #clients: KafkaTestClient[] = []

  static async start({
    keyedTopics = [],
    dataDirectory,
    follow,
    remote,
    ...options
  }: TestServerOptions = {}): Promise<KafkaTestServer> {
    const settings = {
      'kafka.listen': [{ scheme: 'plaintext', host: '127.0.0.1', port: 0 }] as const,
      'group.initial.rebalance.delay.ms': 0,
      ...options.settings,
    }
    const under = await openMemoryBroker({ ...options, settings })
    const { open, loaded, clock, logger } = under
    const { broker, groups, topicConfigs } = open
    const hasKeyedRoute = (topic: string) => keyedTopics.includes(topic)
    const live = await LiveSettings.open(nodeFiles, dataDirectory ?? '/nonexistent', loaded, logger)
    follow?.(live)
    const listeners = testListeners(loaded.settings, clock)
    const parts = { broker, groups, topicConfigs, loaded, live, hasKeyedRoute, clock, listeners, logger, remote }
    return new KafkaTestServer(under, await KafkaServer.start(parts))
  }

  private constructor({ log, metrics, memory, lines, open }: MemoryBroker, server: KafkaServer) {
    this.log = log
    this.metrics = metrics
    this.memory = memory
    this.lines = lines
    this.open = open
    this.server = server
  }

  get port(): number {
    return this.server.addresses[0]!.port
  }

  /** To the listener with this position in `kafka.listen`. */
  async connect(listener = 0): Promise<KafkaTestClient> {
    const client = await KafkaTestClient.connect(this.server.addresses[listener]!.port)
    this.#clients.push(client)
    return client
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    this.open.groups.stop()
    await this.server.stop()
  }
}

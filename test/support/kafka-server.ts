import { type OpenBroker, openBroker } from '../../src/broker/open-broker.ts'
import type { LoadedSettings } from '../../src/config/load.ts'
import { defaultSettings, type Settings, settingKeys } from '../../src/config/settings.ts'
import { MemoryBudget } from '../../src/core/memory-budget.ts'
import { Metrics } from '../../src/core/metrics.ts'
import { KafkaServer } from '../../src/kafka/server.ts'
import type { Clock } from '../../src/platform/clock.ts'
import type { Logger } from '../../src/platform/logger.ts'
import { nodeClock } from '../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../src/platform/node/network.ts'
import { nodeRandom } from '../../src/platform/node/random.ts'
import type { Platform } from '../../src/platform/platform.ts'
import { KafkaTestClient } from './kafka-test-client.ts'
import { MemoryLog } from './memory-log.ts'

export interface TestServerOptions {
  readonly settings?: Partial<Settings>
  readonly memoryBytes?: number
  readonly clock?: Clock
  readonly keyedTopics?: readonly string[]
}

/** Log lines as a test looks at them. */
export interface LogLine {
  readonly level: string
  readonly fields: Record<string, unknown>
  readonly event: string
}

/** A Kafka front with a real broker over a log in memory, listening on a free port of 127.0.0.1. */
export class KafkaTestServer {
  readonly log = new MemoryLog()
  readonly metrics = new Metrics()
  readonly memory: MemoryBudget
  readonly lines: LogLine[] = []
  readonly open: OpenBroker
  readonly server: KafkaServer
  readonly #clients: KafkaTestClient[] = []

  static async start(options: TestServerOptions = {}): Promise<KafkaTestServer> {
    const log = new MemoryLog()
    const metrics = new Metrics()
    const memory = new MemoryBudget(options.memoryBytes ?? 64 << 20)
    const lines: LogLine[] = []
    const platform = testPlatform(options.clock ?? nodeClock, recordingLogger(lines))
    const loaded = testSettings(options.settings)
    const store = {
      get: () => undefined,
      entries: () => [],
      write: async () => {},
      usedBytes: () => 0,
      close: async () => {},
    }
    const open = await openBroker({ platform, loaded, log, store, memory, metrics, frontViews: [] })
    const { clock, network, logger } = platform
    const { broker, groups, topicConfigs } = open
    const hasKeyedRoute = (topic: string) => options.keyedTopics?.includes(topic) ?? false
    const server = await KafkaServer.start({
      broker,
      groups,
      topicConfigs,
      loaded,
      hasKeyedRoute,
      clock,
      network,
      logger,
    })
    return new KafkaTestServer({ log, metrics, memory, lines, open, server })
  }

  private constructor(parts: Pick<KafkaTestServer, 'log' | 'metrics' | 'memory' | 'lines' | 'open' | 'server'>) {
    this.log = parts.log
    this.metrics = parts.metrics
    this.memory = parts.memory
    this.lines = parts.lines
    this.open = parts.open
    this.server = parts.server
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

const testSettings = (settings: Partial<Settings> = {}): LoadedSettings => ({
  settings: {
    ...defaultSettings,
    'kafka.listen': [{ scheme: 'plaintext', host: '127.0.0.1', port: 0 }],
    'group.initial.rebalance.delay.ms': 0,
    ...settings,
  },
  origins: new Map(settingKeys.map(key => [key, 'default'])),
})

const recordingLogger = (lines: LogLine[]): Logger => {
  const at = (level: string) => (fields: object, event: string) => {
    lines.push({ level, fields: fields as Record<string, unknown>, event })
  }
  const logger: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
  }
  return logger
}

const testPlatform = (
  clock: Clock,
  logger: Logger,
): Pick<Platform, 'clock' | 'random' | 'network' | 'logger'> & Platform =>
  ({ clock, logger, random: nodeRandom, network: nodeNetwork }) as unknown as Platform

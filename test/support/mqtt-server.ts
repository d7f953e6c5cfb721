import { type OpenBroker, openBroker } from '../../src/broker/open-broker.ts'
import { defaultSettings, type Settings } from '../../src/config/settings.ts'
import { MemoryBudget } from '../../src/core/memory-budget.ts'
import { Metrics } from '../../src/core/metrics.ts'
import { MqttFront } from '../../src/mqtt/front.ts'
import type { ClockQuality } from '../../src/mqtt/record-headers.ts'
import type { Logger } from '../../src/platform/logger.ts'
import { nodeClock } from '../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../src/platform/node/network.ts'
import { nodeRandom } from '../../src/platform/node/random.ts'
import { listenWebSocket } from '../../src/platform/node/stream-server.ts'
import type { Platform } from '../../src/platform/platform.ts'
import { MqttInflightView } from '../../src/state/mqtt-inflight.ts'
import { RetainedView } from '../../src/state/retained.ts'
import { allRecords, decompressRecords, type LogRecord } from '../../src/wire/kafka/records.ts'
import { MemoryLog } from './memory-log.ts'

export interface MqttServerOptions {
  readonly settings?: Partial<Settings>
  readonly memoryBytes?: number
  /** A log from an earlier server: a restart. */
  readonly log?: MemoryLog
  readonly hotPath?: boolean
  readonly clockQuality?: () => ClockQuality
}

export interface LogLine {
  readonly level: string
  readonly fields: Record<string, unknown>
  readonly event: string
}

/** An MQTT front with a real broker over a log in memory, listening on free ports of 127.0.0.1. */
export class MqttServer {
  readonly log: MemoryLog
  readonly metrics: Metrics
  readonly memory: MemoryBudget
  readonly lines: LogLine[]
  readonly open: OpenBroker
  readonly front: MqttFront
  port = 0
  webSocketPort = 0

  static async start(options: MqttServerOptions = {}): Promise<MqttServer> {
    const log = options.log ?? new MemoryLog()
    const metrics = new Metrics()
    const memory = new MemoryBudget(options.memoryBytes ?? 64 << 20)
    const lines: LogLine[] = []
    const logger = recordingLogger(lines)
    const settings: Settings = {
      ...defaultSettings,
      'mqtt.listen': [
        { scheme: 'mqtt', host: '127.0.0.1', port: 0 },
        { scheme: 'ws', host: '127.0.0.1', port: 0 },
      ],
      ...options.settings,
    }
    const retained = new RetainedView()
    const inflight = new MqttInflightView()
    const open = await openBroker({
      platform: { clock: nodeClock, logger, random: nodeRandom, network: nodeNetwork } as unknown as Platform,
      loaded: { settings, origins: new Map() },
      log,
      store: {
        get: () => undefined,
        entries: () => [],
        write: async () => {},
        usedBytes: () => 0,
        close: async () => {},
      },
      memory,
      metrics,
      frontViews: [retained, inflight],
    })
    const front = new MqttFront({
      broker: open.broker,
      groups: open.groups,
      state: open.state,
      retained,
      inflight,
      settings,
      gatewayId: 'gw-1',
      clock: nodeClock,
      clockQuality: options.clockQuality ?? (() => 'synchronised'),
      network: nodeNetwork,
      listenWebSocket,
      logger,
      metrics,
      ...(options.hotPath === undefined ? {} : { hotPath: options.hotPath }),
    })
    const server = new MqttServer({ log, metrics, memory, lines, open, front })
    for (const { scheme, address } of await front.open()) {
      const port = Number(address.slice(address.lastIndexOf(':') + 1))
      if (scheme === 'ws') server.webSocketPort = port
      else server.port = port
    }
    return server
  }

  private constructor(parts: Pick<MqttServer, 'log' | 'metrics' | 'memory' | 'lines' | 'open' | 'front'>) {
    this.log = parts.log
    this.metrics = parts.metrics
    this.memory = parts.memory
    this.lines = parts.lines
    this.open = parts.open
    this.front = parts.front
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.port}`
  }

  /** All durable records of a topic, partition after partition. */
  async records(topic: string): Promise<(LogRecord & { readonly partition: number })[]> {
    const found = this.open.broker.topics.find(topic)
    const records: (LogRecord & { readonly partition: number })[] = []
    for (const [index, partition] of (found?.partitions ?? []).entries()) {
      let from = this.open.broker.offsets(partition).logStart
      for (;;) {
        const { batches, nextOffset } = await this.open.broker.read(partition, from, 1 << 20)
        if (batches.length === 0) break
        for (const batch of batches) {
          for (const record of allRecords(await decompressRecords(batch, 1 << 26)))
            records.push({ ...record, partition: index })
        }
        from = nextOffset
      }
    }
    return records
  }

  async stop(): Promise<void> {
    this.log.release()
    this.open.groups.stop()
    await this.front.close()
  }
}

export const headersOf = (record: LogRecord): Record<string, string> =>
  Object.fromEntries(record.headers.map(({ key, value }) => [key, value?.toString() ?? '']))

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

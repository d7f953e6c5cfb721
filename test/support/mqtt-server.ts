import type { ClockQuality } from '../../src/broker/clock-quality.ts'
import type { OpenBroker } from '../../src/broker/open-broker.ts'
import type { MemoryBudget } from '../../src/core/memory-budget.ts'
import type { Metrics } from '../../src/core/metrics.ts'
import type { EnhancedAuthentication } from '../../src/mqtt/enhanced-authentication.ts'
import { MqttFront } from '../../src/mqtt/front.ts'
import { nodeRandom } from '../../src/platform/node/random.ts'
import { DownlinkView } from '../../src/state/downlink.ts'
import { MqttInflightView } from '../../src/state/mqtt-inflight.ts'
import { MqttOutboundView } from '../../src/state/mqtt-outbound.ts'
import { MqttSessionsView } from '../../src/state/mqtt-sessions.ts'
import { MqttSharesView } from '../../src/state/mqtt-shares.ts'
import { MqttWillsView } from '../../src/state/mqtt-wills.ts'
import { RetainedView } from '../../src/state/retained.ts'
import { SparkplugView } from '../../src/state/sparkplug.ts'
import { allRecords, decompressRecords, type LogRecord } from '../../src/wire/kafka/records.ts'
import { type LogLine, type MemoryBroker, type MemoryBrokerOptions, openMemoryBroker } from './memory-broker.ts'
import type { MemoryLog } from './memory-log.ts'
import { testListeners } from './test-listeners.ts'

export interface MqttServerOptions extends MemoryBrokerOptions {
  readonly hotPath?: boolean
  readonly clockQuality?: () => ClockQuality
  readonly authentication?: EnhancedAuthentication
}

/** An MQTT front with a real broker over a log in memory, listening on free ports of 127.0.0.1. */
export class MqttServer {
  readonly log: MemoryLog
  readonly metrics: Metrics
  readonly memory: MemoryBudget
  readonly lines: LogLine[]
  readonly open: OpenBroker
  readonly front: MqttFront
  readonly outbound: MqttOutboundView
  readonly downlink: DownlinkView
  readonly shares: MqttSharesView
  port = 0
  webSocketPort = 0

  static async start({
    hotPath,
    clockQuality,
    authentication,
    ...options
  }: MqttServerOptions = {}): Promise<MqttServer> {
    const retained = new RetainedView()
    const inflight = new MqttInflightView()
    const sessions = new MqttSessionsView()
    const outbound = new MqttOutboundView()
    const shares = new MqttSharesView()
    const wills = new MqttWillsView()
    const sparkplug = new SparkplugView()
    const downlink = new DownlinkView()
    const settings = {
      'mqtt.listen': [
        { scheme: 'mqtt', host: '127.0.0.1', port: 0 },
        { scheme: 'ws', host: '127.0.0.1', port: 0 },
      ] as const,
      ...options.settings,
    }
    const under = await openMemoryBroker({
      ...options,
      settings,
      frontViews: [retained, inflight, sessions, outbound, shares, wills, sparkplug, downlink],
    })
    const { open, loaded, clock, logger, metrics } = under
    const front = new MqttFront({
      broker: open.broker,
      groups: open.groups,
      state: open.state,
      retained,
      inflight,
      sessions,
      outbound,
      shares,
      wills,
      sparkplug,
      downlink,
      settings: loaded.settings,
      gatewayId: 'gw-1',
      clock,
      clockQuality: clockQuality ?? (() => 'synchronised'),
      listeners: testListeners(loaded.settings, clock),
      random: nodeRandom,
      logger,
      metrics,
      ...(hotPath === undefined ? {} : { hotPath }),
      ...(authentication === undefined ? {} : { authentication }),
    })
    const server = new MqttServer(under, front, { outbound, downlink, shares })
    for (const { scheme, address } of await front.open()) {
      const port = Number(address.slice(address.lastIndexOf(':') + 1))
      if (scheme === 'ws') server.webSocketPort = port
      else server.port = port
    }
    return server
  }

  private constructor(
    { log, metrics, memory, lines, open }: MemoryBroker,
    front: MqttFront,
    { outbound, downlink, shares }: Pick<MqttServer, 'outbound' | 'downlink' | 'shares'>,
  ) {
    this.log = log
    this.metrics = metrics
    this.memory = memory
    this.lines = lines
    this.open = open
    this.front = front
    this.outbound = outbound
    this.downlink = downlink
    this.shares = shares
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

import type { ClockQuality } from '../../src/broker/clock-quality.ts'
import { parseDownlink } from '../../src/config/downlink.ts'
import { defaultSettings, type Settings } from '../../src/config/settings.ts'
import { openDownlink } from '../../src/open-downlink.ts'
import { nodeClock } from '../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../src/platform/node/network.ts'
import { nodeRandom } from '../../src/platform/node/random.ts'
import { DownlinkView } from '../../src/state/downlink.ts'
import type { StateChange } from '../../src/state/view.ts'
import type { Downlink } from '../../src/uplink/downlink/downlink.ts'
import { type LogRecord, openRecords } from '../../src/wire/kafka/records.ts'
import { type MemoryBroker, openMemoryBroker } from './memory-broker.ts'

export interface DownlinkGatewayOptions {
  /** Port of the central cluster on 127.0.0.1. */
  readonly port: number
  /** As in the settings file. */
  readonly rules: unknown
  readonly settings?: Partial<Settings>
  readonly clockQuality?: ClockQuality
  /** An earlier life of the gateway: it starts again over its log. */
  readonly before?: DownlinkGateway
  /** Its log was restored from another: this is its id, and what of the state of that one the backup had is written by `restored`. */
  readonly logId?: string
  readonly restored?: (view: DownlinkView) => readonly StateChange[]
}

/** The downlink of gateway `g7` over a log in memory. */
export class DownlinkGateway {
  readonly under: MemoryBroker
  readonly view: DownlinkView
  readonly downlink: Downlink

  static async start(options: DownlinkGatewayOptions): Promise<DownlinkGateway> {
    const parsed = parseDownlink(options.rules)
    if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems))
    const settings: Settings = {
      ...defaultSettings,
      'uplink.bootstrap.servers': [{ host: '127.0.0.1', port: options.port }],
      'uplink.retry.backoff.ms': 20,
      'uplink.retry.backoff.max.ms': 50,
      'num.partitions': 2,
      ...options.settings,
      downlink: parsed.value,
    }
    const view = new DownlinkView()
    const log = options.before?.under.log
    const under = await openMemoryBroker({ settings, frontViews: [view], ...(log === undefined ? {} : { log }) })
    const { broker, state } = under.open
    if (options.logId !== undefined) under.log.logId = options.logId
    state.write(options.restored?.(view) ?? [])
    const downlink = openDownlink({
      broker,
      state,
      view,
      settings,
      gatewayId: 'g7',
      clockQuality: () => options.clockQuality ?? 'synchronised',
      network: nodeNetwork,
      clock: nodeClock,
      random: nodeRandom,
      logger: under.logger,
    })!
    downlink.start()
    return new DownlinkGateway(under, view, downlink)
  }

  private constructor(under: MemoryBroker, view: DownlinkView, downlink: Downlink) {
    this.under = under
    this.view = view
    this.downlink = downlink
  }

  /** All durable records of a topic, partition after partition. */
  async records(topic: string): Promise<LogRecord[]> {
    const { broker } = this.under.open
    const records: LogRecord[] = []
    for (const partition of broker.topics.find(topic)?.partitions ?? []) {
      const { batches } = await broker.read(partition, broker.offsets(partition).logStart, 1 << 24)
      for (const batch of batches) {
        const cursor = openRecords(batch)
        while (cursor.next()) records.push(cursor.record())
      }
    }
    return records
  }

  /** `key=value` of the records of a topic. */
  async texts(topic: string): Promise<string[]> {
    return (await this.records(topic)).map(({ key, value }) => `${key}=${value}`)
  }

  stop(): Promise<void> {
    return this.downlink.stop()
  }
}

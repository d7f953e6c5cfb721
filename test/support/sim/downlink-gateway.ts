import { Listeners } from '../../../src/broker/listeners/listeners.ts'
import { type OpenBroker, openBroker } from '../../../src/broker/open-broker.ts'
import { type Settings, settingKeys } from '../../../src/config/settings.ts'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import { MqttFront } from '../../../src/mqtt/front.ts'
import { openDownlink } from '../../../src/open-downlink.ts'
import type { Clock } from '../../../src/platform/clock.ts'
import { DownlinkView } from '../../../src/state/downlink.ts'
import { MqttInflightView } from '../../../src/state/mqtt-inflight.ts'
import { MqttOutboundView } from '../../../src/state/mqtt-outbound.ts'
import { MqttSessionsView } from '../../../src/state/mqtt-sessions.ts'
import { MqttSharesView } from '../../../src/state/mqtt-shares.ts'
import { MqttWillsView } from '../../../src/state/mqtt-wills.ts'
import { RetainedView } from '../../../src/state/retained.ts'
import { SparkplugView } from '../../../src/state/sparkplug.ts'
import type { StateLog } from '../../../src/state/state-log.ts'
import type { Log } from '../../../src/storage/log.ts'
import { openCommitLog } from '../../../src/storage/open-commit-log.ts'
import type { Downlink } from '../../../src/uplink/downlink/downlink.ts'
import { allRecords, decompressRecords, type LogRecord } from '../../../src/wire/kafka/records.ts'
import { tinyLog } from './log-run.ts'
import type { SimMachine } from './machine.ts'

/** Bugs for the test that the checker finds them: what belongs into one group is written in two, these first. */
export type WrittenFirst = 'records' | 'changes'

const KiB = 1024
const apartMs = 300
const readBytes = 64 * KiB
const clockQuality = () => 'synchronised' as const

/** One life of a gateway with its downlink and its MQTT front on a simulated machine. */
export class SimDownlinkGateway {
  readonly view: DownlinkView
  readonly downlink: Downlink
  readonly #open: OpenBroker
  readonly #log: Log
  readonly #front: MqttFront

  /** Replays the log; nothing is at work yet. */
  static async open(
    machine: SimMachine,
    settings: Settings,
    gatewayId: string,
    writtenFirst?: WrittenFirst,
  ): Promise<SimDownlinkGateway> {
    const { platform } = machine
    await platform.files.makeDirectory('/data')
    const store = await platform.openCheckpointStore('/data/views', 1024 * KiB)
    const metrics = new Metrics()
    const memory = new MemoryBudget(64 * 1024 * KiB)
    const sizes = { budgetBytes: 32 * 256 * KiB, slotBytes: 256 * KiB, commitMaxBytes: 64 * KiB }
    const log = await openCommitLog({ ...platform, checkpoints: store }, tinyLog({ ...sizes, memory, metrics }))
    const loaded = { settings, origins: new Map(settingKeys.map(key => [key, 'default' as const])) }
    const views = {
      retained: new RetainedView(),
      inflight: new MqttInflightView(),
      sessions: new MqttSessionsView(),
      outbound: new MqttOutboundView(),
      shares: new MqttSharesView(),
      wills: new MqttWillsView(),
      sparkplug: new SparkplugView(),
      downlink: new DownlinkView(),
    }
    const frontViews = Object.values(views)
    const open = await openBroker({ platform, loaded, log, store, memory, metrics, frontViews })
    const state = writtenFirst === undefined ? open.state : apart(open.state, platform.clock, writtenFirst)
    const parts = { ...platform, broker: open.broker, state, settings, gatewayId, clockQuality, metrics }
    const downlink = openDownlink({ ...parts, view: views.downlink })!
    const listeners = new Listeners({
      listen: (address, _options, onConnection) => platform.network.listen(tcp(address), onConnection),
      settings,
      identityFor: () => {
        throw new Error('no TLS here')
      },
      clock: platform.clock,
    })
    const front = new MqttFront({ ...parts, ...views, groups: open.groups, listeners })
    return new SimDownlinkGateway(open, log, views.downlink, downlink, front)
  }

  private constructor(open: OpenBroker, log: Log, view: DownlinkView, downlink: Downlink, front: MqttFront) {
    this.#open = open
    this.#log = log
    this.view = view
    this.downlink = downlink
    this.#front = front
  }

  async start(): Promise<void> {
    await this.#front.open()
    this.downlink.start()
  }

  async stop(): Promise<void> {
    await this.downlink.stop()
    this.#open.stop()
    await this.#front.close()
    await this.#open.state.checkpointAll()
    await this.#log.close()
  }

  /** All durable records of a topic, partition by partition in order. */
  async records(topic: string): Promise<LogRecord[]> {
    const { broker } = this.#open
    const records: LogRecord[] = []
    for (const id of broker.topics.find(topic)?.partitions ?? []) {
      const { logStart, highWatermark } = broker.offsets(id)
      for (let offset = logStart; offset < highWatermark; ) {
        const { batches, nextOffset } = await broker.read(id, offset, readBytes)
        for (const batch of batches) records.push(...allRecords(await decompressRecords(batch, 1 << 24)))
        offset = nextOffset
      }
    }
    return records
  }
}

const apart = (state: StateLog, clock: Clock, first: WrittenFirst): StateLog => ({
  write: (changes, records = []) => {
    if (changes.length === 0 || records.length === 0) return state.write(changes, records)
    const [now, later] = first === 'records' ? [[], changes] : [changes, []]
    clock.after(apartMs, () => state.write(later, first === 'records' ? [] : records))
    return state.write(now, first === 'records' ? records : [])
  },
  durable: view => state.durable(view),
  whenDurable: group => state.whenDurable(group),
  get writable() {
    return state.writable
  },
  get logAge() {
    return state.logAge
  },
})

const tcp = (address: { readonly path: string } | { readonly host: string; readonly port: number }) => {
  if ('path' in address) throw new Error('no Unix sockets here')
  return address
}

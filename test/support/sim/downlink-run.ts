import { parseDeliver } from '../../../src/config/deliver.ts'
import { parseDownlink } from '../../../src/config/downlink.ts'
import { defaultSettings, type Settings } from '../../../src/config/settings.ts'
import { sleep } from '../../../src/platform/clock.ts'
import { forkLog } from '../../../src/storage/fork.ts'
import { CentralCluster, type Fate } from './central-cluster.ts'
import { CentralCommands } from './central-commands.ts'
import { CommandLedger, type Held } from './command-ledger.ts'
import { SimDevice, simMqttPort } from './device.ts'
import { SimDownlinkGateway, type WrittenFirst } from './downlink-gateway.ts'
import { SimMachine } from './machine.ts'
import { must } from './must.ts'
import { SimRandom } from './random.ts'

const gatewayId = 'gw'
const topics = ['orders', 'updates']
const lives = 3
/** Virtual time in which everything has come to its end where nothing fails. */
const drainMs = 300_000
const badFates: readonly Fate[] = ['lost', 'cut', 'unheard', 'cutAfter', 'late']
const stopped = Number.POSITIVE_INFINITY

/** `gw/d1` is for device d1 of this gateway, `other/d1` for nobody here. */
const keys = ['gw/d1', 'gw/d2', 'gw/d3', 'other/d1', 'other'].map(key => [key, key.startsWith('gw/')] as const)

/**
 * A gateway with its downlink, its deliver rules and its devices, and a central cluster, on one virtual clock: requests that fail, brokers that come
 * and go, retention and topics made anew upstream, links that swallow, devices that leave, crashes of the gateway between any two events.
 */
export class DownlinkRun {
  readonly machine: SimMachine
  readonly random: SimRandom
  readonly central: CentralCluster
  readonly commands: CentralCommands
  readonly devices: readonly SimDevice[]
  /** Records that came down, once the run is over. */
  taken = 0
  /** In its present life. */
  gateway!: SimDownlinkGateway
  readonly #ledger: CommandLedger
  readonly #from: 'earliest' | 'latest'
  readonly #settings: Settings
  readonly #writtenFirst: WrittenFirst | undefined
  /** Share of the requests that go wrong. */
  #faultShare = 0

  constructor(seed: number, writtenFirst?: WrittenFirst) {
    this.#writtenFirst = writtenFirst
    this.machine = new SimMachine(seed)
    this.random = new SimRandom(seed + 1)
    const { random } = this
    this.central = new CentralCluster(random.fork(), random.pick(['tv2', 'old']))
    this.central.fate = api => this.#fate(api)
    this.commands = new CentralCommands(this.central, random.fork(), keys)
    this.#ledger = new CommandLedger(this.commands)
    this.devices = ['d1', 'd2', 'd3'].map(
      (id, index) =>
        new SimDevice(random.fork(), {
          id,
          // of a rule whose key has no * it is the whole
          filters: [`atleast/${id}`, `exactly/${id}`, `exactly/${gatewayId}/${id}`],
          isSteady: index < 2,
          refuses: index === 0 ? 0 : 0.05,
          note: text => this.machine.disk.note(text),
        }),
    )
    this.#from = random.pick(['earliest', 'earliest', 'latest'])
    this.#settings = this.#draw()
  }

  #draw(): Settings {
    const { random } = this
    const from = this.#from
    const ttl = random.pick([{}, {}, { ttl: '30s' }])
    const downlink = parseDownlink([
      { topic: 'orders', key: '{gateway}/*', to: 'commands', from, report: 'dropped', ...ttl },
      { topic: 'updates', key: '{gateway}/d1', to: 'commands', from, report: 'dropped', priority: 'low' },
      { topic: 'updates', key: '{gateway}/*', to: 'others', from, report: 'dropped', priority: 'low' },
    ])
    const deliver = parseDeliver([
      { topic: 'commands', mqtt: 'exactly/{key}', qos: 2, ack: 'device', report: 'results' },
      { topic: 'others', mqtt: 'atleast/{key}', ack: 'device', report: 'results' },
    ])
    if ('problems' in downlink || 'problems' in deliver) throw new Error(JSON.stringify([downlink, deliver]))
    return {
      ...defaultSettings,
      'num.partitions': 2,
      'mqtt.listen': [{ scheme: 'mqtt', host: 'gateway', port: simMqttPort }],
      'mqtt.sys.interval': 0,
      'uplink.bootstrap.servers': this.central.bootstrap,
      'uplink.request.timeout.ms': 3_000,
      'uplink.retry.backoff.ms': 100,
      'uplink.retry.backoff.max.ms': 2_000,
      downlink: downlink.value,
      deliver: deliver.value,
    }
  }

  /** Several lives of the gateway under faults, then one in peace. Throws what is wrong. */
  async run(): Promise<void> {
    this.#attach()
    for (const topic of topics) if (this.random.chance(0.8)) this.central.createTopic(topic, 2)
    for (let life = 0; life < lives; life++) {
      await this.#life()
      this.machine.crash(this.random.pick(['power', 'kill'] as const))
      if (this.random.chance(0.1)) this.machine.dropCheckpoints()
      // what nobody says was taken would be passed over with `latest`
      if (this.#from === 'earliest' && this.random.chance(0.2)) await this.#during(this.#fork())
      this.#attach()
    }
    this.#faultShare = 0
    for (const { nodeId } of this.central.brokers) this.central.startBroker(nodeId)
    for (const device of this.devices) device.isAway = false
    await this.#during(this.#opened())
    await this.#during(this.#drained())
    await this.#during(this.gateway.stop())
  }

  async #life(): Promise<void> {
    const { machine, random, central } = this
    const { clock } = machine
    this.#faultShare = random.pick([0, 0.01, 0.05, 0.2])
    const crashed = new Promise<void>(resolve => {
      let events = random.chance(0.7) ? random.below(4_000) : stopped
      clock.betweenEvents = async () => {
        if (--events === 0) resolve()
      }
    })
    const lifeMs = random.pick([2_000, 10_000, 60_000])
    const work = this.#opened().then(() => Promise.all([this.#load(lifeMs), this.#chaos(lifeMs)]))
    const cleanly = random.chance(0.3)
    const ended = work.then(() => (cleanly ? this.gateway.stop() : undefined))
    await this.#during(Promise.race([ended, crashed]))
    for (const { nodeId } of central.brokers) if (random.chance(0.5)) central.startBroker(nodeId)
    machine.disk.note(`life ended at ${clock.nowMs}`)
  }

  #attach(): void {
    const { clock, network } = this.machine
    this.central.attach(clock, network)
    for (const device of this.devices) device.attach(clock, network)
  }

  #during<T>(work: Promise<T>): Promise<T> {
    return this.machine.clock.run(work)
  }

  async #opened(): Promise<void> {
    this.gateway = await SimDownlinkGateway.open(this.machine, this.#settings, gatewayId, this.#writtenFirst)
    this.#ledger.check(await this.#held())
    await this.gateway.start()
  }

  /** The log goes on under another name, and asks what it has taken under the old one. */
  async #fork(): Promise<void> {
    const { files, random } = this.machine.platform
    await forkLog({ files, random, directory: '/data' })
  }

  async #held(): Promise<Held> {
    const { gateway } = this
    const commands = [...(await gateway.records('commands')), ...(await gateway.records('others'))]
    const results = await gateway.records('results')
    return { view: gateway.view, commands, results, dropped: await gateway.records('dropped') }
  }

  async #load(durationMs: number): Promise<void> {
    const { clock } = this.machine
    const endMs = clock.nowMs + durationMs
    while (clock.nowMs < endMs) {
      this.commands.write(this.random.pick(topics))
      await sleep(clock, this.random.pick([20, 300, 3_000]))
    }
  }

  async #chaos(durationMs: number): Promise<void> {
    const { random, central } = this
    const { clock, network } = this.machine
    const endMs = clock.nowMs + durationMs
    const deeds: readonly (() => void)[] = [
      () => network.cut(),
      () => central.moveLeaders(),
      () => central.stopBroker(random.between(1, 3)),
      () => central.startBroker(random.between(1, 3)),
      () => {
        network.link.blackHole = !network.link.blackHole
      },
      () => {
        network.link.latencyMs = random.pick([1, 50, 600])
      },
      () => random.pick(this.devices).vanish(),
      () => {
        const device = random.pick(this.devices)
        device.isAway = !device.isAway
        if (random.chance(0.5)) device.vanish()
      },
      () => this.#changeTopic(random.pick(topics)),
    ]
    while (clock.nowMs < endMs) {
      await sleep(clock, random.below(3_000))
      random.pick(deeds)()
    }
    network.link.blackHole = false
  }

  #changeTopic(topic: string): void {
    const { random, central } = this
    const found = central.topics.get(topic)
    if (found === undefined) {
      central.createTopic(topic, 2)
      return
    }
    const deeds: readonly (() => void)[] = [
      () => central.deleteTopic(topic),
      () => central.addPartitions(topic, found.partitions.length + 1),
      () => this.commands.evict(topic),
      () => this.commands.evict(topic),
    ]
    random.pick(deeds)()
  }

  #fate(api: string): Fate {
    if (!this.random.chance(this.#faultShare)) return 'served'
    const fate = this.random.pick(badFates)
    this.machine.disk.note(`${this.machine.clock.nowMs.toFixed(1)} ${api}: ${fate}`)
    return fate
  }

  /** Waits until all has been read, and has come to its end. */
  async #drained(): Promise<void> {
    const { clock } = this.machine
    const endMs = clock.nowMs + drainMs
    for (;;) {
      const held = await this.#held()
      const isRead = topics.every(topic => this.#isRead(topic))
      const isDone = isRead && held.results.length >= held.commands.length
      if (isDone) {
        this.#ledger.check(held)
        this.#ledger.checkWhole(held, this.devices)
        this.taken = held.commands.length
        return
      }
      must(clock.nowMs <= endMs, () => {
        const { results, commands } = held
        const state = isRead
          ? `${results.length} reports of ${commands.length} records`
          : this.gateway.downlink.lastError
        return `not everything has come to its end: ${state}`
      })
      await sleep(clock, 500)
    }
  }

  #isRead(topic: string): boolean {
    const found = this.central.topics.get(topic)
    const at = (partition: number) => this.gateway.view.position(topic, partition)
    return (
      found === undefined ||
      found.partitions.every(({ lastStable, end, index }) => {
        const position = at(index)
        return lastStable === end && position?.topicId === found.id && position.next >= end
      })
    )
  }
}

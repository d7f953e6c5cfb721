import { performance } from 'node:perf_hooks'
import type { DeviceProfile, Encoding } from '../devices/profile.ts'
import { Device } from './device.ts'
import { parseGatewayUrl } from './gateway-address.ts'
import { Ledger } from './ledger.ts'
import { Link, linkDownCode } from './link.ts'
import { Random } from './random.ts'
import { mayStall, type Scenario, steady } from './scenario.ts'
import { Timeline } from './timeline.ts'

export interface FleetOptions {
  /** `mqtt://` or `mqtts://` address of the gateway; user and password may stand in it. */
  readonly url: string
  readonly members: readonly { readonly profile: DeviceProfile; readonly count: number }[]
  /** Readings a second of each device; default: the rate of its profile. */
  readonly readingsPerSecond?: number | undefined
  readonly seed?: number
  /** Device time at the start; default: now. With the same seed, start and rate a run makes the same readings. */
  readonly startMs?: number | undefined
  /** Without it the fleet runs until `signal` is aborted. */
  readonly durationMs?: number | undefined
  readonly scenario?: Scenario
  readonly qos?: 0 | 1 | 2 | undefined
  readonly encoding?: Encoding | undefined
  readonly site?: string
  readonly connectsPerSecond?: number
  /** How long the end of the run may wait for acknowledgements and buffers. */
  readonly drainMs?: number
  readonly signal?: AbortSignal | undefined
  /** Called every second. */
  readonly onProgress?: (progress: Progress) => void
  /** A sentence for people: the gateway cannot be reached, or is back. */
  readonly onNotice?: (text: string) => void
}

export interface Progress {
  readonly elapsedMs: number
  readonly devices: number
  readonly connected: number
  readonly buffered: number
  readonly isDraining: boolean
  readonly ledger: Ledger
}

const drainPollMs = 20
const progressMs = 1_000

/** Runs a fleet from its first connect to its last acknowledgement. @throws where the url is not one. */
export const runFleet = async (options: FleetOptions): Promise<Ledger> => {
  const fleet = new Fleet(options)
  const reporter = setInterval(() => options.onProgress?.(fleet.progress()), progressMs)
  try {
    fleet.start()
    await endOfRun(options.durationMs, options.signal)
    await fleet.stop(options.drainMs ?? 5_000)
  } finally {
    clearInterval(reporter)
  }
  return fleet.ledger
}

class Fleet {
  readonly ledger: Ledger
  private readonly options: FleetOptions
  private readonly devices: Device[] = []
  private readonly links: Link[] = []
  private readonly timeline: Timeline
  private readonly startedAtMs = performance.now()
  private connector: NodeJS.Timeout | undefined
  private isDraining = false
  private trouble: string | undefined

  constructor(options: FleetOptions) {
    this.options = options
    const seed = options.seed ?? 1
    const random = new Random(seed)
    this.ledger = new Ledger(seed, options.startMs ?? Date.now())
    for (const { profile, count } of options.members) {
      for (let index = 1; index <= count; index++) this.add(profile, index, random.split(profile.name).split(index))
    }
    this.timeline = new Timeline(options.scenario ?? steady, this.links, random.split('timeline'))
  }

  start(): void {
    for (const device of this.devices) device.startSampling()
    this.timeline.start()
    this.connectInTurn()
  }

  /** Stops sampling, heals the links, waits for what is under way, and disconnects. */
  async stop(drainMs: number): Promise<void> {
    this.isDraining = true
    clearInterval(this.connector)
    this.timeline.stop()
    for (const device of this.devices) device.stopSampling()
    const deadlineMs = this.elapsedMs() + drainMs
    while (this.elapsedMs() < deadlineMs && !this.devices.every(device => device.isDrained)) await pause(drainPollMs)
    await Promise.all(this.devices.map(device => device.close()))
  }

  progress(): Progress {
    const connected = this.devices.reduce((sum, device) => sum + (device.isConnected ? 1 : 0), 0)
    const buffered = this.devices.reduce((sum, device) => sum + device.buffered, 0)
    const { isDraining, ledger } = this
    if (connected > 0) this.recovered()
    return { elapsedMs: this.elapsedMs(), devices: this.devices.length, connected, buffered, isDraining, ledger }
  }

  private readonly elapsedMs = (): number => performance.now() - this.startedAtMs

  private add(profile: DeviceProfile, index: number, random: Random): void {
    const { readingsPerSecond, encoding, site = 'lab', scenario = steady, url } = this.options
    const { dial, username, password } = parseGatewayUrl(url)
    const qos = this.options.qos ?? profile.qos
    const name = `${profile.name}-${String(index).padStart(5, '0')}`
    const link = new Link({
      dial,
      conditions: scenario.conditions,
      random: random.split('link'),
      now: () => performance.now(),
      mayStall: mayStall(scenario),
    })
    const { reconnectMinMs, reconnectMaxMs } = profile.firmware
    this.links.push(link)
    this.devices.push(
      new Device({
        name,
        site,
        profile,
        readingsPerSecond: readingsPerSecond ?? profile.sampling.readingsPerSecond,
        encoding: encoding ?? profile.encoding,
        qos,
        username,
        password,
        random,
        reconnect: scenario.reconnect ?? { minMs: reconnectMinMs, maxMs: reconnectMaxMs },
        link,
        ledger: this.ledger.open(name, profile.name, qos),
        startMs: this.ledger.startMs,
        elapsedMs: this.elapsedMs,
        onTrouble: code => this.report(code),
      }),
    )
  }

  /** A few devices every 50 ms: a fleet is not switched on in one moment, and a listen backlog is finite. */
  private connectInTurn(): void {
    const perSecond = this.options.connectsPerSecond ?? 500
    let connected = 0
    const connectSome = () => {
      const due = Math.min(this.devices.length, Math.ceil(((this.elapsedMs() + 1) / 1000) * perSecond))
      for (; connected < due; connected++) this.devices[connected]?.connect()
      if (connected === this.devices.length) clearInterval(this.connector)
    }
    this.connector = setInterval(connectSome, 50)
    connectSome()
  }

  /** Says once that nothing can be reached; single links that fail are the scenario's business. */
  private report(code: string): void {
    if (code === linkDownCode || code === this.trouble || this.devices.some(device => device.isConnected)) return
    this.trouble = code
    const { url } = parseGatewayUrl(this.options.url)
    this.options.onNotice?.(`no gateway at ${url} (${code}); the devices keep trying with backoff`)
  }

  private recovered(): void {
    if (this.trouble !== undefined) this.options.onNotice?.('the gateway answers')
    this.trouble = undefined
  }
}

const pause = (delayMs: number): Promise<void> => new Promise(resolve => setTimeout(resolve, delayMs))

/** Waits for the duration to pass or the signal to be aborted. */
const endOfRun = (durationMs: number | undefined, signal: AbortSignal | undefined): Promise<void> =>
  new Promise(resolve => {
    if (signal?.aborted) return resolve()
    const timer = durationMs === undefined ? undefined : setTimeout(resolve, durationMs)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })

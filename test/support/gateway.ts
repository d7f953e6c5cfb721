import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from './free-ports.ts'

const mainFile = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

/** Addresses of the ready line, `host:port` each. */
export interface Addresses {
  readonly mqtt: string
  readonly kafka: string
  readonly http: string
  readonly [other: string]: string
}

export interface GatewayOptions {
  /** Settings by key, as `--set key=value`; they win over those that keep tests apart and quick (`quietSettings`). */
  readonly settings?: Readonly<Record<string, string>>
  /** `--config`; `settings` win over it. */
  readonly configFile?: string
  /** Addresses are the same after each `restart`: on ports that nobody is given while the gateway is down. */
  readonly keepsAddresses?: boolean
  /** Left in place at the end; without it a temporary directory is made and removed by `dispose`. */
  readonly dataDirectory?: string
  /** Variables added to those of the test. */
  readonly environment?: Readonly<Record<string, string>>
  /** Put before node, as in `['taskset', '-c', '0']`. */
  readonly prefix?: readonly string[]
  readonly nodeArguments?: readonly string[]
  /** Instead of `dist/main.js`, with the same arguments. */
  readonly program?: string
  /** Until the ready line. */
  readonly timeoutMs?: number
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const quietSettings = {
  'mqtt.listen': 'mqtt://127.0.0.1:0',
  'kafka.listen': 'plaintext://127.0.0.1:0',
  'http.listen': 'http://127.0.0.1:0',
  'disk.budget': '256MiB',
  'log.format': 'json',
  // nobody waits for more members
  'group.initial.rebalance.delay.ms': '0',
}

/** A `brooklet` process that was started and may be ready, refused or dead. */
class Process {
  readonly child: ChildProcess
  readonly exited: Promise<Exit>
  stdout = ''
  stderr = ''

  constructor(args: readonly string[], options: GatewayOptions) {
    const command = [
      ...(options.prefix ?? []),
      process.execPath,
      ...(options.nodeArguments ?? []),
      options.program ?? mainFile,
      ...args,
    ]
    const environment = { ...process.env, ...options.environment }
    this.child = spawn(command[0]!, command.slice(1), { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout!.setEncoding('utf8').on('data', text => {
      this.stdout += text
    })
    this.child.stderr!.setEncoding('utf8').on('data', text => {
      this.stderr += text
    })
    this.exited = new Promise((resolve, reject) => {
      this.child.once('error', reject)
      this.child.once('close', (code, signal) => resolve({ code, signal }))
    })
    this.exited.catch(() => undefined)
  }
}

/** A gateway of its own, from `dist/`, on one data directory; it may be ended and started again. */
export class Gateway {
  readonly dataDirectory: string
  /** Of the present process; ports differ after each `restart`. */
  addresses: Addresses = { mqtt: '', kafka: '', http: '' }
  #process: Process
  #options: GatewayOptions
  readonly #isTemporary: boolean

  private constructor(options: GatewayOptions, dataDirectory: string) {
    this.#options = options
    this.#isTemporary = options.dataDirectory === undefined
    this.dataDirectory = dataDirectory
    this.#process = new Process(serveArguments(dataDirectory, options), options)
  }

  /** Starts a gateway and waits for its ready line. Rejects with exit code and stderr when it does not come. */
  static async start(given: GatewayOptions = {}): Promise<Gateway> {
    const dataDirectory = given.dataDirectory ?? (await mkdtemp(join(tmpdir(), 'brooklet-test-')))
    const options = given.keepsAddresses === true ? await withFixedPorts(given) : given
    const gateway = new Gateway(options, dataDirectory)
    await gateway.#untilReady()
    return gateway
  }

  /** Starts again on the same data directory after `stop` or `kill`; `changes` add to the options so far. */
  async restart(changes: Omit<GatewayOptions, 'dataDirectory'> = {}): Promise<void> {
    await this.exited
    this.#options = { ...this.#options, ...changes, settings: { ...this.#options.settings, ...changes.settings } }
    this.#process = new Process(serveArguments(this.dataDirectory, this.#options), this.#options)
    await this.#untilReady()
  }

  get pid(): number {
    return this.#process.child.pid!
  }

  get exited(): Promise<Exit> {
    return this.#process.exited
  }

  get stdout(): string {
    return this.#process.stdout
  }

  /** The log of the present process so far. */
  get stderr(): string {
    return this.#process.stderr
  }

  get mqttUrl(): string {
    return `mqtt://${this.addresses.mqtt}`
  }

  get httpUrl(): string {
    return `http://${this.addresses.http}`
  }

  /** A metric as it is now, by its name behind `brooklet_`: the sum over its labels, 0 without a sample. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.httpUrl}/metrics`)).text()
    const samples = text.matchAll(new RegExp(`^brooklet_${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))
    return [...samples].reduce((sum, [, value]) => sum + Number(value), 0)
  }

  /** SIGTERM; resolves with how it ended. */
  stop(): Promise<Exit> {
    this.#process.child.kill('SIGTERM')
    return this.exited
  }

  /** Kill -9: only what was synced, or what the kernel had, is left. */
  kill(): Promise<Exit> {
    this.#process.child.kill('SIGKILL')
    return this.exited
  }

  /** Ends the process if it lives, and removes a temporary data directory. For `afterEach` or `finally`. */
  async dispose(): Promise<void> {
    await this.kill()
    if (this.#isTemporary) await rm(this.dataDirectory, { recursive: true, force: true })
  }

  async #untilReady(): Promise<void> {
    try {
      this.addresses = await readyLine(this.#process, this.#options.timeoutMs ?? 60_000)
    } catch (error) {
      await this.dispose()
      throw error
    }
  }
}

const withFixedPorts = async (options: GatewayOptions): Promise<GatewayOptions> => {
  const [mqtt, kafka, http] = await freePorts(3)
  const listeners = {
    'mqtt.listen': `mqtt://127.0.0.1:${mqtt}`,
    'kafka.listen': `plaintext://127.0.0.1:${kafka}`,
    'http.listen': `http://127.0.0.1:${http}`,
  }
  return { ...options, settings: { ...listeners, ...options.settings } }
}

/** Runs `brooklet ARGS` to its end, as for `config check` or a start that must fail. */
export async function runBrooklet(
  args: readonly string[],
  options: GatewayOptions = {},
): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
  const running = new Process(args, options)
  const deadline = setTimeout(() => running.child.kill('SIGKILL'), options.timeoutMs ?? 60_000)
  const exit = await running.exited.finally(() => clearTimeout(deadline))
  return { ...exit, stdout: running.stdout, stderr: running.stderr }
}

/** Arguments of `brooklet serve` on this directory with the settings of `options`. */
export function serveArguments(dataDirectory: string, options: GatewayOptions = {}): string[] {
  const settings = { ...quietSettings, 'data.dir': dataDirectory, ...options.settings }
  const config = options.configFile === undefined ? [] : ['--config', options.configFile]
  return ['serve', ...config, ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])]
}

function readyLine(running: Process, timeoutMs: number): Promise<Addresses> {
  return new Promise((resolve, reject) => {
    const fail = (what: string) =>
      reject(new Error(`${what}\n--- stdout\n${running.stdout}\n--- stderr\n${running.stderr}`))
    const deadline = setTimeout(() => fail(`no ready line within ${timeoutMs} ms`), timeoutMs)
    const look = () => {
      const found = /^brooklet ready (\{.*\})$/m.exec(running.stdout)?.[1]
      if (found === undefined) return
      clearTimeout(deadline)
      resolve(JSON.parse(found) as Addresses)
    }
    running.child.stdout!.on('data', look)
    running.exited.then(
      ({ code, signal }) => {
        clearTimeout(deadline)
        fail(`the gateway ended before it was ready (exit code ${code}, signal ${signal})`)
      },
      error => {
        clearTimeout(deadline)
        reject(error)
      },
    )
  })
}

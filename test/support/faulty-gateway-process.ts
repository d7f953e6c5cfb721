import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bundleGateway } from './bundled-gateway.ts'
import type { DiskCommand } from './faulty-gateway.ts'

const portOf = (address: string | undefined): number => Number(address?.split(':').at(-1))

/** `faulty-gateway.ts` as processes on one data directory. */
export class FaultyGateway {
  readonly #directory: string
  readonly #settings: Readonly<Record<string, string>>
  #child: ChildProcess | undefined
  stderr = ''
  stdout = ''
  mqttPort = 0
  kafkaPort = 0
  httpPort = 0

  /** Bundles the program; nothing runs yet. */
  static async prepare(settings: Readonly<Record<string, string>>): Promise<FaultyGateway> {
    const { directory } = await bundleGateway('faulty-gateway.ts')
    return new FaultyGateway(directory, settings)
  }

  private constructor(directory: string, settings: Readonly<Record<string, string>>) {
    this.#directory = directory
    this.#settings = settings
  }

  get pid(): number {
    return this.#child!.pid!
  }

  /** Starts a process without waiting for it. `isFull`: no slot can be prepared. */
  spawn({ isFull = false } = {}): void {
    const all = {
      'data.dir': join(this.#directory, 'data'),
      'mqtt.listen': 'mqtt://127.0.0.1:0',
      'kafka.listen': 'plaintext://127.0.0.1:0',
      'http.listen': '127.0.0.1:0',
      ...this.#settings,
    }
    const args = Object.entries(all).map(([key, value]) => `${key}=${value}`)
    this.stderr = ''
    this.stdout = ''
    const child = fork(join(this.#directory, 'gateway.mjs'), isFull ? ['full', ...args] : args, {
      execArgv: process.env['FAULTY_NODE_ARGUMENTS']?.split(' ') ?? [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    child.stdout!.setEncoding('utf8').on('data', text => {
      this.stdout += text
    })
    child.stderr!.setEncoding('utf8').on('data', text => {
      this.stderr += text
    })
    this.#child = child
  }

  /** Starts a process and waits for its ready line. */
  async start(): Promise<void> {
    this.spawn()
    const child = this.#child!
    const addresses = await new Promise<Record<string, string>>((resolve, reject) => {
      const look = (): void => {
        const found = /^brooklet ready (\{.*\})$/m.exec(this.stdout)?.[1]
        if (found !== undefined) resolve(JSON.parse(found))
      }
      child.stdout!.on('data', look)
      child.once('close', code => reject(new Error(`the gateway ended with ${code}: ${this.stderr}`)))
    })
    this.mqttPort = portOf(addresses['mqtt'])
    this.kafkaPort = portOf(addresses['kafka'])
    this.httpPort = portOf(addresses['http'])
  }

  disk(command: DiskCommand): void {
    this.#child!.send(command)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child!.kill(signal)
  }

  /** Exit code, or the signal that ended it. */
  ended(): Promise<number | NodeJS.Signals | null> {
    const child = this.#child!
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode ?? child.signalCode)
    return new Promise(resolve => child.once('close', (code, signal) => resolve(code ?? signal)))
  }

  /** Resolves once the log or the ready line says so. */
  async says(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.stderr) && !pattern.test(this.stdout)) {
      if (this.#child!.exitCode !== null) throw new Error(`it ended without ${pattern}: ${this.stderr}`)
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }

  memoryOf(name: 'VmRSS' | 'VmHWM'): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)![1]) * 1024
  }

  /** CPU time that the process has used, all threads, in seconds. */
  cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    // utime and stime in ticks of a hundredth of a second
    return (Number(fields[11]) + Number(fields[12])) / 100
  }

  async dispose(): Promise<void> {
    if (this.#child !== undefined) {
      this.signal('SIGKILL')
      await this.ended()
    }
    await rm(this.#directory, { recursive: true, force: true })
  }
}

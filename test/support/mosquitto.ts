import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-ports.ts'

/** A real Mosquitto with its own directory; it may be ended and started again. */
export class Mosquitto {
  readonly port: number
  readonly #folder: string
  #child: ChildProcess | undefined
  #log = ''

  /** Starts it with these lines beside the listener, see mosquitto.conf(5). */
  static async start(...lines: readonly string[]): Promise<Mosquitto> {
    const folder = await mkdtemp(join(tmpdir(), 'mosquitto-test-'))
    const port = await freePort()
    const conf = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'log_type all', ...lines]
    await writeFile(join(folder, 'mosquitto.conf'), `${conf.join('\n')}\n`)
    const mosquitto = new Mosquitto(port, folder)
    await mosquitto.start()
    return mosquitto
  }

  private constructor(port: number, folder: string) {
    this.port = port
    this.#folder = folder
  }

  /** What it has logged since it was first started. */
  get log(): string {
    return this.#log
  }

  async start(): Promise<void> {
    const child = spawn('mosquitto', ['-c', join(this.#folder, 'mosquitto.conf')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    const before = this.#log.length
    await new Promise<void>((resolve, reject) => {
      const take = (text: string): void => {
        this.#log += text
        if (/mosquitto version \S+ running/.test(this.#log.slice(before))) resolve()
      }
      child.stdout!.setEncoding('utf8').on('data', take)
      child.stderr!.setEncoding('utf8').on('data', take)
      child.once('error', reject)
      child.once('exit', code => reject(new Error(`mosquitto ended with ${code}\n${this.#log}`)))
    })
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    const ended = new Promise(resolve => child.once('close', resolve))
    child.kill('SIGTERM')
    await ended
  }

  async dispose(): Promise<void> {
    await this.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }
}

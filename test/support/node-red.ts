import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeRed } from './foreign-client.ts'
import { type RunningProgram, startProgram } from './tools.ts'

/** No editor, no HTTP, nothing of it goes out of the machine. */
const settings = {
  httpAdminRoot: false,
  httpNodeRoot: false,
  flowFile: 'flows.json',
  credentialSecret: false,
  mqttReconnectTime: 300,
  telemetry: { enabled: false, updateNotification: false },
}

/** A real Node-RED without editor that runs one flow from a directory of its own. */
export class NodeRed {
  readonly #directory: string
  readonly #program: RunningProgram

  /** Starts it with the nodes of a flow file; they run some time after that. */
  static async start(flow: readonly object[]): Promise<NodeRed> {
    const directory = await mkdtemp(join(tmpdir(), 'node-red-test-'))
    await writeFile(join(directory, 'settings.js'), `module.exports = ${JSON.stringify(settings)}\n`)
    await writeFile(join(directory, 'flows.json'), JSON.stringify(flow))
    return new NodeRed(directory)
  }

  private constructor(directory: string) {
    const [file, ...args] = nodeRed.command
    this.#directory = directory
    this.#program = startProgram(file, [...args, '--userDir', directory, '--settings', join(directory, 'settings.js')])
  }

  /** What it has printed. */
  get log(): string {
    return [...this.#program.lines(), this.#program.stderr()].join('\n')
  }

  /** Kill -9. */
  async kill(): Promise<void> {
    const { child } = this.#program
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise(resolve => child.once('close', resolve))
    child.kill('SIGKILL')
    await ended
  }

  async dispose(): Promise<void> {
    await this.kill()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { requireInstalled, type Test } from './tools.ts'

const run = promisify(execFile)
const folder = fileURLToPath(new URL('../interop/clients/', import.meta.url))
const installed = `${folder}installed/`

/** A program of `test/interop/clients`: how it is started, and what `./install` must have made. */
export interface ForeignClient {
  readonly name: string
  readonly language: 'python' | 'go' | 'java' | 'node' | 'c' | 'node-red' | 'sparkplug'
  readonly command: readonly [string, ...string[]]
  readonly needs: string
}

const python = (name: string, file: string): ForeignClient => ({
  name,
  language: 'python',
  command: [`${installed}python/bin/python`, '-B', `${folder}python/${file}`],
  needs: `${installed}python/bin/pip`,
})

const go = (name: string, program: string): ForeignClient => ({
  name,
  language: 'go',
  command: [`${installed}go/${program}`],
  needs: `${installed}go/${program}`,
})

const java: ForeignClient = {
  name: 'Java client',
  language: 'java',
  command: ['java', '-cp', `${installed}java/classes:${installed}java/lib/*`, 'JavaClient'],
  needs: `${installed}java/classes/JavaClient.class`,
}

/** Kafka's own command line tools. */
export const kafkaTools: ForeignClient = {
  ...java,
  name: "Kafka's tools",
  command: ['java', '-cp', `${installed}java/lib/*`],
}

export const foreignClients: readonly ForeignClient[] = [
  python('confluent-kafka-python', 'confluent.py'),
  python('kafka-python', 'kafka_python.py'),
  python('aiokafka', 'aio.py'),
  go('franz-go', 'franz'),
  go('sarama', 'sarama'),
  go('segmentio kafka-go', 'segmentio'),
  java,
  {
    name: '@platformatic/kafka',
    language: 'node',
    command: [process.execPath, `${installed}node/platformatic.mjs`],
    needs: `${installed}node/node_modules/@platformatic/kafka/package.json`,
  },
]

/** Paho's MQTT client for Python. */
export const pahoPython = python('paho-mqtt', 'paho_client.py')

/** Paho's MQTT client for C. */
export const pahoC: ForeignClient = {
  name: 'Paho for C',
  language: 'c',
  command: [`${installed}c/paho_client`],
  needs: `${installed}c/paho_client`,
}

const nodeRedProgram = `${installed}node-red/node_modules/node-red/red.js`

export const nodeRed: ForeignClient = {
  name: 'Node-RED',
  language: 'node-red',
  command: [process.execPath, nodeRedProgram],
  needs: nodeRedProgram,
}

/** Eclipse Tahu's edge node for JavaScript: a library, loaded by its test. */
export const sparkplugClient: ForeignClient = {
  name: 'Eclipse Tahu',
  language: 'sparkplug',
  command: [process.execPath],
  needs: `${installed}sparkplug/node_modules/sparkplug-client/package.json`,
}

/** The `test` function for tests with this client. */
export const requireClient = ({ needs, language }: ForeignClient): Test =>
  requireInstalled(existsSync(needs) ? undefined : `run test/interop/clients/install ${language}`)

/** Runs one command of the client to its end. Rejects with its stderr. */
export const callClient = (client: ForeignClient, bootstrap: string, ...words: readonly string[]): Promise<string> =>
  runToEnd(client, [bootstrap, ...words], '')

/** Runs one of `bin/kafka-*.sh` by its class in `org.apache.kafka.tools`. Rejects with its stderr. */
export const callTool = (name: string, words: readonly string[], input = ''): Promise<string> =>
  runToEnd(kafkaTools, [`org.apache.kafka.tools.${name}`, ...words], input)

const runToEnd = async (
  { command: [file, ...args] }: ForeignClient,
  words: readonly string[],
  input: string,
): Promise<string> => {
  const running = run(file, [...args, ...words], { timeout: 120_000 })
  // one that reads nothing may have ended before: its exit code tells how
  running.child.stdin?.on('error', () => {})
  running.child.stdin?.end(input)
  const { stdout } = await running
  return stdout.trim()
}

/** A member of a group; `lines` is what it has printed. */
export class ForeignMember {
  readonly #child
  readonly #ended: Promise<number | null>
  #stdout = ''
  #stderr = ''
  #changed: () => void = () => {}

  constructor({ command: [file, ...args] }: ForeignClient, bootstrap: string, group: string, topic: string) {
    this.#child = spawn(file, [...args, bootstrap, 'consume', group, topic], { stdio: 'pipe' })
    this.#child.stdout.setEncoding('utf8').on('data', text => {
      this.#stdout += text
      this.#changed()
    })
    this.#child.stderr.setEncoding('utf8').on('data', text => {
      this.#stderr += text
    })
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', code => {
        resolve(code)
        this.#changed()
      })
    })
  }

  #lines(word: string): string[][] {
    return this.#stdout
      .split('\n')
      .slice(0, -1)
      .map(line => line.split(' '))
      .filter(([first]) => first === word)
      .map(words => words.slice(1))
  }

  /** Partitions of the newest assignment; undefined before the first. */
  get assigned(): number[] | undefined {
    return this.#lines('assigned')
      .at(-1)
      ?.filter(text => text !== '')
      .map(Number)
  }

  /** Printed so far, in order. */
  get records(): { partition: number; offset: number; value: string }[] {
    return this.#lines('record').map(([partition, offset, value = '']) => ({
      partition: Number(partition),
      offset: Number(offset),
      value,
    }))
  }

  get values(): string[] {
    return this.records.map(({ value }) => value)
  }

  /** Waits for more output until `done`. Rejects with all of it when the program ends or takes longer than `limitMs`. */
  async until(what: string, done: () => boolean | Promise<boolean>, limitMs = 120_000): Promise<void> {
    const fail = (why: string) => {
      const tail = this.#stdout.split('\n').slice(-20).join('\n')
      return new Error(`${what}: ${why}\n--- its last lines\n${tail}\n--- stderr\n${this.#stderr.slice(-4000)}`)
    }
    let late = false
    const deadline = setTimeout(() => {
      late = true
      this.#changed()
    }, limitMs)
    try {
      while (!(await done())) {
        if (late) throw fail(`not within ${limitMs} ms`)
        if (this.#child.exitCode !== null) throw fail(`it ended with exit code ${this.#child.exitCode}`)
        // another member may be what we wait for
        await new Promise<void>(resolve => {
          this.#changed = resolve
          setTimeout(resolve, 100)
        })
      }
    } finally {
      clearTimeout(deadline)
    }
  }

  /** Tells it to commit, leave and end; rejects with its stderr when it does not end well. */
  async stop(): Promise<void> {
    this.#child.stdin.end()
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), 30_000)
    const code = await this.#ended.finally(() => clearTimeout(deadline))
    if (code !== 0) throw new Error(`ended with exit code ${code}: ${this.#stderr.slice(-4000)}`)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

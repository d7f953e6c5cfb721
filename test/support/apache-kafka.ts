import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { appendFile, cp, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { metadata } from '../../src/wire/kafka/contracts/metadata.ts'
import { type KafkaPorts, type KafkaSettings, type KafkaUser, serverProperties } from './apache-kafka-settings.ts'
import { freePorts } from './free-ports.ts'
import { KafkaTestClient } from './kafka-test-client.ts'
import { requireInstalled, type Test } from './tools.ts'

const run = promisify(execFile)
const libraries = fileURLToPath(new URL('../interop/clients/installed/java/lib/', import.meta.url))
const classPath = `${libraries}*`
const quickStart = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']
const clusterId = 'AAAAAAAAQACAAAAAAAAAAQ'
const patienceMs = 120_000

export interface ApacheKafkaOptions extends KafkaSettings {
  /** Brokers, each a controller too; topics have as many replicas, of which two must be in sync when there are three. */
  readonly brokers?: 1 | 3
  /** Of each broker. */
  readonly heapMegabytes?: number
  /** Put before java, as in `['taskset', '-c', '0']`. */
  readonly prefix?: readonly string[]
  /** Added to the options of java, and winning over those for a quick start. */
  readonly javaOptions?: readonly string[]
  /** Feature levels at format time, as `{ 'transaction.version': 1 }`; those of the newest release when absent. */
  readonly features?: Readonly<Record<string, number>>
}

/** What must be done before `ApacheKafka.start` can be called; undefined: nothing. */
export const missingApacheKafka = (): string | undefined =>
  existsSync(`${libraries}kafka_2.13-4.3.1.jar`) ? undefined : 'run test/interop/clients/install java'

/** The `test` function for tests against Apache Kafka. */
export const testWithApacheKafka: Test = requireInstalled(missingApacheKafka())

/** Runs one of Kafka's tools, by its class, against whoever speaks its protocol at this address; its stdout. */
export const kafkaToolAt = async (
  bootstrap: string,
  className: string,
  ...args: readonly string[]
): Promise<string> => {
  const words = [...quickStart, '-Xmx128m', '-cp', classPath, className, '--bootstrap-server', bootstrap, ...args]
  const { stdout } = await run('java', words, { timeout: patienceMs })
  return stdout.trim()
}

/** A cluster of real Apache Kafka 4.3.1 brokers (KRaft) on 127.0.0.1, in a temporary directory. */
export class ApacheKafka {
  /** In order of their node ids: 1, 2, 3. */
  readonly brokers: readonly KafkaBroker[]
  readonly #directory: string

  /** Formats the directories, starts the brokers and waits until each knows all. `close` ends and removes everything. */
  static async start(options: ApacheKafkaOptions = {}): Promise<ApacheKafka> {
    const missing = missingApacheKafka()
    if (missing !== undefined) throw new Error(missing)
    const directory = await mkdtemp(join(tmpdir(), 'apache-kafka-'))
    const all = await choosePorts(options.brokers ?? 1, Object.keys(options.listeners ?? {}))
    await writeFile(join(directory, 'log4j2.properties'), loggingProperties)
    for (const ports of all) {
      const own = join(directory, String(ports.nodeId))
      await mkdir(own)
      await writeFile(join(own, 'server.properties'), serverProperties(ports, all, join(own, 'logs'), options))
    }
    const kafka = new ApacheKafka(directory, all, options)
    try {
      await kafka.#format(options)
      await Promise.all(kafka.brokers.map(broker => broker.start()))
      return kafka
    } catch (error) {
      await kafka.close()
      throw error
    }
  }

  private constructor(directory: string, all: readonly KafkaPorts[], options: ApacheKafkaOptions) {
    this.#directory = directory
    this.brokers = all.map(ports => new KafkaBroker(join(directory, String(ports.nodeId)), ports, all.length, options))
  }

  /** Of the listener without security, past every proxy. */
  get bootstrap(): string {
    return this.brokers.map(({ address }) => address()).join(',')
  }

  /** Of a listener of the options. */
  bootstrapOf(listener: string): string {
    return this.brokers.map(({ address }) => address(listener)).join(',')
  }

  broker(nodeId: number): KafkaBroker {
    const found = this.brokers[nodeId - 1]
    if (found === undefined) throw new Error(`there is no broker ${nodeId}`)
    return found
  }

  /** Node id of the partition's leader; -1 while there is none. Asks any broker that lives. */
  async leaderOf(topic: string, partition: number): Promise<number> {
    const living = this.brokers.find(({ isRunning }) => isRunning)
    if (living === undefined) throw new Error('no broker runs')
    const { topics } = await living.metadata([topic])
    return topics[0]?.partitions.find(({ partitionIndex }) => partitionIndex === partition)?.leaderId ?? -1
  }

  /** Runs one of Kafka's tools, by its class, against this cluster; its stdout. */
  tool(className: string, ...args: readonly string[]): Promise<string> {
    return kafkaToolAt(this.bootstrap, className, ...args)
  }

  async close(): Promise<void> {
    await Promise.all(this.brokers.map(broker => broker.kill()))
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** One formatted directory does for all: the others differ in their ids alone. */
  async #format({ users = [], features = {} }: ApacheKafkaOptions): Promise<void> {
    const [first, ...others] = this.brokers.map(({ directory }) => directory)
    const scram = users.flatMap(scramArguments)
    const levels = Object.entries(features).flatMap(([name, level]) => ['--feature', `${name}=${level}`])
    const words = ['format', '-t', clusterId, '-c', join(first!, 'server.properties'), ...scram, ...levels]
    const logging = `-Dlog4j2.configurationFile=${join(this.#directory, 'log4j2.properties')}`
    await run('java', [...quickStart, logging, '-cp', classPath, 'kafka.tools.StorageTool', ...words])
    for (const [index, other] of others.entries()) {
      await cp(join(first!, 'logs'), join(other, 'logs'), { recursive: true })
      const file = join(other, 'logs', 'meta.properties')
      const properties = await readFile(file, 'utf8')
      const nodeId = index + 2
      const unique = Buffer.from(`directory-of-b-${nodeId}`).toString('base64url')
      await writeFile(
        file,
        properties
          .replace(/^node\.id=.*$/m, `node.id=${nodeId}`)
          .replace(/^directory\.id=.*$/m, `directory.id=${unique}`),
      )
    }
  }
}

/** One broker of the cluster: a process on one directory that may be killed, stopped, frozen and started again. */
export class KafkaBroker {
  readonly nodeId: number
  readonly directory: string
  readonly #ports: KafkaPorts
  readonly #clusterSize: number
  readonly #options: ApacheKafkaOptions
  #child: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()

  constructor(directory: string, ports: KafkaPorts, clusterSize: number, options: ApacheKafkaOptions) {
    this.nodeId = ports.nodeId
    this.directory = directory
    this.#ports = ports
    this.#clusterSize = clusterSize
    this.#options = options
  }

  /** `host:port` at which it listens itself, whatever it advertises. */
  readonly address = (listener?: string): string => {
    if (listener === undefined) return `127.0.0.1:${this.#ports.plain}`
    return `${this.#options.listeners?.[listener]?.host ?? '127.0.0.1'}:${this.#ports.others[listener]}`
  }

  get isRunning(): boolean {
    return this.#child !== undefined
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts it and waits until it knows as many brokers as live; rejects with the end of its log. */
  async start(): Promise<void> {
    const { prefix = [], heapMegabytes = 192, javaOptions = [] } = this.#options
    const log = await open(join(this.directory, 'broker.log'), 'a')
    const logging = `-Dlog4j2.configurationFile=${join(this.directory, '..', 'log4j2.properties')}`
    const memory = [`-Xms${heapMegabytes >> 1}m`, `-Xmx${heapMegabytes}m`]
    const properties = join(this.directory, 'server.properties')
    const java = ['java', ...quickStart, ...memory, ...javaOptions, logging, '-cp', classPath]
    const command = [...prefix, ...java, 'kafka.Kafka', properties]
    const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', log.fd, log.fd] })
    this.#child = child
    const end = (): boolean => child.kill('SIGKILL')
    process.once('exit', end)
    this.#exited = new Promise(resolve => {
      const ended = (): void => {
        process.off('exit', end)
        if (this.#child === child) this.#child = undefined
        resolve()
      }
      child.once('error', error => appendFile(join(this.directory, 'broker.log'), `${error}\n`).then(ended, ended))
      child.once('exit', ended)
    })
    await log.close()
    await this.#untilReady()
  }

  /** SIGTERM: it hands its partitions over and writes everything. */
  stop(): Promise<void> {
    this.#child?.kill('SIGTERM')
    return this.#exited
  }

  /** Kill -9. */
  kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    return this.#exited
  }

  /** SIGSTOP: it says nothing, and its connections stay open; `thaw` ends that. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  /** The last lines of its log. */
  async log(lines = 40): Promise<string> {
    const text = await readFile(join(this.directory, 'broker.log'), 'utf8')
    return text.trimEnd().split('\n').slice(-lines).join('\n')
  }

  /** What it says of the cluster and of these topics, on a connection of its own. */
  async metadata(topics: readonly string[]) {
    const client = await KafkaTestClient.connect(this.#ports.plain)
    try {
      return await client.request(metadata, 12, {
        topics: topics.map(name => ({ name })),
        allowAutoTopicCreation: false,
        includeTopicAuthorizedOperations: false,
      })
    } finally {
      client.destroy()
    }
  }

  async #untilReady(): Promise<void> {
    const endMs = Date.now() + patienceMs
    for (;;) {
      if (await this.#isReady()) return
      if (!this.isRunning || Date.now() > endMs) {
        throw new Error(`broker ${this.nodeId} of Apache Kafka did not start\n${await this.log()}`)
      }
      await sleep(100)
    }
  }

  /** It is one of those it knows, and more than half are there. */
  async #isReady(): Promise<boolean> {
    try {
      const { brokers } = await this.metadata([])
      return brokers.some(({ nodeId }) => nodeId === this.nodeId) && brokers.length * 2 > this.#clusterSize
    } catch {
      return false
    }
  }
}

const choosePorts = async (brokers: number, listeners: readonly string[]): Promise<KafkaPorts[]> => {
  const free = await freePorts(brokers * (listeners.length + 2))
  return Array.from({ length: brokers }, (_, index) => ({
    nodeId: index + 1,
    plain: free.pop()!,
    controller: free.pop()!,
    others: Object.fromEntries(listeners.map(name => [name, free.pop()!])),
  }))
}

const scramArguments = ({ name, password }: KafkaUser): string[] =>
  ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap(mechanism => [
    '--add-scram',
    `${mechanism}=[name=${name},password=${password}]`,
  ])

const loggingProperties = `
rootLogger.level=warn
rootLogger.appenderRef.stdout.ref=STDOUT
appender.console.type=Console
appender.console.name=STDOUT
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=[%d] %p %m (%c)%n%throwable
`

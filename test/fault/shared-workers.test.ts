import { createConnection } from 'node:net'
import { type IPublishPacket, MqttClient, Store } from 'mqtt'
import { afterEach, expect, it } from 'vitest'
import { Gateway } from '../support/gateway.ts'

/** Workers with sessions share `jobs/#` while the gateway is killed under them: each job of QoS 2 is done once, each of QoS 1 at least once. */

const kills = Number(process.env['KILL_CYCLES'] ?? 3)
const jobsEach = 200
const shared = '$share/workers/jobs/#'
const isReportedMs = 30_000
let gateway: Gateway
const clients = new Set<MqttClient>()

afterEach(async () => {
  for (const client of clients) client.end(true)
  clients.clear()
  await gateway.dispose()
})

interface Stores {
  readonly incomingStore: Store
  readonly outgoingStore: Store
}

/** What a client keeps on its own disk, as it were. */
const newStores = (): Stores => ({
  incomingStore: new Store({ clean: false }),
  outgoingStore: new Store({ clean: false }),
})

/** A client with a session that lasts, and that finds the gateway again wherever it listens. */
function lasting(clientId: string, stores: Stores): MqttClient {
  const client = new MqttClient(() => createConnection(Number(gateway.addresses.mqtt.split(':').at(-1)), '127.0.0.1'), {
    clientId,
    clean: false,
    protocolVersion: 5,
    properties: { sessionExpiryInterval: 3600, receiveMaximum: 10 },
    reconnectPeriod: 50,
    resubscribe: false,
    ...stores,
  })
  client.on('error', () => undefined)
  clients.add(client)
  return client
}

class Worker {
  readonly done: string[]
  readonly #clientId: string
  readonly #stores = newStores()
  #client: MqttClient | undefined

  constructor(clientId: string, done: string[]) {
    this.#clientId = clientId
    this.done = done
  }

  async subscribe(): Promise<void> {
    this.come()
    await this.#client!.subscribeAsync(shared, { qos: 2 })
  }

  come(): void {
    if (this.#client !== undefined) return
    this.#client = lasting(this.#clientId, this.#stores)
    this.#client.on('message', (_topic: string, payload: Buffer, { qos }: IPublishPacket) => {
      this.done.push(`${qos} ${payload}`)
    })
  }

  /** Breaks off in the middle of whatever goes on. */
  leave(): void {
    if (this.#client === undefined) return
    this.#client.end(true)
    clients.delete(this.#client)
    this.#client = undefined
  }
}

const counted = (jobs: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const job of jobs) counts.set(job, (counts.get(job) ?? 0) + 1)
  return counts
}

it(`gives each job to one worker through ${kills} kills`, { timeout: 60_000 + kills * 30_000 }, async () => {
  gateway = await Gateway.start()
  const done: string[] = []
  const workers = ['one', 'two', 'three'].map(name => new Worker(name, done))
  for (const worker of workers) await worker.subscribe()
  const publisher = lasting('publisher', newStores())
  const published: string[] = []
  const acknowledged: Promise<unknown>[] = []
  const publish = (count: number): void => {
    for (let job = 0; job < count; job++) {
      const qos = job % 2 === 0 ? 2 : 1
      published.push(`${qos} ${published.length}`)
      acknowledged.push(publisher.publishAsync(`jobs/${qos}`, String(published.length - 1), { qos }))
    }
  }
  const missing = (): number => {
    const found = new Set(done)
    return published.filter(job => !found.has(job)).length
  }
  for (let kill = 1; kill <= kills; kill++) {
    publish(jobsEach)
    const before = published.length
    // in each cycle others are here: all, none, some
    for (const [index, worker] of workers.entries()) {
      if (kill % 3 === 2 || (kill % 3 === 0 && index === 1)) worker.leave()
      else worker.come()
    }
    const half = Math.floor(before - jobsEach / 2)
    if (kill % 3 === 2) await Promise.all(acknowledged)
    else await expect.poll(() => published.length - missing(), { timeout: isReportedMs }).toBeGreaterThan(half)
    await gateway.kill()
    if (kill % 3 === 1) workers[0]!.leave()
    await gateway.restart()
  }
  for (const worker of workers) worker.come()
  await Promise.all(acknowledged)
  await expect.poll(missing, { timeout: isReportedMs }).toBe(0)
  // a clean stop leaves nothing to be repeated, whatever the QoS
  await gateway.stop()
  await gateway.restart()
  const before = done.length
  const last = published.length
  publish(50)
  await expect.poll(missing, { timeout: isReportedMs }).toBe(0)
  expect(done.slice(before).filter(job => Number(job.split(' ')[1]) < last)).toEqual([])
  const counts = counted(done)
  const repeated = [...counts].filter(([job, count]) => job.startsWith('2 ') && count > 1)
  expect(repeated).toEqual([])
  expect(counts.size).toBe(published.length)
})

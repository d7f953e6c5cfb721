import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { DownlinkSummary } from '../../src/broker/downlink-summary.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { Producer } from '../../src/client/producer.ts'
import { createTopic } from '../../src/client/topic-admin.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'

// a second Brooklet is the central cluster: reading committed records needs no transactions

const patienceMs = 60_000

let central: Gateway
let cluster: Cluster
let link: FaultProxy

beforeAll(async () => {
  link = await FaultProxy.start(0)
  const listen = 'plaintext://127.0.0.1:0'
  central = await Gateway.start({
    settings: { 'kafka.listen': `${listen},${listen}`, 'kafka.advertised': `${listen},plaintext://${link.address}` },
  })
  const [near, far] = central.addresses.kafka.split(',')
  link.targetPort = Number(far!.split(':')[1])
  cluster = openCentral(near!)
}, patienceMs)

afterAll(async () => {
  cluster?.close()
  await central?.dispose()
  await link?.close()
})

const startGateway = (rules: readonly object[], settings: Readonly<Record<string, string>> = {}): Promise<Gateway> =>
  Gateway.start({
    settings: {
      'gateway.id': 'g7',
      'uplink.bootstrap.servers': link.address,
      'uplink.retry.backoff.ms': '50',
      'uplink.retry.backoff.max.ms': '500',
      'uplink.request.timeout.ms': '1s',
      'uplink.topics.exclude': '*',
      downlink: JSON.stringify(rules),
      ...settings,
    },
  })

/** Sends numbered commands to this gateway, and as many to another, a few at a time, until it is stopped. */
class Commander {
  sent = 0
  #isStopped = false
  readonly #sending: Promise<void>

  constructor(topic: string) {
    this.#sending = this.#send(topic)
  }

  stop(): Promise<void> {
    this.#isStopped = true
    return this.#sending
  }

  async #send(topic: string): Promise<void> {
    const producer = new Producer(cluster, { compression: 'none', timeoutMs: 5_000, deliveryTimeoutMs: 10_000 })
    for (; !this.#isStopped; await sleep(10)) {
      const numbers = Array.from({ length: 5 }, () => this.sent++)
      const records = numbers.flatMap(number => ['g7', 'g8'].map(gateway => commandTo(gateway, number)))
      await producer.send(topic, records)
    }
  }
}

const commandTo = (gateway: string, number: number) => ({
  timestampMs: Date.now(),
  key: Buffer.from(`${gateway}/d${number % 5}`),
  value: Buffer.from(String(number)),
})

/** Values by key of a topic of the gateway, once it has so many records. */
const arrived = async (gateway: Gateway, topic: string, count: number): Promise<Map<string, number[]>> => {
  const local = openCentral(gateway.addresses.kafka)
  try {
    const found = await CommittedRecords.of(local, topic)
    for (const endMs = Date.now() + patienceMs; found.count < count && Date.now() < endMs; await sleep(100))
      await found.readOn()
    const byKey = new Map<string, number[]>()
    for (const { key, value } of found.partitions.flat())
      byKey.set(String(key), [...(byKey.get(String(key)) ?? []), Number(value)])
    return byKey
  } finally {
    local.close()
  }
}

it('every command comes down once and in the order of its key, whatever is killed or cut', async () => {
  await createTopic(cluster, { name: 'orders', partitions: 3, replicationFactor: 1, configs: new Map() })
  const gateway = await startGateway([{ topic: 'orders', key: '{gateway}/*', to: 'commands', from: 'earliest' }])
  try {
    const kill = async (): Promise<void> => {
      await gateway.kill()
      await gateway.restart()
    }
    const troubles: (() => unknown)[] = [
      kill,
      () => link.reset(),
      () => link.cutAfter('down', 400),
      kill,
      async () => {
        link.blackHole()
        await sleep(1_500)
        link.restore()
      },
      async () => {
        await gateway.stop()
        await gateway.restart()
      },
      () => link.cutAfter('up', 300),
      kill,
    ]
    const commander = new Commander('orders')
    for (const trouble of troubles) {
      await sleep(200)
      await trouble()
      await sleep(200)
      link.restore()
    }
    await commander.stop()
    const { sent } = commander
    const byKey = await arrived(gateway, 'commands', sent)
    const wanted = [0, 1, 2, 3, 4].map(device => [
      `d${device}`,
      Array.from({ length: sent / 5 }, (_, round) => 5 * round + device),
    ])
    expect([...byKey].toSorted()).toEqual(wanted)
    const { stdout } = await runBrooklet(['downlink', 'status', '--http', gateway.addresses.http])
    expect(stdout).toMatch(/^all is read\n/)
    const json = await runBrooklet(['downlink', 'status', '--json', '--http', gateway.addresses.http])
    const [{ topics }] = JSON.parse(json.stdout) as [DownlinkSummary]
    const taken = topics[0]!.partitions.reduce((sum, partition) => sum + partition.taken, 0)
    expect([topics[0]!.topic, topics[0]!.partitions.length, taken]).toEqual(['orders', 3, sent])
    expect(await gateway.stop()).toEqual({ code: 0, signal: null })
  } finally {
    await gateway.dispose()
  }
}, 120_000)

it('a gateway without a downlink says so, and a rule that cannot be is refused at the start', async () => {
  const { code, stderr } = await runBrooklet(['downlink', 'status', '--http', central.addresses.http])
  expect([code, stderr]).toEqual([1, expect.stringContaining('there is no downlink: set downlink')])
  const start = await runBrooklet(['serve', '--set', 'downlink=[{ topic: orders, too: commands }]'])
  expect(start.code).toBe(64)
  expect(start.stderr).toContain('downlink[0] (--set): there is no key "too" here; nearest: to')
})

import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'mqtt'
import { expect, it } from 'vitest'
import type { DownlinkSummary } from '../../src/broker/downlink-summary.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { Producer } from '../../src/client/producer.ts'
import { createTopic } from '../../src/client/topic-admin.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'
import { shareSetup } from '../support/shared-setup.ts'

// a second Brooklet is the central cluster: reading committed records needs no transactions

const patienceMs = 60_000

let central: Gateway
let cluster: Cluster
let link: FaultProxy

const setUp = async (): Promise<void> => {
  link = await FaultProxy.start(0)
  const listen = 'plaintext://127.0.0.1:0'
  central = await Gateway.start({
    settings: { 'kafka.listen': `${listen},${listen}`, 'kafka.advertised': `${listen},plaintext://${link.address}` },
  })
  const [near, far] = central.addresses.kafka.split(',')
  link.targetPort = Number(far!.split(':')[1])
  cluster = openCentral(near!)
}
shareSetup(setUp, async () => {
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

  constructor(topic: string, devices: number) {
    this.#sending = this.#send(topic, devices)
  }

  /** All numbers that went to one of so many devices. */
  sentTo(device: number, devices: number): number[] {
    return Array.from({ length: this.sent }, (_, number) => number).filter(number => number % devices === device)
  }

  stop(): Promise<void> {
    this.#isStopped = true
    return this.#sending
  }

  async #send(topic: string, devices: number): Promise<void> {
    const producer = new Producer(cluster, { compression: 'none', timeoutMs: 5_000, deliveryTimeoutMs: 10_000 })
    for (; !this.#isStopped; await sleep(20)) {
      const numbers = Array.from({ length: 3 }, () => this.sent++)
      const records = numbers.flatMap(number => ['g7', 'g8'].map(gateway => commandTo(gateway, number, devices)))
      await producer.send(topic, records)
    }
  }
}

const commandTo = (gateway: string, number: number, devices: number) => ({
  timestampMs: Date.now(),
  key: Buffer.from(`${gateway}/d${number % devices}`),
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
        await sleep(1_200)
        link.restore()
      },
      kill,
    ]
    const commander = new Commander('orders', 5)
    for (const trouble of troubles) {
      await sleep(100)
      await trouble()
      await sleep(100)
      link.restore()
    }
    await commander.stop()
    const { sent } = commander
    const byKey = await arrived(gateway, 'commands', sent)
    const wanted = [0, 1, 2, 3, 4].map(device => [`d${device}`, commander.sentTo(device, 5)])
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

/** An MQTT device with a session of its own, that acknowledges by itself, also after the gateway has come back. */
const connectDevice = (port: number, clientId: string, qos: 1 | 2) => {
  const received: number[] = []
  const url = `mqtt://127.0.0.1:${port}`
  const client = connect(url, {
    clientId,
    clean: false,
    reconnectPeriod: 50,
    connectTimeout: 2_000,
    resubscribe: false,
  })
  client.on('error', () => undefined)
  client.on('message', (_topic, payload) => received.push(Number(payload)))
  const subscribed = new Promise<void>(resolve =>
    client.once('connect', () => client.subscribe(`devices/${clientId}/commands`, { qos }, () => resolve())),
  )
  return { client, received, subscribed }
}

it('commands reach their devices, with QoS 2 once, over kills of the gateway; each is reported once', async () => {
  await createTopic(cluster, { name: 'device-orders', partitions: 2, replicationFactor: 1, configs: new Map() })
  const deliver = { topic: 'commands', mqtt: 'devices/{key}/commands', qos: 2, ack: 'device', report: 'results' }
  const rule = { topic: 'device-orders', key: '{gateway}/*', to: 'commands', from: 'earliest' }
  const gateway = await startGateway([rule], { deliver: JSON.stringify([deliver]) })
  const near = await FaultProxy.start(Number(gateway.addresses.mqtt.split(':')[1]))
  const devices = [connectDevice(near.port, 'd0', 1), connectDevice(near.port, 'd1', 2)] as const
  try {
    await Promise.all(devices.map(({ subscribed }) => subscribed))
    const commander = new Commander('device-orders', 3)
    for (let round = 0; round < 2; round++) {
      await sleep(300)
      await gateway.kill()
      await gateway.restart()
      near.targetPort = Number(gateway.addresses.mqtt.split(':')[1])
    }
    await commander.stop()
    const wanted = (device: number) => commander.sentTo(device, 3)
    // nobody is there for the third
    const count = wanted(0).length + wanted(1).length
    const reported = await arrived(gateway, 'results', count)
    expect([...reported.values()].flat()).toHaveLength(count)
    await expect.poll(() => devices[1].received.length).toBeGreaterThanOrEqual(wanted(1).length)
    expect(devices[1].received).toEqual(wanted(1))
    // with QoS 1 what was acknowledged in the last moment comes again
    expect(devices[0].received.filter((number, index, all) => all.indexOf(number) === index)).toEqual(wanted(0))
    const { stdout } = await runBrooklet(['downlink', 'status', '--http', gateway.addresses.http])
    expect(stdout).toMatch(/records of partition \d of commands to devices\/{key}\/commands wait for 1 device\n/)
    const metrics = await (await fetch(`${gateway.httpUrl}/metrics`)).text()
    expect(metrics).toContain(`brooklet_device_deliveries_pending ${wanted(2).length}`)
  } finally {
    for (const { client } of devices) client.end(true)
    await gateway.dispose()
    await near.close()
  }
}, 120_000)

it('a gateway without a downlink says so, and a rule that cannot be is refused at the start', async () => {
  const { code, stderr } = await runBrooklet(['downlink', 'status', '--http', central.addresses.http])
  expect([code, stderr]).toEqual([1, expect.stringContaining('there is no downlink: set downlink')])
  const start = await runBrooklet(['serve', '--set', 'downlink=[{ topic: orders, too: commands }]'])
  expect(start.code).toBe(64)
  expect(start.stderr).toContain('downlink[0] (--set): there is no key "too" here; nearest: to')
})

import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { profileNamed, receiptOf, runFleet } from '../../firmware-sim/index.ts'
import type { FetchedRecord } from '../../src/client/partition-reader.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Gateway } from '../support/gateway.ts'
import { untilDrained, uplinkOf } from '../support/uplink-status.ts'

// another Brooklet as the central cluster, without transactions: whatever is killed or cut, its consumers read each record once and in order

const patienceMs = 60_000
const topics = ['sensors', 'meters']

let link: FaultProxy
let hub: Gateway
let gateway: Gateway

beforeEach(async () => {
  link = await FaultProxy.start(0)
  hub = await Gateway.start({ settings: { 'kafka.advertised': `plaintext://${link.address}` } })
  link.targetPort = kafkaPort(hub)
  gateway = await Gateway.start({
    keepsAddresses: true,
    settings: {
      'uplink.bootstrap.servers': link.address,
      'uplink.retry.backoff.ms': '50',
      'uplink.retry.backoff.max.ms': '500',
      'uplink.request.timeout.ms': '1s',
    },
  })
}, patienceMs)

afterEach(async () => {
  await gateway?.dispose()
  await hub?.dispose()
  await link?.close()
})

const kafkaPort = ({ addresses }: Gateway): number => Number(addresses.kafka.split(':')[1])

const restart = async (one: Gateway): Promise<void> => {
  await one.kill()
  await one.restart()
  link.targetPort = kafkaPort(hub)
}

/** One after the other; after each the link is as it should be. */
const troubles: readonly (() => unknown)[] = [
  () => link.reset(),
  () => link.cutAfter('up', 3_000),
  () => link.cutAfter('down', 100),
  () => restart(hub),
  () => link.halfOpen(),
  () => restart(gateway),
  () => link.cutAfter('up', 700),
  async () => {
    link.blackHole()
    await sleep(1_200)
  },
  () => link.halfOpen('down'),
  () => Promise.all([restart(hub), restart(gateway)]),
  async () => {
    link.refuse()
    await sleep(300)
  },
]

const recordsOf = async (bootstrap: string, topic: string): Promise<FetchedRecord[][]> => {
  const cluster = openCentral(bootstrap)
  try {
    return (await (await CommittedRecords.of(cluster, topic)).readOn()).partitions
  } finally {
    cluster.close()
  }
}

const valuesOf = (partitions: FetchedRecord[][]): string[][] =>
  partitions.map(records => records.map(({ value }) => String(value)))

it(
  'what devices sent stands in another Brooklet once and in order, whatever is killed or cut',
  async () => {
    const stop = new AbortController()
    const fleet = runFleet({
      url: gateway.mqttUrl,
      members: [
        { profile: profileNamed('env')!, count: 8 },
        { profile: profileNamed('power')!, count: 4 },
      ],
      readingsPerSecond: 10,
      signal: stop.signal,
    })
    for (const trouble of troubles) {
      await sleep(250)
      await trouble()
      await sleep(250)
      link.restore()
    }
    stop.abort()
    const ledger = await fleet
    await untilDrained(gateway)
    expect(await uplinkOf(gateway)).toMatchObject({ delivery: 'read-back', state: 'connected' })
    const central = await Promise.all(topics.map(topic => recordsOf(hub.addresses.kafka, topic)))
    const stored = await Promise.all(topics.map(topic => recordsOf(gateway.addresses.kafka, topic)))
    expect(central.map(valuesOf)).toEqual(stored.map(valuesOf))
    const receipts = central.flat(2).map(({ key, value }) => receiptOf(String(key), value!)!)
    const { examples, received } = ledger.compare(receipts)
    expect(examples).toEqual([])
    expect(received).toBeGreaterThan(200)
  },
  2 * patienceMs,
)

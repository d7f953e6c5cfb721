import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { createTopic } from '../../src/client/topic-admin.ts'
import { ApacheKafka, testWithApacheKafka } from '../support/apache-kafka.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import type { Gateway } from '../support/gateway.ts'
import { TransactionalCommands } from '../support/transactional-commands.ts'
import { describeUplink, patienceMs, presentCentral, startGateway } from '../support/uplink-contract.ts'

// the uplink against real Apache Kafka

const startApacheKafka = async () => {
  const link = await FaultProxy.start(0)
  const listeners = { LINK: { protocol: 'PLAINTEXT', advertised: [link.address] } } as const
  const kafka = await ApacheKafka.start({ listeners, settings: { 'auto.create.topics.enable': 'false' } })
  link.targetPort = Number(kafka.bootstrapOf('LINK').split(':')[1])
  return {
    link,
    bootstrap: kafka.bootstrap,
    restart: async () => {
      await kafka.broker(1).kill()
      await kafka.broker(1).start()
    },
    close: async () => {
      await kafka.close()
      await link.close()
    },
  }
}

describeUplink(startApacheKafka, testWithApacheKafka)

describe('the downlink', { timeout: 3 * patienceMs }, () => {
  testWithApacheKafka('brings down what was committed, once and in order, whatever is killed or cut', async () => {
    const { cluster: central, link } = presentCentral()
    await createTopic(central, { name: 'orders', partitions: 2, replicationFactor: 1, configs: new Map() })
    const rule = { topic: 'orders', key: '{gateway}/*', to: 'commands', from: 'earliest' }
    const gateway = await startGateway({
      'gateway.id': 'g7',
      'uplink.topics.exclude': '*',
      downlink: JSON.stringify([rule]),
    })
    try {
      const commands = new TransactionalCommands(central, 'orders')
      const troubles: (() => unknown)[] = [
        () => link.reset(),
        () => gateway.kill().then(() => gateway.restart()),
        () => link.cutAfter('down', 300),
        () => gateway.kill().then(() => gateway.restart()),
      ]
      for (const trouble of troubles) {
        const writing = commands.write(9)
        await sleep(300)
        await trouble()
        await writing
        link.restore()
      }
      const wanted = [...commands.committed.values()].flat().length
      let byKey = new Map<string, string[]>()
      for (const endMs = Date.now() + patienceMs; Date.now() < endMs; await sleep(200)) {
        byKey = await localByKey(gateway, 'commands')
        if ([...byKey.values()].flat().length >= wanted) break
      }
      expect(Object.fromEntries(byKey)).toEqual(Object.fromEntries(commands.committed))
    } finally {
      await gateway.dispose()
    }
  })
})

/** Values of a topic of the gateway by key. */
const localByKey = async (gateway: Gateway, topic: string): Promise<Map<string, string[]>> => {
  const cluster = openCentral(gateway.addresses.kafka)
  const byKey = new Map<string, string[]>()
  try {
    const { partitions } = await (await CommittedRecords.of(cluster, topic)).readOn()
    for (const { key, value } of partitions.flat())
      byKey.set(String(key), [...(byKey.get(String(key)) ?? []), String(value)])
    return byKey
  } finally {
    cluster.close()
  }
}

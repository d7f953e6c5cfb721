import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { earliestOffset, offsetFor } from '../../src/client/partition-offsets.ts'
import type { FetchedRecord } from '../../src/client/partition-reader.ts'
import { createTopic } from '../../src/client/topic-admin.ts'
import { deleteRecords } from '../../src/wire/kafka/contracts/delete-records.ts'
import { errorCodes } from '../../src/wire/kafka/error-codes.ts'
import { ApacheKafka, kafkaToolAt, testWithApacheKafka } from '../support/apache-kafka.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import type { Gateway } from '../support/gateway.ts'
import { NumberedLoad, uniqueName } from '../support/numbered-load.ts'
import { evictOldest } from '../support/retained-topic.ts'
import { startTool } from '../support/tools.ts'
import { TransactionalCommands } from '../support/transactional-commands.ts'
import { describeUplink, patienceMs, presentCentral, startGateway } from '../support/uplink-contract.ts'
import { untilDrained } from '../support/uplink-status.ts'

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

describe('reads below the local log start', { timeout: 3 * patienceMs }, () => {
  testWithApacheKafka(
    'come from the topic upstream, whoever else writes there and whatever the link does',
    async () => {
      const { cluster: central, link } = presentCentral()
      const topic = uniqueName('remote')
      const settings = { 'num.partitions': '1', 'uplink.headers': 'full', 'uplink.batch.size': '4KiB' }
      const gateway = await startGateway({ ...settings, 'remote.read': 'true' })
      const other = await startGateway({ ...settings, 'gateway.id': 'other' })
      try {
        const [load, foreign] = [new NumberedLoad(topic, 60), new NumberedLoad(topic)]
        for (const trouble of [
          () => link.cutAfter('up', 3_000),
          () => link.halfOpen(),
          () => link.cutAfter('down', 150),
        ]) {
          await load.store(gateway, 1_000)
          await foreign.store(other, 500)
          await trouble()
          await load.store(gateway, 1_000)
          link.restore()
        }
        await untilDrained(gateway)
        await untilDrained(other)
        await evictOldest(gateway, topic)
        const at = gateway.addresses.kafka
        const wanted = Array.from({ length: load.stored }, (_, number) => `${number} ${String(number).padEnd(60, '.')}`)
        const kcat = startTool('kcat', [
          '-b',
          at,
          '-C',
          '-t',
          topic,
          '-o',
          'beginning',
          '-u',
          '-f',
          '%o %s\n',
          '-c',
          `${load.stored}`,
        ])
        await expect.poll(() => kcat.lines().length, { timeout: patienceMs, interval: 5 }).toBeGreaterThan(100)
        link.refuse()
        await sleep(500)
        link.restore()
        await expect.poll(() => kcat.lines().length, { timeout: patienceMs }).toBe(load.stored)
        await kcat.stop()
        expect(kcat.lines()).toEqual(wanted)
        const java = await kafkaToolAt(
          at,
          'org.apache.kafka.tools.consumer.ConsoleConsumer',
          ...[
            '--topic',
            topic,
            '--from-beginning',
            '--max-messages',
            `${load.stored}`,
            '--formatter-property',
            'print.offset=true',
          ],
        )
        expect(java.split('\n')).toEqual(wanted.map(line => `Offset:${line.replace(' ', '\t')}`))
        // upstream goes what is older than this; the first that is left there is where the topic begins
        const earliest = async () => {
          const cluster = openCentral(at)
          try {
            return await offsetFor(cluster, { topic, partition: 0 }, earliestOffset)
          } finally {
            cluster.close()
          }
        }
        expect(await earliest()).toBe(0)
        const ownOffset = ({ headers }: FetchedRecord): number =>
          headers.some(({ key, value }) => key === 'gateway' && String(value) !== 'other')
            ? Number(headers.find(({ key }) => key === 'gateway.offset')!.value)
            : -1
        const [all] = (await (await CommittedRecords.of(central, topic)).readOn()).partitions
        const cutAt = all!.find(record => ownOffset(record) === 1_000)!.offset
        const leader = await central.leader(topic, 0)
        const partitions = [{ partitionIndex: 0, offset: cutAt + 1 }]
        const cut = await leader.request(deleteRecords, { topics: [{ name: topic, partitions }], timeoutMs: 5_000 })
        expect(cut.topics[0]!.partitions[0]!.errorCode).toBe(errorCodes.NONE)
        const first = all!
          .filter(({ offset }) => offset > cutAt)
          .map(ownOffset)
          .find(offset => offset >= 0)!
        expect(first).toBe(1_001)
        await expect.poll(earliest, { timeout: patienceMs }).toBe(first)
      } finally {
        await gateway.dispose()
        await other.dispose()
      }
    },
  )
})

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

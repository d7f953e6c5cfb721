import { describe, expect } from 'vitest'
import type { UplinkSummary } from '../../src/broker/uplink-summary.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { fetchBatches } from '../../src/client/fetch-batches.ts'
import { latestOffset, offsetFor } from '../../src/client/partition-offsets.ts'
import { deleteRecords } from '../../src/wire/kafka/contracts/delete-records.ts'
import { errorCodes } from '../../src/wire/kafka/error-codes.ts'
import { producerEpochOf } from '../../src/wire/kafka/record-batch.ts'
import { ApacheKafka, testWithApacheKafka } from '../support/apache-kafka.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'
import { type Acl, addAcls, removeAcls } from '../support/kafka-acls.ts'
import { localValues, NumberedLoad, uniqueName, valuesOf } from '../support/numbered-load.ts'
import { shareSetup } from '../support/shared-setup.ts'
import { uplinkOf } from '../support/uplink-status.ts'

// what rights the central cluster gives decides how records go up, and rights come and go while the gateway runs

const patienceMs = 60_000
const user = { name: 'alice', password: 'wonderland' }

let kafka: ApacheKafka
let link: FaultProxy
let central: Cluster

const setUp = async (): Promise<void> => {
  link = await FaultProxy.start(0)
  kafka = await ApacheKafka.start({
    listeners: { LINK: { protocol: 'SASL_PLAINTEXT', advertised: [link.address] } },
    users: [user],
    settings: {
      'auto.create.topics.enable': 'false',
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'allow.everyone.if.no.acl.found': 'true',
      // the test itself
      'super.users': 'User:ANONYMOUS',
    },
  })
  link.targetPort = Number(kafka.bootstrapOf('LINK').split(':')[1])
  central = openCentral(kafka.bootstrap)
}

shareSetup(setUp, async () => {
  central?.close()
  await kafka?.close()
  await link?.close()
})

const startGateway = (topic: string, settings: Readonly<Record<string, string>> = {}): Promise<Gateway> =>
  Gateway.start({
    settings: {
      'uplink.bootstrap.servers': link.address,
      'uplink.security.protocol': 'SASL_PLAINTEXT',
      'uplink.sasl.mechanism': 'PLAIN',
      'uplink.sasl.username': user.name,
      'uplink.sasl.password': user.password,
      'uplink.topics': topic,
      'uplink.retry.backoff.ms': '50',
      'uplink.retry.backoff.max.ms': '500',
      'uplink.request.timeout.ms': '2s',
      'uplink.transaction.timeout.ms': '6s',
      'num.partitions': '1',
      ...settings,
    },
  })

/** Ends the session; the next one begins at once. */
const renew = async ({ addresses: { http } }: Gateway): Promise<void> => {
  for (const what of ['pause', 'resume']) await runBrooklet(['uplink', what, '--http', http])
}

/** The right to transactions of this gateway alone. */
const transactionsOf = async ({ httpUrl }: Gateway): Promise<Acl> => {
  const { logId } = (await (await fetch(`${httpUrl}/api/v1/gateway`)).json()) as { logId: string }
  return { resource: 'transactionalId', name: logId, operation: 'all', permission: 'denied' }
}

/** May be written, and not read. */
const writeOnly = (name: string): readonly Acl[] => [
  { resource: 'topic', name, operation: 'all', permission: 'allowed' },
  { resource: 'topic', name, operation: 'read', permission: 'denied' },
]

const seen = async (topic: string): Promise<string[][]> =>
  valuesOf(await (await CommittedRecords.of(central, topic)).readOn())

const arrived = (topic: string, count: number) =>
  expect.poll(async () => (await seen(topic).catch(() => [])).flat().length, { timeout: patienceMs }).toBe(count)

const delivers = (gateway: Gateway, kind: UplinkSummary['delivery']) =>
  expect.poll(async () => (await uplinkOf(gateway)).delivery, { timeout: patienceMs }).toBe(kind)

describe('the uplink and its rights', { timeout: 3 * patienceMs }, () => {
  testWithApacheKafka('goes on once and in order when the right to transactions is taken, and given back', async () => {
    const topic = uniqueName('rights')
    const gateway = await startGateway(topic)
    const load = new NumberedLoad(topic)
    try {
      const right = await transactionsOf(gateway)
      const changes: readonly [() => Promise<void>, UplinkSummary['delivery']][] = [
        [async () => undefined, 'transactions'],
        [() => addAcls(central, [right]), 'read-back'],
        [() => removeAcls(central, right), 'transactions'],
        [() => addAcls(central, [right]), 'read-back'],
      ]
      for (const [change, kind] of changes) {
        await load.store(gateway, 100)
        await change()
        link.cutAfter('down', 150)
        await load.store(gateway, 100)
        link.restore()
        // a session that has what it needs looks at its rights every ten minutes
        if (kind === 'transactions') await renew(gateway)
        await load.store(gateway, 50)
        await delivers(gateway, kind)
        await arrived(topic, load.stored)
      }
      const { stdout } = await runBrooklet(['uplink', 'status', '--http', gateway.addresses.http])
      expect(stdout).toMatch(
        /^exactly once by reading back, without transactions: .*TRANSACTIONAL_ID_AUTHORIZATION_FAILED.*allow WRITE on/m,
      )
      await load.store(gateway, 100)
      link.cutAfter('up', 700)
      await load.store(gateway, 100)
      await gateway.kill()
      link.restore()
      await gateway.restart()
      await load.store(gateway, 100)
      await arrived(topic, load.stored)
      expect(await seen(topic)).toEqual(await localValues(gateway, topic))
    } finally {
      await gateway.dispose()
    }
  })

  testWithApacheKafka(
    'without READ it is at-least-once, and says what to allow; who demands exactly once waits',
    async () => {
      const topic = uniqueName('unread')
      const gateway = await startGateway(topic)
      const load = new NumberedLoad(topic)
      try {
        await addAcls(central, [await transactionsOf(gateway), ...writeOnly(topic)])
        await load.store(gateway, 100)
        await arrived(topic, load.stored)
        await delivers(gateway, 'at-least-once')
        expect((await uplinkOf(gateway)).deliveryReason).toContain(`allow READ on topic ${topic}`)

        await gateway.stop()
        await gateway.restart({ settings: { 'uplink.exactly.once': 'required' } })
        await load.store(gateway, 50)
        const trouble = async () => (await uplinkOf(gateway)).partitions[0]?.error
        await expect.poll(trouble, { timeout: patienceMs }).toContain(`allow READ on topic ${topic}`)
        expect((await seen(topic)).flat()).toHaveLength(100)

        await removeAcls(central, { resource: 'topic', name: topic })
        await gateway.kill()
        await gateway.restart()
        await arrived(topic, load.stored)
        await delivers(gateway, 'read-back')
        expect(await seen(topic)).toEqual(await localValues(gateway, topic))
      } finally {
        await gateway.dispose()
      }
    },
  )

  testWithApacheKafka(
    'where its records are gone before they are read back it begins a new epoch, and says so',
    async () => {
      const topic = uniqueName('tail')
      const gateway = await startGateway(topic)
      const load = new NumberedLoad(topic)
      try {
        await addAcls(central, [await transactionsOf(gateway)])
        await load.store(gateway, 100)
        await arrived(topic, load.stored)
        await gateway.kill()
        const source = { topic, partition: 0 }
        const end = (await offsetFor(central, source, latestOffset))!
        const partitions = [{ partitionIndex: 0, offset: end }]
        const answer = await (await central.leader(topic, 0)).request(deleteRecords, {
          topics: [{ name: topic, partitions }],
          timeoutMs: 5_000,
        })
        expect(answer.topics[0]!.partitions[0]!.errorCode).toBe(errorCodes.NONE)
        await gateway.restart()
        await load.store(gateway, 100)
        await arrived(topic, 100)
        expect((await seen(topic))[0]).toEqual((await localValues(gateway, topic))[0]!.slice(100))
        expect(gateway.stderr).toContain('what was to be read back is gone')
        const metrics = await (await fetch(`${gateway.httpUrl}/metrics`)).text()
        expect(metrics).toMatch(/^brooklet_uplink_tails_lost_total 1$/m)
        const { batches } = await fetchBatches(central, source, end, { maxBytes: 1 << 20, maxWaitMs: 0 })
        expect(new Set(batches.map(batch => producerEpochOf(batch)))).toEqual(new Set([1]))
      } finally {
        await gateway.dispose()
      }
    },
  )
})

import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { AuditReport } from '../../src/broker/audit-report.ts'
import type { Cluster } from '../../src/client/cluster.ts'
import { committedOffsets, deleteGroup, resetOffsets } from '../../src/client/group-admin.ts'
import { earliestOffset, offsetFor } from '../../src/client/partition-offsets.ts'
import { Producer } from '../../src/client/producer.ts'
import { createTopic, deleteTopic } from '../../src/client/topic-admin.ts'
import { deleteRecords } from '../../src/wire/kafka/contracts/delete-records.ts'
import { errorCodes } from '../../src/wire/kafka/error-codes.ts'
import { CommittedRecords, openCentral } from './central-records.ts'
import type { FaultProxy } from './fault-proxy.ts'
import { Gateway, runBrooklet } from './gateway.ts'
import { localValues, NumberedLoad, valuesOf } from './numbered-load.ts'
import { shareSetup } from './shared-setup.ts'
import { untilDrained } from './uplink-status.ts'

// what every central cluster is to give, with transactions or without: readers of committed records see each record once and in order

export const patienceMs = 60_000

/** A cluster that gateways send to over a link with faults. */
export interface CentralUnderTest {
  readonly link: FaultProxy
  /** Past the link. */
  readonly bootstrap: string
  /** Kill -9, and a start on the same data. */
  restart(): Promise<void>
  close(): Promise<void>
}

type Central = CentralUnderTest & {
  /** For what the tests do themselves. */
  readonly cluster: Cluster
}

let central: Central

/** The cluster of the present test. */
export const presentCentral = (): Central => central

/** A gateway that sends there, with short pauses. */
export const startGateway = (settings: Readonly<Record<string, string>> = {}): Promise<Gateway> =>
  Gateway.start({
    settings: {
      'uplink.bootstrap.servers': central.link.address,
      'uplink.retry.backoff.ms': '50',
      'uplink.retry.backoff.max.ms': '500',
      'uplink.request.timeout.ms': '2s',
      'uplink.transaction.timeout.ms': '6s',
      ...settings,
    },
  })

/** Waits until so many records can be read upstream; more of them show as a difference. */
const arrived = async (topic: string, count: number): Promise<CommittedRecords> => {
  const endMs = Date.now() + patienceMs
  for (;;) {
    try {
      const records = await (await CommittedRecords.of(central.cluster, topic)).readOn()
      if (records.count >= count || Date.now() > endMs) return records
    } catch (error) {
      if (Date.now() > endMs) throw error
    }
    await sleep(200)
  }
}

interface Audit {
  readonly code: number | null
  readonly report: AuditReport
}

const auditOf = async (gateway: Gateway): Promise<Audit> => {
  const { code, stdout } = await runBrooklet(['audit', '--json', '--http', gateway.addresses.http], {
    timeoutMs: patienceMs,
  })
  return { code, report: JSON.parse(stdout) as AuditReport }
}

const unexplainedOf = ({ report }: Audit, topic: string): string[] =>
  report.partitions.filter(row => row.topic === topic).flatMap(({ unexplained }) => unexplained)

/** Where most of a topic's records are upstream. */
const spanOf = ({ report }: Audit, topic: string) =>
  report.partitions
    .filter(row => row.topic === topic)
    .flatMap(({ uplink }) => uplink!.central)
    .toSorted((a, b) => b.records - a.records)[0]!

const keyless = (value: Buffer) => ({ timestampMs: Date.now(), key: null, value })

/** The cases; one cluster, started once, does for all of the file. */
export const describeUplink = (
  start: () => Promise<CentralUnderTest>,
  test: (name: string, body: () => Promise<void>) => void,
): void => {
  const setUp = async (): Promise<void> => {
    const started = await start()
    central = Object.assign(started, { cluster: openCentral(started.bootstrap) })
  }
  shareSetup(setUp, async () => {
    central?.cluster.close()
    await central?.close()
  })

  describe('the uplink', { timeout: 3 * patienceMs }, () => {
    test('brings every record up once, whatever is killed or cut', async () => {
      const gateway = await startGateway()
      try {
        const load = new NumberedLoad('once')
        const troubles: (() => Promise<void>)[] = [
          async () => central.link.reset(),
          async () => central.link.cutAfter('up', 3_000),
          async () => {
            await gateway.kill()
            await gateway.restart()
          },
          async () => central.link.cutAfter('down', 150),
          async () => central.link.halfOpen(),
          async () => {
            await central.restart()
          },
          async () => {
            central.link.blackHole()
            await sleep(2_500)
            central.link.restore()
          },
          async () => {
            await gateway.stop()
            await gateway.restart()
          },
        ]
        for (const trouble of troubles) {
          await load.store(gateway, 300)
          await trouble()
          central.link.restore()
          await load.store(gateway, 100)
          // the next one finds positions to lose
          await arrived('once', load.stored)
        }
        const upstream = await arrived('once', load.stored)
        expect(valuesOf(upstream)).toEqual(await localValues(gateway, 'once'))
        expect(upstream.count).toBe(load.stored)
        expect(upstream.partitions.flat().every(({ headers }) => headers.some(({ key }) => key === 'gateway'))).toBe(
          true,
        )
      } finally {
        await gateway.dispose()
      }
    })

    test('partitions by key where the counts differ, renames, and leaves out what is excluded', async () => {
      await createTopic(central.cluster, {
        name: 'edge.keyed',
        partitions: 3,
        replicationFactor: 1,
        configs: new Map(),
      })
      const gateway = await startGateway({
        'uplink.topics': 'keyed,other*',
        'uplink.topics.exclude': 'other.not',
        'uplink.rename': 'edge.{topic}',
        'uplink.headers': 'none',
      })
      try {
        const load = new NumberedLoad('keyed')
        await new NumberedLoad('other.not').store(gateway, 50)
        await new NumberedLoad('not.named').store(gateway, 50)
        await load.store(gateway, 700)
        const { partitions } = await arrived('edge.keyed', load.stored)
        expect(partitions.flat()).toHaveLength(load.stored)
        for (const records of partitions) {
          for (const key of new Set(records.map(record => String(record.key)))) {
            const own = records.filter(record => String(record.key) === key)
            const numbers = own.map(({ value }) => Number(value))
            expect(numbers).toEqual(numbers.toSorted((one, other) => one - other))
          }
        }
        const names = (await central.cluster.describe(null)).map(({ name }) => name)
        expect(names).not.toContain('edge.other.not')
        expect(names).not.toContain('edge.not.named')
      } finally {
        await gateway.dispose()
      }
    })

    test('the first round of a topic that it makes is not aborted', async () => {
      const gateway = await startGateway({ 'uplink.request.timeout.ms': '30s', 'uplink.transaction.timeout.ms': '30s' })
      try {
        for (let number = 0; number < 8; number++) {
          const topic = `fresh-${number}`
          await new NumberedLoad(topic).store(gateway, 50)
          const { partitions } = await arrived(topic, 50)
          const firsts = partitions.flatMap(records => records.slice(0, 1).map(({ offset }) => offset))
          expect(firsts, topic).toEqual(firsts.map(() => 0))
        }
        expect(gateway.stderr).not.toContain('NOT_LEADER_OR_FOLLOWER')
      } finally {
        await gateway.dispose()
      }
    })

    test('a record that the cluster refuses stops its partition, and nothing else', async () => {
      const small = new Map([['max.message.bytes', '20000']])
      await createTopic(central.cluster, { name: 'narrow', partitions: 4, replicationFactor: 1, configs: small })
      const gateway = await startGateway({ 'uplink.batch.size': '64KiB', 'uplink.compression.type': 'none' })
      const cluster = openCentral(gateway.addresses.kafka)
      try {
        const producer = new Producer(cluster, { compression: 'none', timeoutMs: 5_000, deliveryTimeoutMs: 10_000 })
        const record = (value: Buffer) => ({ timestampMs: Date.now(), key: null, value })
        await producer.send('narrow', [record(Buffer.alloc(50_000, 1))], 0)
        await producer.send('narrow', [record(Buffer.from('behind it'))], 0)
        await producer.send('narrow', [record(Buffer.from('beside it'))], 1)
        await new NumberedLoad('free').store(gateway, 100)
        await arrived('free', 100)
        // 64 KiB that are too large only together
        await producer.send(
          'narrow',
          Array.from({ length: 64 }, () => record(Buffer.alloc(1024, 2))),
          2,
        )
        expect(valuesOf(await arrived('narrow', 65)).map(({ length }) => length)).toEqual([0, 1, 64, 0])
        const narrow = await arrived('narrow', 1)
        expect(valuesOf(narrow).slice(0, 2)).toEqual([[], ['beside it']])
        await expect.poll(() => gateway.stderr).toContain('produce to partition 0 of narrow: MESSAGE_TOO_LARGE')
      } finally {
        cluster.close()
        await gateway.dispose()
      }
    })

    test('what a group has committed is carried to the central cluster and back', async () => {
      await createTopic(central.cluster, {
        name: 'edge.spread',
        partitions: 3,
        replicationFactor: 1,
        configs: new Map(),
      })
      const gateway = await startGateway({ 'uplink.rename': 'edge.{topic}', 'uplink.topics': 'moved,spread' })
      const local = () => openCentral(gateway.addresses.kafka)
      let cluster = local()
      const translate = (to: string, ...flags: string[]) => {
        const { kafka: bootstrap, http } = gateway.addresses
        return runBrooklet([
          'groups',
          'translate',
          'app',
          '--to',
          to,
          '--bootstrap',
          bootstrap,
          '--http',
          http,
          ...flags,
        ])
      }
      try {
        for (const topic of ['moved', 'spread']) {
          const load = new NumberedLoad(topic)
          for (const count of [100, 50, 150]) {
            await load.store(gateway, count)
            await arrived(`edge.${topic}`, load.stored)
          }
        }
        await untilDrained(gateway)
        const [moved, spread] = [await localValues(gateway, 'moved'), await localValues(gateway, 'spread')]
        const halfOf = (topic: string, values: readonly string[][]) =>
          values.map(({ length }, partition) => ({ topic, partition, offset: Math.floor(length / 2) }))
        const committed = [...halfOf('moved', moved), ...halfOf('spread', spread)]
        await resetOffsets(cluster, 'app', committed)
        // the map outlives the gateway
        cluster.close()
        await gateway.stop()
        await gateway.restart()
        cluster = local()
        expect((await translate('central', '--dry-run')).code).toBe(0)
        expect(await committedOffsets(central.cluster, 'app')).toEqual([])
        const there = await translate('central', '--central', central.bootstrap)
        expect([there.code, there.stderr]).toEqual([0, ''])
        const unread = async (topic: string) => {
          const offsets = await committedOffsets(central.cluster, 'app')
          const { partitions } = await (await CommittedRecords.of(central.cluster, `edge.${topic}`)).readOn()
          return partitions.map((records, partition) => {
            const from = offsets.find(one => one.topic === `edge.${topic}` && one.partition === partition)?.offset ?? 0
            return records.filter(({ offset }) => offset >= from).map(({ value }) => String(value))
          })
        }
        expect(await unread('moved')).toEqual(moved.map(values => values.slice(Math.floor(values.length / 2))))
        const again = (await unread('spread')).flat()
        const due = spread.flatMap(values => values.slice(Math.floor(values.length / 2)))
        expect(due.filter(value => !again.includes(value))).toEqual([])
        expect(again.length).toBeLessThan(300)
        // and back
        await deleteGroup(cluster, 'app')
        const back = await translate('local', '--central', central.bootstrap)
        expect(back.code).toBe(0)
        const returned = await committedOffsets(cluster, 'app')
        const used = halfOf('moved', moved).filter(({ offset }) => offset > 0)
        expect(returned.filter(({ topic }) => topic === 'moved')).toEqual(used)
        for (const { topic, partition, offset } of returned)
          expect(offset).toBeLessThanOrEqual(
            committed.find(one => one.topic === topic && one.partition === partition)!.offset,
          )
      } finally {
        cluster.close()
        await gateway.dispose()
      }
    })

    test('with min.insync.replicas=2 what is acknowledged is there, and a cut link is an error', async () => {
      const gateway = await startGateway({ 'replica.lag.time.max.ms': '1s', 'uplink.linger.ms': '1m' })
      const cluster = openCentral(gateway.addresses.kafka)
      try {
        const configs = new Map([['min.insync.replicas', '2']])
        await createTopic(cluster, { name: 'both', partitions: 1, replicationFactor: 1, configs })
        const send = (value: string, deliveryTimeoutMs: number) =>
          new Producer(cluster, { compression: 'none', timeoutMs: 5_000, deliveryTimeoutMs }).send('both', [
            { timestampMs: Date.now(), key: null, value: Buffer.from(value) },
          ])
        await send('one', 30_000)
        const upstream = await CommittedRecords.of(central.cluster, 'both')
        // the end of the transaction is acknowledged before readers of committed records are let past it
        await expect.poll(async () => valuesOf(await upstream.readOn())).toEqual([['one']])
        central.link.refuse()
        await expect(send('two', 3_000)).rejects.toMatchObject({ name: 'KafkaError', retriable: true })
        await expect(send('three', 0)).rejects.toMatchObject({ code: errorCodes.NOT_ENOUGH_REPLICAS })
        central.link.restore()
        await send('four', 30_000)
        // the second was refused after its append, or before it
        const stored = await localValues(gateway, 'both')
        expect(stored[0]!.filter(value => value !== 'two')).toEqual(['one', 'four'])
        await expect.poll(async () => valuesOf(await upstream.readOn())).toEqual(stored)
      } finally {
        central.link.restore()
        cluster.close()
        await gateway.dispose()
      }
    })
  })

  describe('the audit', { timeout: 2 * patienceMs }, () => {
    test('agrees with a cluster that has everything, and finds what is missing there', async () => {
      const gateway = await startGateway({ 'uplink.topics': 'whole,cut,remade' })
      try {
        for (const topic of ['whole', 'cut', 'remade']) await new NumberedLoad(topic).store(gateway, 100)
        for (const topic of ['whole', 'cut', 'remade']) await arrived(topic, 100)
        await untilDrained(gateway)
        const healthy = await runBrooklet(['audit', '--http', gateway.addresses.http], { timeoutMs: patienceMs })
        expect([healthy.code, healthy.stderr]).toEqual([0, ''])
        expect(healthy.stdout).toContain('explained: of 300 records 300 were sent up, 0 wait; the central cluster at')
        const deep = await runBrooklet(['audit', '--deep', '--http', gateway.addresses.http], { timeoutMs: patienceMs })
        expect([deep.code, deep.stderr]).toEqual([0, ''])
        expect(deep.stdout).toContain('; the central cluster at')

        // the first attempt at a new topic may have been aborted: what was acknowledged begins behind it
        const { first, partition } = spanOf(await auditOf(gateway), 'cut')
        const leader = await central.cluster.leader('cut', partition)
        const partitions = [{ partitionIndex: partition, offset: first + 5 }]
        const cut = await leader.request(deleteRecords, { topics: [{ name: 'cut', partitions }], timeoutMs: 5_000 })
        expect(cut.topics[0]!.partitions[0]!.errorCode).toBe(errorCodes.NONE)
        await deleteTopic(central.cluster, 'remade')
        const isThere = async () => (await central.cluster.describe(null)).some(({ name }) => name === 'remade')
        await expect.poll(isThere).toBe(false)
        const missing = await auditOf(gateway)
        expect([missing.code, missing.report.verdict]).toEqual([1, 'unexplained'])
        expect(unexplainedOf(missing, 'whole')).toEqual([])
        expect(unexplainedOf(missing, 'cut')).toEqual([
          expect.stringMatching(
            new RegExp(
              `^partition ${partition} of cut begins at ${first + 5} upstream: up to 5 of \\d+ records have left it, and not by`,
            ),
          ),
        ])
        expect(unexplainedOf(missing, 'remade')).toContainEqual(expect.stringMatching(/^topic remade is not there/))

        await createTopic(central.cluster, { name: 'remade', partitions: 4, replicationFactor: 1, configs: new Map() })
        await expect.poll(isThere).toBe(true)
        expect(unexplainedOf(await auditOf(gateway), 'remade')).toContainEqual(
          expect.stringMatching(
            /^topic remade was deleted upstream and made again: \d+ records went to the one before/,
          ),
        )
        // more than before: the offsets alone would not tell
        await new NumberedLoad('remade').store(gateway, 400)
        await arrived('remade', 400)
        await untilDrained(gateway)
        const later = await runBrooklet(['audit', '--http', gateway.addresses.http], { timeoutMs: patienceMs })
        expect(later.code).toBe(1)
        expect(later.stdout).toMatch(
          /UNEXPLAINED: remade\/\d: \d+ records went to an earlier target that is gone upstream/,
        )

        const acknowledge = (...args: string[]) =>
          runBrooklet(['audit', 'acknowledge', ...args, '--http', gateway.addresses.http], { timeoutMs: patienceMs })
        const asked = await acknowledge('remade')
        expect([asked.code, asked.stderr]).toEqual([1, expect.stringContaining('say --yes')])
        for (const topic of ['remade', 'cut']) expect((await acknowledge(topic, '--yes', '--by', 'anna')).code).toBe(0)
        await gateway.kill()
        await gateway.restart()
        const known = await runBrooklet(['audit', '--http', gateway.addresses.http], { timeoutMs: patienceMs })
        expect(known.stdout).toMatch(/acknowledged: remade\/\d: \d+ records went to an earlier target .* \(anna, \d+/)
        expect(known.stdout).toMatch(/agrees, but for \d+ losses that somebody acknowledged/)
        expect(known.code).toBe(0)
      } finally {
        await gateway.dispose()
      }
    })

    test('names what was evicted before it was sent, and is content with it', async () => {
      const gateway = await startGateway({ 'disk.budget': '64MiB', 'num.partitions': '1' })
      const local = openCentral(gateway.addresses.kafka)
      const uplink = (name: string) => runBrooklet(['uplink', name, '--http', gateway.addresses.http])
      try {
        await uplink('pause')
        const producer = new Producer(local, { compression: 'none', timeoutMs: 5_000, deliveryTimeoutMs: 20_000 })
        let stored = 0
        for (let gone = 0; gone === 0; ) {
          for (let left = 20; left > 0; left--, stored++)
            await producer.send('bulky', [keyless(Buffer.alloc(200_000, 1))], 0)
          gone = (await offsetFor(local, { topic: 'bulky', partition: 0 }, earliestOffset)) ?? 0
        }
        await uplink('resume')
        await untilDrained(gateway)
        const { code, report } = await auditOf(gateway)
        expect([code, report.verdict]).toEqual([0, 'explained'])
        const { received, uplink: up } = report.partitions.find(({ topic }) => topic === 'bulky')!
        const gone = up!.notSent.budget ?? 0
        expect(gone).toBeGreaterThan(0)
        expect(received).toBe(stored)
        expect(up).toMatchObject({
          sent: stored - gone,
          acknowledged: stored - gone,
          waiting: 0,
          notSent: { budget: gone },
        })
        expect((await arrived('bulky', stored - gone)).count).toBe(stored - gone)
        const { stdout } = await runBrooklet(['audit', '--http', gateway.addresses.http])
        expect(stdout).toMatch(new RegExp(`^bulky .* ${gone} budget `, 'm'))
        expect(stdout).toMatch(new RegExp(`^bulky +0 +0 +${gone - 1} +${gone} +budget`, 'm'))
      } finally {
        local.close()
        await gateway.dispose()
      }
    })
  })
}

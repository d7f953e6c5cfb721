import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import type { Cluster } from '../../src/client/cluster.ts'
import { Producer } from '../../src/client/producer.ts'
import { ApacheKafka, testWithApacheKafka } from '../support/apache-kafka.ts'
import { CommittedRecords, openCentral } from '../support/central-records.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'
import { shareSetup } from '../support/shared-setup.ts'
import { untilDrained as drained, uplinkOf } from '../support/uplink-status.ts'

// logs that were made of one log, by backup or by copying the card, send to one cluster: no record of their common history twice, and all of each one's own

const patienceMs = 60_000
const topic = 'history'

let kafka: ApacheKafka
let central: Cluster
let scratch: string
let target: string
const gateways: Gateway[] = []
let attempts = 0

const setUp = async (): Promise<void> => {
  kafka = await ApacheKafka.start({ settings: { 'auto.create.topics.enable': 'false' } })
  central = openCentral(kafka.bootstrap)
}
shareSetup(setUp, async () => {
  central?.close()
  await kafka?.close()
})
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'brooklet-copies-'))
  target = `${topic}.${attempts++}`
})
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.dispose()
  await rm(scratch, { recursive: true, force: true })
})

const start = async (name: string): Promise<Gateway> => {
  const settings = {
    'gateway.id': name,
    'uplink.bootstrap.servers': kafka.bootstrap,
    'uplink.rename': target.replace(topic, '{topic}'),
    'uplink.retry.backoff.ms': '50',
    'uplink.retry.backoff.max.ms': '500',
  }
  const gateway = await Gateway.start({ dataDirectory: join(scratch, name), settings })
  gateways.push(gateway)
  return gateway
}

/** Records `NAME-0` and on, over the partitions. */
const store = async (gateway: Gateway, name: string, count: number): Promise<void> => {
  const cluster = openCentral(gateway.addresses.kafka)
  try {
    const producer = new Producer(cluster, { compression: 'none', timeoutMs: 5_000, deliveryTimeoutMs: 10_000 })
    const records = Array.from({ length: count }, (_, index) => ({
      timestampMs: Date.now(),
      key: Buffer.from(`k${index % 7}`),
      value: Buffer.from(`${name}-${index}`),
    }))
    await producer.send(topic, records)
  } finally {
    cluster.close()
  }
}

const brooklet = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await runBrooklet(args, { timeoutMs: patienceMs })
  expect([code, stderr]).toEqual([0, ''])
  return stdout
}

const uplink = async (gateway: Gateway, command: 'pause' | 'resume'): Promise<void> => {
  const post = { method: 'POST', headers: { 'content-type': 'application/json' } }
  expect((await fetch(`${gateway.httpUrl}/api/v1/uplink/${command}`, post)).status).toBe(200)
}

/** How often each record stands upstream, by its name, and how many there are of each. */
const upstream = async (): Promise<Record<string, number>> => {
  const { partitions } = await (await CommittedRecords.of(central, target)).readOn()
  const values = partitions.flat().map(({ value }) => String(value))
  expect(values.filter((value, index) => values.indexOf(value) !== index)).toEqual([])
  const counts: Record<string, number> = {}
  for (const value of values) counts[value.split('-')[0]!] = (counts[value.split('-')[0]!] ?? 0) + 1
  return counts
}

const http = (gateway: Gateway): string[] => ['--http', gateway.addresses.http]

describe('logs made of one log', { timeout: 2 * patienceMs }, () => {
  testWithApacheKafka('a restored log sends what its parent has not sent, and nothing that it has', async () => {
    const parent = await start('parent')
    await store(parent, 'early', 200)
    await drained(parent)
    await uplink(parent, 'pause')
    await store(parent, 'waiting', 60)
    await brooklet('backup', join(scratch, 'backup'), '--data-dir', parent.dataDirectory)
    // it lives on: what waits in the backup goes up, and there is more
    await store(parent, 'late', 80)
    await uplink(parent, 'resume')
    await drained(parent)
    await parent.kill()
    await brooklet('restore', join(scratch, 'backup'), '--data-dir', join(scratch, 'child'))
    const child = await start('child')
    await store(child, 'own', 70)
    // it was paused when the backup was made
    await uplink(child, 'resume')
    await drained(child)
    await expect.poll(upstream).toEqual({ early: 200, waiting: 60, late: 80, own: 70 })
    expect(await brooklet('audit', ...http(child))).toMatch(/260 were not sent, for the reasons above; .* agrees/)

    // its own child takes over from both
    await uplink(child, 'pause')
    await store(child, 'second', 50)
    await brooklet('backup', join(scratch, 'backup-2'), '--data-dir', child.dataDirectory)
    await child.kill()
    await brooklet('restore', join(scratch, 'backup-2'), '--data-dir', join(scratch, 'grandchild'))
    const grandchild = await start('grandchild')
    await uplink(grandchild, 'resume')
    await drained(grandchild)
    await grandchild.stop()
    await grandchild.restart()
    await store(grandchild, 'third', 40)
    await drained(grandchild)
    await expect.poll(upstream).toEqual({ early: 200, waiting: 60, late: 80, own: 70, second: 50, third: 40 })
  })

  testWithApacheKafka(
    'of a log and its clone one is fenced, asks for nothing more, and goes on as a fork',
    async () => {
      const original = await start('original')
      await store(original, 'common', 200)
      await drained(original)
      await uplink(original, 'pause')
      await store(original, 'waiting', 60)
      await original.stop()
      await cp(original.dataDirectory, join(scratch, 'clone'), { recursive: true })
      await original.restart()
      await store(original, 'first', 60)
      await uplink(original, 'resume')
      await drained(original)
      const clone = await start('clone')
      await store(clone, 'second', 50)
      await uplink(clone, 'resume')
      await expect.poll(async () => (await uplinkOf(clone)).state).toBe('fenced')
      const { error, retryInMs } = await uplinkOf(clone)
      expect(error).toContain('brooklet uplink fork gives this log a name of its own')
      expect(retryInMs).toBeNull()
      const refused = await runBrooklet(['uplink', 'fork', clone.dataDirectory, '--yes'])
      expect([refused.code, refused.stderr]).toEqual([65, expect.stringContaining('is in use: stop the gateway first')])
      await store(original, 'third', 40)
      await drained(original)
      await expect.poll(upstream).toEqual({ common: 200, waiting: 60, first: 60, third: 40 })

      await clone.stop()
      expect(await brooklet('uplink', 'fork', clone.dataDirectory, '--yes')).toMatch(
        /^log [0-9a-f]{32} is log [0-9a-f]{32} now/m,
      )
      await clone.restart()
      await drained(clone)
      await store(clone, 'fourth', 30)
      await store(original, 'fifth', 20)
      await Promise.all([drained(clone), drained(original)])
      await expect.poll(upstream).toEqual({
        common: 200,
        waiting: 60,
        first: 60,
        second: 50,
        third: 40,
        fourth: 30,
        fifth: 20,
      })
    },
  )
})

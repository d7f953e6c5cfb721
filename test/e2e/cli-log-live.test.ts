import { Kafka, logLevel, type Producer } from 'kafkajs'
import { afterEach, expect, it } from 'vitest'
import { Gateway, runBrooklet } from '../support/gateway.ts'

/** The tools for a log directory beside a gateway that fills its small budget over and over: it evicts, compacts, cleans and reuses slots. */

let gateway: Gateway | undefined

afterEach(() => gateway?.dispose())

/** Batches of this many records until told to stop; what is refused while room is made is sent again by the client. */
const load = async (
  producer: Producer,
  { topic, valueBytes, records }: { topic: string; valueBytes: number; records: number },
  isStopped: () => boolean,
): Promise<void> => {
  for (let round = 0; !isStopped(); round++) {
    const messages = Array.from({ length: records }, (_, index) => ({
      key: `key ${(round * 7 + index * 13) % 700}`,
      value: Buffer.alloc(valueBytes, round),
    }))
    await producer.send({ topic, messages })
  }
}

it('verify, inspect and dump raise no false alarm', async () => {
  gateway = await Gateway.start({ settings: { 'disk.budget': '64MiB', 'num.partitions': '2' } })
  const retry = { retries: 60, initialRetryTime: 20, maxRetryTime: 200 }
  const kafka = new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING, retry })
  const admin = kafka.admin()
  await admin.connect()
  const compacted = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' }
  const configEntries = Object.entries(compacted).map(([name, value]) => ({ name, value }))
  await admin.createTopics({ topics: [{ topic: 'devices', configEntries }, { topic: 'readings' }] })
  await admin.disconnect()
  const producer = kafka.producer()
  await producer.connect()
  let stopped = false
  const loads = [
    load(producer, { topic: 'devices', valueBytes: 2_000, records: 40 }, () => stopped),
    load(producer, { topic: 'readings', valueBytes: 60_000, records: 4 }, () => stopped),
    load(producer, { topic: 'readings', valueBytes: 300, records: 30 }, () => stopped),
  ]
  const enough = async (): Promise<boolean> =>
    (await gateway!.metric('storage_evicted_bytes_total')) > 0 && (await gateway!.metric('storage_cleanings_total')) > 1
  try {
    for (let looks = 0; looks < 4 || !(await enough()); looks++) {
      const verify = await runBrooklet(['log', 'verify', gateway.dataDirectory])
      expect([verify.code, verify.stdout.trimEnd().split('\n').at(-1)]).toEqual([0, 'sound'])
      const inspect = await runBrooklet(['log', 'inspect', gateway.dataDirectory])
      expect([inspect.code, inspect.stderr]).toEqual([0, ''])
      const dump = await runBrooklet(['log', 'dump', gateway.dataDirectory])
      expect([dump.code, dump.stderr]).toEqual([0, ''])
    }
  } finally {
    stopped = true
    await Promise.allSettled(loads)
    await producer.disconnect()
  }
  await gateway.stop()
  expect((await runBrooklet(['log', 'verify', gateway.dataDirectory])).code).toBe(0)
})

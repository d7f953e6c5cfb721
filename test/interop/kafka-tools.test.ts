import { afterEach, beforeEach, expect } from 'vitest'
import { callTool, kafkaTools, requireClient } from '../support/foreign-client.ts'
import { Gateway } from '../support/gateway.ts'

/** What operators type: `kafka-topics.sh`, `kafka-console-*.sh`, `kafka-consumer-groups.sh` and the like. */

let gateway: Gateway
let server: string[] = []
beforeEach(async () => {
  gateway = await Gateway.start()
  server = ['--bootstrap-server', gateway.addresses.kafka]
})
afterEach(() => gateway?.dispose())

requireClient(kafkaTools)("Kafka's command line tools work", async () => {
  const topic = ['--topic', 'tools']
  expect(await callTool('TopicCommand', [...server, '--create', ...topic, '--partitions', '3'])).toContain('Created')
  const described = await callTool('TopicCommand', [...server, '--describe', ...topic])
  expect(described).toMatch(/PartitionCount: 3\s+ReplicationFactor: 1/)
  expect(described.match(/Leader: 1\s+Replicas: 1\s+Isr: 1/g)).toHaveLength(3)

  const lines = Array.from({ length: 20 }, (_, index) => `key${index}:value${index}`)
  const keyed = ['--property', 'parse.key=true', '--property', 'key.separator=:']
  await callTool('ConsoleProducer', [...server, ...topic, ...keyed], `${lines.join('\n')}\n`)
  const offsets = await callTool('GetOffsetShell', [...server, ...topic])
  expect(offsets.split('\n').reduce((sum, line) => sum + Number(line.split(':').at(-1)), 0)).toBe(20)

  const wanted = ['--from-beginning', '--max-messages', '20', '--group', 'console']
  const consumed = await callTool('consumer.ConsoleConsumer', [...server, ...topic, ...wanted])
  expect(consumed.split('\n').sort()).toEqual(lines.map(line => line.split(':')[1]).sort())

  const groups = (...words: string[]): Promise<string> =>
    callTool('consumer.group.ConsumerGroupCommand', [...server, ...words])
  expect(await groups('--list')).toBe('console')
  const lag = await groups('--describe', '--group', 'console')
  expect(lag.match(/^console +tools +\d +(\d+) +\1 +0 +-/gm)).toHaveLength(3)
  expect(await groups('--describe', '--all-groups', '--state')).toMatch(/^console .* Empty +0/m)
  await groups('--reset-offsets', '--to-earliest', ...topic, '--group', 'console', '--execute')
  expect((await groups('--describe', '--group', 'console')).match(/^console +tools +\d +0 /gm)).toHaveLength(3)
  expect(await groups('--delete-offsets', ...topic, '--group', 'console')).toContain('Successful')
  expect(await groups('--delete', '--group', 'console')).toContain('was successful')

  const load = ['--num-records', '2000', '--record-size', '100', '--throughput', '-1']
  const properties = ['--producer-props', `bootstrap.servers=${gateway.addresses.kafka}`]
  expect(await callTool('ProducerPerformance', [...topic, ...load, ...properties])).toContain('2000 records sent')

  const directories = await callTool('LogDirsCommand', [...server, '--describe', '--topic-list', 'tools'])
  const { brokers } = JSON.parse(directories.split('\n').at(-1)!)
  expect(brokers).toMatchObject([{ broker: 1, logDirs: [{ error: null }] }])
  const sizes: { partition: string; size: number }[] = brokers[0].logDirs[0].partitions
  expect(sizes.map(({ partition }) => partition).sort()).toEqual(['tools-0', 'tools-1', 'tools-2'])
  expect(sizes.reduce((sum, { size }) => sum + size, 0)).toBeGreaterThan(2000 * 100)

  await callTool('TopicCommand', [...server, '--delete', ...topic])
  expect(await callTool('TopicCommand', [...server, '--list'])).toBe('')
})

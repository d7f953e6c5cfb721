import { expect, it } from 'vitest'
import { type OpenBroker, openBroker } from '../../../src/broker/open-broker.ts'
import { defaultSettings, settingKeys } from '../../../src/config/settings.ts'
import type { Platform } from '../../../src/platform/platform.ts'
import type { Log } from '../../../src/storage/log.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { SimMachine } from '../../support/sim/machine.ts'
import { MiB, silentLogger, TestDirectory } from './test-log.ts'

const settings = { ...defaultSettings, 'num.partitions': 2 }
const loaded = { settings, origins: new Map(settingKeys.map(key => [key, 'default' as const])) }

/** Clock and randomness of brokers in this file: nothing of them is under test. */
const platform: Platform = { ...new SimMachine(1).platform, logger: silentLogger }

const brokerOn = async (directory: TestDirectory, log: Log): Promise<OpenBroker> => {
  const { checkpoints: store, memory, metrics } = directory
  const opened = await openBroker({ platform, loaded, log, store, memory, metrics, frontViews: [] })
  opened.broker.topics.ensure('t')
  await opened.broker.topics.durable()
  return opened
}

const batchFrom = (producerId: number, baseSequence: number, bytes = 10): Buffer =>
  encodeBatch([{ timestampMs: 1, key: null, value: Buffer.alloc(bytes) }], {
    producer: { producerId, producerEpoch: 0, baseSequence },
  })

it.each([
  ['a clean stop', true],
  ['a crash', false],
])('a producer whose batches are segments ago is known after all views were lost, after %s', async (_, isClean) => {
  const directory = new TestDirectory()
  const budgetBytes = 128 * MiB
  const log = await directory.open({ budgetBytes })
  const { broker } = await brokerOn(directory, log)
  const produce = async (partition: number, batch: Buffer): Promise<number> => {
    const { baseOffset, group } = await broker.produce(broker.topics.get('t'), partition, batch, { zstd: true })
    if (group !== undefined) await broker.whenDurable(group)
    return baseOffset
  }
  const old = await broker.newProducerId()
  const busy = await broker.newProducerId()
  const answered = [await produce(0, batchFrom(old, 0)), await produce(0, batchFrom(old, 1))]
  // five slots of 4 MiB
  for (let sequence = 0; sequence < 100; sequence++) await produce(1, batchFrom(busy, sequence, 200_000))
  if (isClean) await log.close()
  else directory.crash()
  directory.checkpoints.values.clear()

  const again = await directory.open({ budgetBytes })
  const second = await brokerOn(directory, again)
  const topic = second.broker.topics.get('t')
  const before = again.offsets(topic.partitions[0]!)
  const repeated = await second.broker.produce(topic, 0, batchFrom(old, 1), { zstd: true })
  expect(repeated.baseOffset).toBe(answered[1])
  expect(again.offsets(topic.partitions[0]!)).toEqual(before)
  await again.close()
})

import { expect, it } from 'vitest'
import { Backlog } from '../../../src/mqtt/backlog.ts'
import { type BacklogTaker, readBacklog } from '../../../src/mqtt/backlog-reader.ts'
import { ShareBacklog } from '../../../src/mqtt/share-backlog.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { openMemoryBroker } from '../../support/memory-broker.ts'

const record = { timestampMs: 1, key: null, value: Buffer.from('v') }

const openLog = async () => {
  const { open, metrics, clock } = await openMemoryBroker()
  const { broker } = open
  const topic = broker.topics.ensure('t')
  for (let batch = 0; batch < 3; batch++) {
    const { group } = await broker.produce(topic, 0, encodeBatch([record, record, record]), { zstd: true })
    await broker.whenDurable(group!)
  }
  return { services: { broker, metrics, clock }, partition: topic.partitions[0]! }
}

it('what is given back of a batch that the reader has left behind is read all the same', async () => {
  const { services, partition } = await openLog()
  const at = (offset: number) => ({ partition, offset })
  const backlog = new ShareBacklog()
  backlog.stored(partition, 0)
  for (let offset = 0; offset < 9; offset++) backlog.handedOver(at(offset), true)
  for (const offset of [0, 2, 3, 5, 6, 8]) backlog.done(at(offset))
  for (const offset of [1, 7]) backlog.givenBack(at(offset))
  const taken: number[] = []
  let batches = 0
  const taker: BacklogTaker = {
    backlog,
    isHere: true,
    take: async (_record, place) => {
      taken.push(place.offset)
      backlog.handedOver(place, true)
    },
    refusal: () => {
      // while the third batch is unpacked; of the second nothing was missed
      if (++batches === 2) queueMicrotask(() => backlog.givenBack(at(4)))
      return undefined
    },
    passedOver: () => undefined,
  }
  await readBacklog(services, taker)
  expect([taken, backlog.isEmpty]).toEqual([[1, 7, 4], true])
})

it('what a session misses because its client leaves while the log is read is read when it is back', async () => {
  const { services, partition } = await openLog()
  const backlog = new Backlog()
  backlog.miss(partition, 6)
  let isHere = true
  const taker: BacklogTaker = {
    backlog,
    get isHere() {
      return isHere
    },
    take: async () => undefined,
    refusal: () => {
      isHere = false
      backlog.miss(partition, 4)
      return undefined
    },
    passedOver: () => undefined,
  }
  await readBacklog(services, taker)
  expect(backlog.missedFrom(partition)).toBe(4)
})

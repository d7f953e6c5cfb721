// Reads every record of a topic through the Kafka port and counts them by partition.
import { Kafka, logLevel } from 'kafkajs'

export const readBack = async (address, topic) => {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const ends = new Map(
    (await admin.fetchTopicOffsets(topic)).map(({ partition, low, high }) => [
      partition,
      { low: Number(low), high: Number(high) },
    ]),
  )
  await admin.disconnect()
  const counts = new Map([...ends.keys()].map(partition => [partition, 0]))
  const left = new Set([...ends].filter(([, { low, high }]) => high > low).map(([partition]) => partition))
  const consumer = kafka.consumer({
    groupId: `bench-${process.pid}-${performance.now()}`,
    maxBytesPerPartition: 4 << 20,
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise((resolve, reject) => {
    if (left.size === 0) resolve()
    consumer.on('consumer.crash', ({ payload }) => reject(payload.error))
    const eachBatch = async ({ batch }) => {
      const { partition } = batch
      let next = counts.get(partition) + ends.get(partition).low
      for (const { offset } of batch.messages) {
        if (Number(offset) !== next) reject(new Error(`partition ${partition}: offset ${offset} where ${next} comes`))
        next++
      }
      counts.set(partition, next - ends.get(partition).low)
      if (next >= ends.get(partition).high) left.delete(partition)
      if (left.size === 0) resolve()
    }
    consumer.run({ eachBatch, autoCommit: false }).catch(reject)
  })
  await consumer.disconnect()
  return Object.fromEntries([...counts].sort(([a], [b]) => a - b))
}

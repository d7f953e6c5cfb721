import { Kafka, type KafkaMessage, logLevel } from 'kafkajs'

/** All records of a topic through a consumer group of its own, each partition in order. */
export async function readAll(address: string, topic: string): Promise<KafkaMessage[]> {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } })
  const admin = kafka.admin()
  await admin.connect()
  const offsets = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  let left = offsets.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0)
  const messages: KafkaMessage[] = []
  if (left === 0) return messages
  const consumer = kafka.consumer({ groupId: `read-${topic}-${process.hrtime.bigint()}` })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>(resolve => {
    void consumer.run({
      autoCommit: false,
      eachMessage: async ({ message }) => {
        messages.push(message)
        if (--left === 0) resolve()
      },
    })
  })
  await consumer.disconnect()
  return messages
}

import { resolve } from 'node:path'
import type { Topic } from '../../broker/topics.ts'
import { describeLogDirs } from '../../wire/kafka/contracts/index.ts'
import { defineHandler } from '../handler.ts'

/**
 * DescribeLogDirs (35), versions 1-5. One directory, the log's; a partition has the bytes of its batches, which share segments with others. What is
 * asked for and is not there is left out, as Kafka does. All versions are alike but for:
 * - v4: the volume is `disk.budget`, of which the log's slots and the views are used
 */
export const handleDescribeLogDirs = defineHandler(describeLogDirs, (request, context) => {
  const { broker, loaded } = context.services
  const { budgetBytes, logBytes, viewBytes } = broker.diskUsage()
  const sizes = (topic: Topic, indexes: Iterable<number>) => ({
    name: topic.name,
    partitions: [...indexes].flatMap(partitionIndex => {
      const partition = topic.partitions[partitionIndex]
      if (partition === undefined) return []
      const { logEnd, highWatermark } = broker.offsets(partition)
      const partitionSize = broker.sizeBytes(partition)
      return [{ partitionIndex, partitionSize, offsetLag: logEnd - highWatermark, isFutureKey: false }]
    }),
  })
  const topics =
    request.topics === null
      ? [...broker.topics.all()].map(topic => sizes(topic, topic.partitions.keys()))
      : request.topics.flatMap(({ topic: name, partitions }) => {
          const topic = broker.topics.find(name)
          return topic === undefined ? [] : [sizes(topic, partitions)]
        })
  const usableBytes = Math.max(0, budgetBytes - logBytes - viewBytes)
  const logDir = resolve(loaded.settings['data.dir'], 'log')
  return { results: [{ errorCode: 0, logDir, topics, totalBytes: budgetBytes, usableBytes }] }
})

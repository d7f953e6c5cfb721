import type { RequestOf, ResponseInputOf } from '../../wire/kafka/api.ts'
import { offsetForLeaderEpoch } from '../../wire/kafka/contracts/index.ts'
import { epochEnd } from '../epoch-end.ts'
import { defineHandler, type RequestContext } from '../handler.ts'
import { checkLeaderEpoch } from '../topic-lookup.ts'

type Wanted = RequestOf<typeof offsetForLeaderEpoch>['topics'][number]['partitions'][number]
type PartitionAnswer = ResponseInputOf<typeof offsetForLeaderEpoch>['topics'][number]['partitions'][number]

/**
 * OffsetForLeaderEpoch (23), versions 2-4. The largest leader epoch up to the one asked for, and where its records end; -1 and -1 when
 * there is none. Every start of the gateway begins an epoch, so a consumer that read a tail which a power cut took finds out here.
 * - v2: current leader epoch, fenced
 * - v3: replica id, of no interest here
 */
export const handleOffsetForLeaderEpoch = defineHandler(offsetForLeaderEpoch, (request, context) => ({
  topics: request.topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(wanted => lookUp(topic, wanted, context)),
  })),
}))

function lookUp(name: string, wanted: Wanted, context: RequestContext): PartitionAnswer {
  const { services } = context
  const { partition: index } = wanted
  try {
    const { topics } = services.broker
    const partition = topics.partition(topics.get(name), index)
    checkLeaderEpoch(services, wanted.currentLeaderEpoch)
    const end = epochEnd(services.broker, partition, wanted.leaderEpoch)
    return { partition: index, errorCode: 0, leaderEpoch: end?.epoch ?? -1, endOffset: end?.endOffset ?? -1 }
  } catch (error) {
    return { partition: index, errorCode: context.refusal(error).errorCode }
  }
}

import type { Topic } from '../broker/topics.ts'
import { BrokerError } from '../core/errors.ts'
import type { Uuid } from '../core/uuid.ts'
import type { Services } from './services.ts'

/** The topic that a request names, by id where its version has ids. Throws `unknownTopic` or `unknownTopicId`. */
export function findTopic({ broker }: Services, by: { name: string } | { id: Uuid }): Topic {
  if ('name' in by) return broker.topics.get(by.name)
  const topic = broker.topics.findById(by.id)
  if (topic === undefined) throw new BrokerError('unknownTopicId', `there is no topic with id ${by.id}`)
  return topic
}

/** KIP-320: the client's idea of the leader epoch must be ours; -1 is no idea. Throws `fencedLeaderEpoch`, `unknownLeaderEpoch`. */
export function checkLeaderEpoch({ broker }: Services, currentLeaderEpoch: number): void {
  const { leaderEpoch } = broker
  if (currentLeaderEpoch < 0 || currentLeaderEpoch === leaderEpoch) return
  const kind = currentLeaderEpoch < leaderEpoch ? 'fencedLeaderEpoch' : 'unknownLeaderEpoch'
  throw new BrokerError(kind, `leader epoch ${currentLeaderEpoch} was asked for, it is ${leaderEpoch}`)
}

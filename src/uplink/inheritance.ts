import type { Broker } from '../broker/broker.ts'
import type { Cluster } from '../client/cluster.ts'
import { KafkaError } from '../client/kafka-error.ts'
import { TransactionalProducer } from '../client/transactional-producer.ts'
import type { Settings } from '../config/settings.ts'
import type { PartitionId } from '../core/brand.ts'
import type { Logger } from '../platform/logger.ts'
import { type StateLog, writeInOrder } from '../state/state-log.ts'
import type { UplinkView, UpstreamPosition } from '../state/uplink.ts'
import type { StateChange } from '../state/view.ts'
import type { Ancestor } from '../storage/meta.ts'
import { restoredEpochStep } from '../storage/restore.ts'
import { emptyLedger } from './ledger.ts'
import type { Position } from './position.ts'
import { PositionsTopic } from './positions-topic.ts'
import { cutAt, emptyTrack, endOf, offsetsIn, placeOf, type Track, together, trackOf } from './track.ts'

export interface InheritanceParts {
  readonly broker: Broker
  readonly state: StateLog
  readonly view: UplinkView
  readonly logger: Logger
  readonly cluster: Cluster
  readonly settings: Settings
  readonly positionsTopic: string
  /** Oldest first. */
  readonly ancestors: readonly Ancestor[]
}

/**
 * Takes over what the logs have sent that this one was restored or forked from: no record of a history that both have goes up twice. Done once in
 * the life of a log, before it sends; durable when it resolves.
 */
export const inherit = async (parts: InheritanceParts): Promise<void> => {
  const { broker, state, view } = parts
  const parents = await Promise.all(parts.ancestors.map(ancestor => positionsOf(parts, ancestor)))
  const changes: StateChange[] = []
  for (const topic of broker.topics.all()) {
    for (const [partition, id] of topic.partitions.entries()) {
      const copied = view.position(topic.name, partition)
      const sent = parents.map(positions => positions.get(`${topic.name}/${partition}`))
      const tracks = sent.map((position, index) => {
        if (position?.topicId !== topic.id) return emptyTrack
        return cutAt(trackOf(position), commonEnd(parts, id, position, index) ?? unknownEnd(parts, position))
      })
      if (copied?.topicId === topic.id) tracks.push(trackOf(copied))
      const track = together(tracks)
      const own = { ...emptyPosition, topicId: topic.id }
      if (offsetsIn(track) > 0) changes.push(view.putPosition(topic.name, partition, broughtByParents(own, track)))
    }
  }
  changes.push(view.putInherited(broker.logId, state.logAge))
  writeInOrder(state, changes)
  await state.durable(view)
}

const emptyPosition = { ...emptyLedger, last: -1, starts: [] }

/** A position of a log that has sent nothing itself: all of the track came there from its parents. */
export const broughtByParents = ({ topicId }: Pick<UpstreamPosition, 'topicId'>, track: Track): UpstreamPosition => ({
  ...emptyPosition,
  topicId,
  ...placeOf(track),
  unsent: { parent: offsetsIn(track) },
})

/** Where the partition ended when the first start of this epoch, or of a later one, began to write into it. */
export const endBefore = (broker: Broker, id: PartitionId, epoch: number): number => {
  const first = broker.leaderEpochs(id).find(one => one.epoch >= epoch)
  return first?.startOffset ?? broker.offsets(id).highWatermark
}

const positionsOf = async (
  { cluster, positionsTopic, view, settings }: InheritanceParts,
  { logId }: Ancestor,
): Promise<ReadonlyMap<string, Position>> => {
  await settle(cluster, settings, logId)
  const positions = new Map<string, Position>()
  const topic = await PositionsTopic.find(cluster, positionsTopic, logId, view.place)
  await topic?.read(undefined, position => positions.set(`${position.topic}/${position.partition}`, position))
  return positions
}

/**
 * What the ancestor has left open is decided now, and nothing of it that is late counts any more; should it live, it begins its session anew. Who may
 * not do that, or has no transactions, reads its positions all the same: what is open is waited for there.
 */
const settle = async (cluster: Cluster, settings: Settings, logId: string): Promise<void> => {
  try {
    await TransactionalProducer.open(cluster, {
      transactionalId: logId,
      transactionTimeoutMs: settings['uplink.transaction.timeout.ms'],
      produceTimeoutMs: settings['uplink.request.timeout.ms'],
    })
  } catch (error) {
    if (!(error instanceof KafkaError) || error.retriable) throw error
  }
}

/**
 * The offset below which what the ancestor has sent is what this log has, too: the end of its position, but no further than their histories are one. They
 * part where the newest start ends that both have had; or, for a backup, where it ends. Undefined: nobody can tell.
 */
export const commonEnd = (
  { broker, view, ancestors }: Pick<InheritanceParts, 'broker' | 'view' | 'ancestors'>,
  id: PartitionId,
  position: Pick<UpstreamPosition, 'last' | 'ahead' | 'starts'>,
  index: number,
): number | undefined => {
  const { starts } = position
  const end = endOf(trackOf(position))
  const common = starts.findIndex(({ incarnation }) => view.start(incarnation) !== undefined)
  if (common >= 0) {
    const { epoch } = view.start(starts[common]!.incarnation)!
    const theirs = common === 0 ? end : starts[common - 1]!.from
    return Math.min(end, theirs, endBefore(broker, id, epoch + 1))
  }
  const backedUp = endOfBackup({ broker, view, ancestors }, id, index)
  return backedUp === undefined ? undefined : Math.min(end, backedUp)
}

/** The offset below which what this start of the ancestor sent is what this log has, too. Undefined: nobody can tell. */
export const commonEndOfStart = (
  parts: Pick<InheritanceParts, 'broker' | 'view' | 'ancestors'>,
  id: PartitionId,
  incarnation: string,
  index: number,
): number | undefined => {
  const start = parts.view.start(incarnation)
  return start === undefined ? endOfBackup(parts, id, index) : endBefore(parts.broker, id, start.epoch + 1)
}

/** Where the backup of the ancestor ended. Undefined: a fork does not know where it parted from the log that it was copied of. */
const endOfBackup = (
  { broker, view, ancestors }: Pick<InheritanceParts, 'broker' | 'view' | 'ancestors'>,
  id: PartitionId,
  index: number,
): number | undefined => {
  const isBackup = ancestors[index]!.lastGroup > 0
  const epoch = isBackup ? firstEpochs(view).at(index - ancestors.length) : undefined
  return epoch === undefined ? undefined : endBefore(broker, id, epoch)
}

/** Oldest first: where this log and its ancestors began; the epochs of each are far above those of the one before. */
const firstEpochs = (view: UplinkView): number[] => {
  const epochs = view
    .starts()
    .map(({ epoch }) => epoch)
    .reverse()
  return epochs.filter((epoch, at) => at > 0 && epoch - epochs[at - 1]! >= restoredEpochStep)
}

const unknownEnd = ({ logger }: InheritanceParts, { topic, partition, last }: Position): number => {
  const why = 'another copy of this log has sent it, and has started too often since to tell what both have'
  logger.warn({ topic, partition, through: last, why }, 'records may go up a second time')
  return 0
}

import type { LoadedSettings } from '../config/load.ts'
import { TopicConfigs } from '../config/topic-configs.ts'
import { BrokerError } from '../core/errors.ts'
import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Metrics } from '../core/metrics.ts'
import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import type { Timer } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { Platform } from '../platform/platform.ts'
import { GroupsView } from '../state/groups.ts'
import { ProducersView } from '../state/producers.ts'
import { StateScrub } from '../state/state-scrub.ts'
import { type Topic, TopicsView } from '../state/topics.ts'
import type { View } from '../state/view.ts'
import { ViewLog } from '../state/view-log.ts'
import { firstTopicPartitionId, type Log } from '../storage/log.ts'
import {
  baseOffsetOf,
  baseSequenceOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
} from '../wire/kafka/record-batch.ts'
import { Broker } from './broker.ts'
import { CentralReplica } from './central-replica.ts'
import type { BatchRules } from './client-batch.ts'
import { GroupCoordinator } from './groups/coordinator.ts'
import { defaultGroupSettings } from './groups/settings.ts'
import { Topics } from './topics.ts'

export interface BrokerOptions {
  readonly platform: Platform
  readonly loaded: LoadedSettings
  readonly log: Log
  readonly store: CheckpointStore
  readonly memory: MemoryBudget
  readonly metrics: Metrics
  /** Views of the fronts, replayed together with the broker's own. */
  readonly frontViews: readonly View[]
  /** The offset below which the central cluster has all of the partition; undefined when it does not go up. */
  readonly upstreamThrough?: (topic: string, partition: number) => number | undefined
  /** May the record at this offset never come up, though the position there is past it? Absent: no. */
  readonly isGivenUp?: (topic: string, partition: number, offset: number) => boolean
  /** Why a topic of this name does not go up; undefined: it does. Absent: none does. */
  readonly staysHere?: (topic: string) => string | undefined
}

export interface OpenBroker {
  readonly broker: Broker
  readonly groups: GroupCoordinator
  readonly state: ViewLog
  readonly topicConfigs: TopicConfigs
  /** Ends groups and timers; answers that groups hold back are given. */
  stop(): void
}

const secondsPerMs = 1 / 1000
const noUplink = (): string => 'there is none (uplink.bootstrap.servers)'
const producerSweepMs = 60_000

/** Replays all state and puts the broker together. Nothing is served before this resolves. */
export const openBroker = async (options: BrokerOptions): Promise<OpenBroker> => {
  const { platform, loaded, log, store, memory, metrics, frontViews, staysHere = noUplink } = options
  const { clock, random, logger } = platform
  const { settings } = loaded
  const topicsView = new TopicsView()
  const groupsView = new GroupsView()
  const producers = new ProducersView(metrics, settings['producer.id.expiration.ms'] * secondsPerMs)
  const views = [topicsView, groupsView, producers, ...frontViews]
  const state = await ViewLog.open({ log, store, logger: logger.child('state'), metrics }, views)
  takeUpProducers(log, state, producers)
  const groups = new GroupCoordinator({
    clock,
    random,
    metrics,
    logger: logger.child('groups'),
    settings: groupSettings(loaded),
    stateLog: state,
    view: groupsView,
  })
  const topicConfigs = new TopicConfigs(settings)
  const topics = new Topics({
    view: topicsView,
    state,
    log,
    random,
    configRules: topicConfigs,
    isLastOfProducer: (partition, producerId, baseOffset) => producers.isLast(partition, producerId, baseOffset),
    doneThrough: (topic, partition) =>
      doneThrough(groupsView.offsets.readThrough(topic, partition), options.upstreamThrough?.(topic, partition)),
    staysHere,
    limits: { defaultPartitions: settings['num.partitions'], maxPartitions: settings['partitions.max'] },
    dependents: topic => [
      ...groups.changesForDeletedTopics([topic.name]),
      ...topic.partitions.flatMap(partition => producers.partitionRemoved(partition)),
    ],
  })
  const sweep = sweepProducers(options, state, producers)
  const scrub = new StateScrub({ log, state, clock, logger: logger.child('state') })
  const replica = new CentralReplica({
    topics,
    clock,
    metrics,
    isNeeded: ({ configs }) => topicConfigs.needsCentral(configs),
    offsets: partition => log.offsets(partition),
    upstreamThrough: options.upstreamThrough ?? (() => undefined),
    isGivenUp: options.isGivenUp ?? (() => false),
    lagMaxMs: settings['replica.lag.time.max.ms'],
  })
  warnOfLostReplicas(topics, replica, staysHere, logger)
  const broker = new Broker({
    log,
    state,
    topics,
    producers,
    clock,
    memory,
    metrics,
    replica,
    batchRules: rulesByTopic(topicConfigs),
  })
  const stop = (): void => {
    sweep.cancel()
    scrub.stop()
    groups.stop()
  }
  return { broker, groups, state, topicConfigs, stop }
}

/** The settings of the uplink may have changed since the topic was configured. */
const warnOfLostReplicas = (
  topics: Topics,
  replica: CentralReplica,
  staysHere: (topic: string) => string | undefined,
  logger: Logger,
): void => {
  for (const topic of topics.all()) {
    const reason = replica.follows(topic) ? staysHere(topic.name) : undefined
    if (reason === undefined) continue
    const fields = { topic: topic.name, reason }
    logger.warn(fields, 'the topic has min.insync.replicas=2 and does not go up: nothing is acknowledged to the full')
  }
}

/** Below it nobody misses anything: every group that reads the partition has read it, and it is upstream where it goes up. */
const doneThrough = (readThrough: number | undefined, upstreamThrough: number | undefined): number =>
  Math.min(readThrough ?? upstreamThrough ?? 0, upstreamThrough ?? Number.POSITIVE_INFINITY)

/** The state of idempotent producers is their view plus the headers of the batches that came after its last record. */
const takeUpProducers = (log: Log, state: ViewLog, producers: ProducersView): void => {
  for (const { partition, header } of log.takeRecoveredBatches()) {
    const batch = {
      producerId: producerIdOf(header),
      epoch: producerEpochOf(header),
      baseSequence: baseSequenceOf(header),
      count: recordCountOf(header),
    }
    producers.appended(partition, batch, baseOffsetOf(header), log.logAge)
  }
  const present = new Set(log.partitions())
  // of a damaged header nobody knows whether it was of producers: gaps of all state count
  const lostState = log
    .gaps()
    .filter(({ partition, reason }) => partition < firstTopicPartitionId && reason === 'damage')
  const lostRecords = lostState.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  producers.replayed(partition => (present.has(partition) ? log.offsets(partition).logEnd : undefined), lostRecords)
  log.onCheckpoint(() => producers.flush(state))
}

/** Expiry is not urgent: what cannot be written now is written at a later round. */
const sweepProducers = ({ platform, log }: BrokerOptions, state: ViewLog, producers: ProducersView): Timer => {
  const { clock, logger } = platform
  const sweep = (): Timer =>
    clock.after(producerSweepMs, () => {
      try {
        expireProducers(log, state, producers)
      } catch (error) {
        if (!(error instanceof BrokerError)) throw error
        logger.warn({ error: error.message }, 'expired producers are kept for now')
      }
      timer = sweep()
    })
  let timer = sweep()
  return { cancel: () => timer.cancel() }
}

const expireProducers = (log: Log, state: ViewLog, producers: ProducersView): void => {
  while (log.writable) {
    const changes = producers.expired(log.logAge)
    if (changes.length === 0) return
    state.write(changes)
  }
}

const groupSettings = ({ settings }: LoadedSettings) => ({
  ...defaultGroupSettings,
  initialRebalanceDelayMs: settings['group.initial.rebalance.delay.ms'],
  minSessionTimeoutMs: settings['group.min.session.timeout.ms'],
  maxSessionTimeoutMs: settings['group.max.session.timeout.ms'],
  maxSize: settings['group.max.size'],
  maxGroups: settings['groups.max'],
  maxMembers: settings['group.members.max'],
  offsetsRetentionMinutes: settings['offsets.retention.minutes'],
  offsetsRetentionCheckMs: settings['offsets.retention.check.interval.ms'],
  offsetMetadataMaxBytes: settings['offset.metadata.max.bytes'],
})

/** A topic's rules are parsed once: a topic whose configs change is another object. */
const rulesByTopic = (topicConfigs: TopicConfigs): ((topic: Topic) => BatchRules) => {
  const known = new WeakMap<Topic, BatchRules>()
  return topic => {
    let rules = known.get(topic)
    if (rules === undefined) known.set(topic, (rules = topicConfigs.batchRules(topic.configs)))
    return rules
  }
}

import type { AuditPartition, AuditUplink } from '../broker/audit-report.ts'
import type { Broker } from '../broker/broker.ts'
import type { Cluster } from '../client/cluster.ts'
import { isClientError, isUnknownTopic, KafkaError } from '../client/kafka-error.ts'
import { earliestOffset, latestOffset, offsetsFor, type TopicPartition } from '../client/partition-offsets.ts'
import { topicConfigs } from '../client/topic-admin.ts'
import type { PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { StateLog } from '../state/state-log.ts'
import type { UplinkView, UpstreamPosition } from '../state/uplink.ts'
import { baseTimestampOf } from '../wire/kafka/record-batch.ts'
import { withoutKnown } from './acknowledged.ts'
import { isThere, type Judgement, judge, type TargetFacts } from './audit-equations.ts'
import type { Lane } from './lane.ts'
import type { Lanes } from './lanes.ts'
import type { Ledger } from './ledger.ts'
import { isLate } from './position.ts'
import { PositionsTopic } from './positions-topic.ts'
import { type Place, type ReadBackParts, readBack } from './read-back.ts'
import { holesIn, type Track } from './track.ts'
import { addUnsent, unsentIn } from './unsent.ts'
import { UplinkStopped } from './uplink-errors.ts'

export interface AuditParts {
  readonly broker: Broker
  readonly clock: Clock
  readonly lanes: Lanes
  readonly state: StateLog
  readonly view: UplinkView
  readonly positionsTopic: string
  /** Connections of its own: what it waits for holds up no round. */
  readonly openCluster: () => Cluster
  readonly gatewayId: string
  readonly ancestors?: NonNullable<ReadBackParts['ancestors']>
  /** What stands upstream is read, too, and this is told how far that is; absent: only offsets are compared. */
  readonly tell?: ReadBackParts['tell']
}

export interface AuditedPartition extends Pick<AuditPartition, 'notes' | 'unexplained' | 'losses' | 'acknowledged'> {
  /** As they were when `uplink` was. */
  readonly logStart: number
  readonly highWatermark: number
  readonly uplink: AuditUplink
}

export interface UplinkAudit {
  /** Why the central cluster could not be asked; null: it was. */
  readonly error: string | null
  readonly partitions: ReadonlyMap<PartitionId, AuditedPartition>
}

/** What the central cluster says. */
interface Upstream {
  readonly positions: ReadonlyMap<string, UpstreamPosition>
  readonly targets: ReadonlyMap<string, TargetFacts>
}

/** Compares what this gateway knows of the partitions that go up with the topic of positions and the offsets of their targets. */
export const auditUplink = async (parts: AuditParts): Promise<UplinkAudit> => {
  const { lanes } = parts
  // rounds go on meanwhile: what is upstream must be no less than this
  const before = new Map([...lanes.all()].map(lane => [lane.id, { track: lane.track, ledger: lane.ledger }]))
  const cluster = parts.openCluster()
  let upstream: Upstream | undefined
  let found: ReadonlyMap<Lane, Judgement> = new Map()
  let error: string | null = null
  try {
    upstream = await askCentral(parts, cluster)
    const { tell } = parts
    if (tell !== undefined) found = await readBack({ ...parts, cluster, tell }, placesOf(lanes, upstream))
  } catch (failure) {
    if (!isClientError(failure) && !(failure instanceof UplinkStopped)) throw failure
    error = failure.message
  } finally {
    cluster.close()
  }
  const partitions = new Map<PartitionId, AuditedPartition>()
  for (const lane of [...lanes.all()]) {
    const known = before.get(lane.id)
    if (known !== undefined)
      partitions.set(lane.id, await auditLane(parts, lane, known, upstream, found.get(lane) ?? nothing))
  }
  return { error, partitions }
}

const auditLane = async (
  parts: AuditParts,
  lane: Lane,
  known: { readonly track: Track; readonly ledger: Ledger },
  upstream: Upstream | undefined,
  found: Judgement,
): Promise<AuditedPartition> => {
  const { broker, clock } = parts
  const said = upstream?.positions.get(keyOf(lane))
  // one of an earlier topic of this name says nothing of this one
  const position = said?.topicId === lane.topicId ? said : undefined
  const target = position === undefined ? undefined : upstream?.targets.get(position.target)
  const oldestAgeMs = await ageOfFirst(broker, clock, lane.id)
  const { logStart, highWatermark } = broker.offsets(lane.id)
  const facts = { topicId: lane.topicId, highWatermark, ...known, position, target, oldestAgeMs }
  const judged = upstream === undefined ? nothing : judge(facts)
  const { losses, acknowledged } = withoutKnown(parts, lane, [...judged.losses, ...found.losses])
  const notes = [...judged.notes, ...found.notes]
  const unexplained = [...judged.unexplained, ...found.unexplained, ...losses.map(({ text }) => text)]
  const doubts = { notes, unexplained, losses, acknowledged }
  return { ...doubts, logStart, highWatermark, uplink: uplinkOf(broker, lane, upstream, position, target) }
}

/** Where records of these lanes stand, as the positions say. */
const placesOf = (lanes: Lanes, { positions, targets }: Upstream): readonly Place[] => {
  const places = new Map<string, Place>()
  for (const lane of lanes.all()) {
    const position = positions.get(keyOf(lane))
    const facts = position === undefined ? undefined : targets.get(position.target)
    if (position?.topicId !== lane.topicId || !isThere(facts, position)) continue
    for (const [number, span] of Object.entries(position.central)) {
      const partition = Number(number)
      const offsets = facts.offsets.get(partition)
      if (offsets === undefined) continue
      const { target } = position
      const key = `${target}/${partition}`
      const shares = [...(places.get(key)?.shares ?? []), { lane, position, span }]
      places.set(key, { target, partition, facts, logStart: offsets.logStart, shares })
    }
  }
  return [...places.values()]
}

const nothing: Judgement = { notes: [], unexplained: [], losses: [] }

const uplinkOf = (
  broker: Broker,
  { id, target: name, track, ledger }: Lane,
  upstream: Upstream | undefined,
  position: UpstreamPosition | undefined,
  target: TargetFacts | undefined,
): AuditUplink => {
  const { logStart, highWatermark } = broker.offsets(id)
  const holes = holesIn(track, highWatermark)
  const goneUnsent = holes
    .map(({ first, end }) => unsentIn(broker, id, { first, end: Math.max(first, Math.min(end, logStart)), records: 0 }))
    .reduce(addUnsent, {})
  return {
    target: name,
    sent: ledger.records,
    acknowledged: upstream === undefined ? null : (position?.records ?? 0),
    waiting: holes.reduce((sum, { first, end }) => sum + Math.max(0, end - Math.max(first, logStart)), 0),
    notSent: addUnsent(ledger.unsent, goneUnsent),
    central: Object.entries((position ?? ledger).central).map(([number, span]) => {
      const partition = Number(number)
      const { logStart: start, logEnd: end } = target?.offsets.get(partition) ?? { logStart: null, logEnd: null }
      return { partition, ...span, logStart: start, logEnd: end }
    }),
  }
}

/** Since the first record of the partition was made; undefined where that is gone. */
const ageOfFirst = async (broker: Broker, clock: Clock, id: PartitionId): Promise<number | undefined> => {
  if (broker.offsets(id).logStart > 0) return undefined
  try {
    const [first] = (await broker.read(id, 0, 1)).batches
    return first === undefined ? undefined : clock.wallMs() - baseTimestampOf(first)
  } catch (error) {
    if (error instanceof BrokerError) return undefined
    throw error
  }
}

const askCentral = async ({ broker, lanes, view, positionsTopic }: AuditParts, cluster: Cluster): Promise<Upstream> => {
  const positions = new Map<string, UpstreamPosition>()
  const topic = await PositionsTopic.find(cluster, positionsTopic, broker.logId, view.place)
  // from the start: what was read before may be gone
  await topic?.read(undefined, position => {
    const key = keyOf(position)
    if (!isLate(position, positions.get(key), broker.topics.find(position.topic)?.id)) positions.set(key, position)
  })
  const wanted = new Map<string, Set<number>>()
  for (const lane of lanes.all()) {
    const { target, central } = positions.get(keyOf(lane)) ?? lane.ledger
    if (target === '') continue
    const partitions = wanted.get(target) ?? new Set()
    for (const partition of Object.keys(central)) partitions.add(Number(partition))
    wanted.set(target, partitions)
  }
  const targets = new Map<string, TargetFacts>()
  for (const [name, partitions] of wanted) {
    const facts = await targetFacts(cluster, name, partitions)
    if (facts !== undefined) targets.set(name, facts)
  }
  return { positions, targets }
}

const targetFacts = async (
  cluster: Cluster,
  name: string,
  wanted: ReadonlySet<number>,
): Promise<TargetFacts | undefined> => {
  try {
    const { id, partitions } = await cluster.topic(name, { refresh: true })
    const sources: TopicPartition[] = [...wanted]
      .filter(partition => partition < partitions.length)
      .map(partition => ({ topic: name, partition }))
    const starts = await offsetsFor(cluster, sources, earliestOffset)
    const ends = await offsetsFor(cluster, sources, latestOffset)
    const offsets = new Map(
      sources.map(({ partition }, index) => [partition, { logStart: starts[index] ?? 0, logEnd: ends[index] ?? 0 }]),
    )
    return { id, offsets, retention: await retentionOf(cluster, name) }
  } catch (error) {
    if (isUnknownTopic(error)) return undefined
    throw error
  }
}

const retentionOf = async (cluster: Cluster, name: string): Promise<TargetFacts['retention']> => {
  try {
    const configs = new Map((await topicConfigs(cluster, name)).map(config => [config.name, config.value]))
    const number = (key: string): number => Number(configs.get(key) ?? -1)
    const policies = (configs.get('cleanup.policy') ?? 'delete').split(',')
    const [deletes, compacts] = ['delete', 'compact'].map(policy => policies.includes(policy)) as [boolean, boolean]
    return { deletes, compacts, ms: number('retention.ms'), bytes: number('retention.bytes') }
  } catch (error) {
    if (error instanceof KafkaError && !error.retriable) return undefined
    throw error
  }
}

const keyOf = ({ topic, partition }: { readonly topic: string; readonly partition: number }): string =>
  `${topic}/${partition}`

import type { Broker } from '../broker/broker.ts'
import type { UplinkHold, UplinkOffsets, UplinkPartition, UplinkSummary } from '../broker/uplink-summary.ts'
import { BrokerError } from '../core/errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { Lane } from './lane.ts'
import type { RemoteReads, RemoteStatus } from './remote/remote-reads.ts'
import type { Uplink } from './uplink.ts'

/** What is upstream and what is not, partition by partition in the order of their names. */
export const uplinkSummary = async (
  uplink: Uplink,
  broker: Broker,
  clock: Clock,
  remote?: RemoteReads,
): Promise<UplinkSummary> => {
  const nowMs = clock.monotonicMs()
  const partitions: UplinkPartition[] = []
  for (const lane of uplink.lanes.all())
    partitions.push(await partitionSummary(uplink, broker, lane, nowMs, remote?.status(lane)))
  partitions.sort((one, other) => one.topic.localeCompare(other.topic) || one.partition - other.partition)
  return {
    state: uplink.state,
    error: uplink.lastError ?? null,
    retryInMs: uplink.retryAtMs === undefined ? null : leftMs(uplink.retryAtMs, nowMs),
    delivery: uplink.delivery?.kind ?? null,
    deliveryReason: uplink.delivery?.reason ?? null,
    bytesPerSecond: uplink.bytesPerSecond === undefined ? null : Math.round(uplink.bytesPerSecond),
    holds: holdsOf(uplink, nowMs),
    partitions,
  }
}

/** Of partitions of which something is upstream; undefined: the topic does not go up. */
export const uplinkOffsets = ({ lanes, offsetMaps }: Uplink, topic: string): readonly UplinkOffsets[] | undefined => {
  const own = [...lanes.all()].filter(lane => lane.topic === topic)
  if (own.length === 0) return undefined
  return own
    .toSorted((one, other) => one.partition - other.partition)
    .flatMap(lane => {
      const map = offsetMaps.of(lane)
      const { partition, target } = lane
      return map === undefined ? [] : [{ topic, partition, target, first: map.first, syncs: map.syncs }]
    })
}

/** Of classes of which something waits. */
const holdsOf = ({ lanes, caps }: Uplink, nowMs: number): readonly UplinkHold[] => {
  const waiting = new Set([...lanes.all()].filter(lane => lanes.lag(lane) > 0).map(lane => lane.retentionClass))
  return [...caps.holds(nowMs)]
    .filter(([one]) => waiting.has(one))
    .map(([one, { by }]) => ({ retentionClass: one, by }))
}

const partitionSummary = async (
  { lanes }: Uplink,
  broker: Broker,
  lane: Lane,
  nowMs: number,
  remote: RemoteStatus | undefined,
): Promise<UplinkPartition> => {
  const { highWatermark, logStart } = broker.offsets(lane.id)
  const lagRecords = lanes.lag(lane)
  const recordBytes = broker.sizeBytes(lane.id) / Math.max(1, highWatermark - logStart)
  return {
    topic: lane.topic,
    partition: lane.partition,
    target: lane.target,
    priority: lane.rule.priority,
    upstreamOffset: lane.next,
    highWatermark,
    lagRecords,
    lagBytes: Math.round(lagRecords * recordBytes),
    lagSeconds: lagRecords === 0 ? null : await ageOf(broker, lane, Math.max(lane.next, logStart)),
    sentRecords: lane.ledger.records,
    expiredRecords: lane.ledger.unsent.expired ?? 0,
    thinnedRecords: lane.ledger.unsent.thinned ?? 0,
    totalStart: remote?.start ?? null,
    remoteProblem: remote?.problem ?? null,
    refused: lane.trouble?.batch ?? null,
    error: lane.trouble?.reason ?? null,
    retryInMs: lane.trouble === undefined ? null : leftMs(lane.trouble.retryAtMs, nowMs),
  }
}

/** By log age: time without power does not count. Null: it left the log just now. */
const ageOf = async (broker: Broker, { id }: Lane, offset: number): Promise<number | null> => {
  try {
    const { logAges } = await broker.read(id, offset, 1)
    return logAges[0] === undefined ? null : Math.max(0, broker.logAge - logAges[0])
  } catch (error) {
    if (error instanceof BrokerError) return null
    throw error
  }
}

const leftMs = (atMs: number, nowMs: number): number => Math.max(0, Math.round(atMs - nowMs))

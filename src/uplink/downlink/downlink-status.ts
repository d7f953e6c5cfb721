import type { DownlinkPartition, DownlinkTopic } from '../../broker/downlink-summary.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Downlink } from './downlink.ts'
import type { Inlet } from './inlet.ts'

/** How far each central partition was read, and what became of its records. */
export const downlinkTopics = (downlink: Downlink, clock: Clock): readonly DownlinkTopic[] => {
  const nowMs = clock.monotonicMs()
  const topics = downlink.topics.map(({ name, priority, trouble, inlets }) => ({
    topic: name,
    priority,
    error: trouble ?? null,
    partitions: inlets.map(inlet => partitionSummary(inlet, nowMs)),
  }))
  return topics.toSorted((one, other) => one.topic.localeCompare(other.topic))
}

const partitionSummary = (inlet: Inlet, nowMs: number): DownlinkPartition => {
  const { partition, lag, trouble, unreadable, retryAtMs, position, reader } = inlet
  const { next, taken, expired, refused, lost } = position
  return {
    partition,
    centralOffset: next,
    centralEnd: lag === undefined ? null : Math.max(next, reader.highWatermark),
    lagOffsets: lag ?? null,
    taken,
    expired,
    refused,
    lost,
    error: trouble ?? null,
    unreadable: unreadable ?? null,
    retryInMs: trouble === undefined || retryAtMs <= nowMs ? null : Math.round(retryAtMs - nowMs),
  }
}

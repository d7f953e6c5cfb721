import type { RecordAppend } from '../../storage/log.ts'
import { bigintOf, type Json, metricValueOf, propertiesOf, typeNames } from '../../wire/sparkplug/metric-value.ts'
import type { SparkplugPayload } from '../../wire/sparkplug/payload.ts'
import type { SparkplugTopic } from '../../wire/sparkplug/topic.ts'
import type { SparkplugDestination } from '../routes.ts'
import { edgePath, type NamedMetric, type Reading } from './edge-nodes.ts'

/** A record without its place. */
export type MetricRecord = Omit<RecordAppend, 'partition' | 'key'> & { readonly key: Buffer | null }

export interface RecordContext {
  readonly topic: SparkplugTopic
  readonly timestampMs: number
  /** The encoded header array of all of them. */
  readonly headers: Uint8Array
  readonly keyOf: SparkplugDestination['keyOf']
  /** Of all records: each says group, edge node and device again, whose names may be long. */
  readonly maxBytes: number
}

/**
 * A record for each metric, in order: `{ name, type, value, timestamp, group, edgeNode, device, ... }`. A birth or a death has one more before
 * them that says so of the edge node or device: all metrics below a path that is not online are stale. Undefined: they have more than `maxBytes`.
 */
export function recordsOf(
  reading: Reading,
  payload: SparkplugPayload,
  context: RecordContext,
): MetricRecord[] | undefined {
  const { topic, timestampMs, headers, keyOf, maxBytes } = context
  const sender = {
    group: topic.group,
    edgeNode: topic.edge,
    ...(topic.device !== undefined && { device: topic.device }),
  }
  const path = topic.device === undefined ? edgePath(topic) : `${edgePath(topic)}/${topic.device}`
  const record = (recordKey: string | null, value: object): MetricRecord => ({
    timestampMs,
    key: recordKey === null ? null : Buffer.from(recordKey),
    value: Buffer.from(JSON.stringify(value)),
    headers,
  })
  const { status } = reading
  const statusValue = status && {
    online: status.online,
    timestamp: payload.timestampMs ?? null,
    ...(status.bdSeq !== null && topic.device === undefined && { bdSeq: status.bdSeq }),
    ...sender,
  }
  const records = statusValue === undefined ? [] : [record(path, statusValue)]
  let bytes = 0
  for (const metric of reading.metrics ?? []) {
    const one = record(keyOf(`${path}/${metric.name}`, metric.name), {
      ...metricValue(metric, payload),
      ...sender,
      ...(reading.isStale && { stale: true }),
    })
    bytes += (one.key?.length ?? 0) + (one.value?.length ?? 0) + headers.length
    if (bytes > maxBytes) return undefined
    records.push(one)
  }
  return records
}

/** What is absent is false, or was not said. */
function metricValue({ name, datatype, metric }: NamedMetric, payload: SparkplugPayload): Record<string, Json> {
  const type = typeNames[datatype]
  const { timestamp, metadata, isNull, isHistorical, isTransient } = metric
  const properties = metric.properties === undefined ? undefined : { ...propertiesOf(metric.properties) }
  const quality = properties?.['Quality']
  delete properties?.['Quality']
  return {
    name,
    type: type ?? null,
    value: metricValueOf(type, metric),
    timestamp: timestamp === undefined ? (payload.timestampMs ?? null) : Number(bigintOf(timestamp)),
    ...(quality !== undefined && { quality }),
    ...(isNull === true && { isNull }),
    ...(isHistorical === true && { isHistorical }),
    ...(isTransient === true && { isTransient }),
    ...(properties !== undefined && Object.keys(properties).length > 0 && { properties }),
    ...(metadata?.contentType !== undefined && { contentType: metadata.contentType }),
    ...(metadata?.description !== undefined && { description: metadata.description }),
  }
}

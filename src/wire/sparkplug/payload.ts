import { unzipSync } from 'node:zlib'
import protobuf from 'protobufjs/light.js'
import { MalformedFrame } from '../../core/malformed-frame.ts'
import { bigintOf } from './metric-value.ts'
import { payloadType, type WireMetric, type WirePayload } from './payload-schema.ts'

export interface SparkplugPayload {
  /** Milliseconds since 1970 of the sender; undefined: it does not say. */
  readonly timestampMs: number | undefined
  /** 0 to 255; undefined: it has none, as NDEATH and commands. */
  readonly seq: number | undefined
  readonly metrics: readonly WireMetric[]
}

/** What one payload may be, compressed or not, and how many metrics it may have: decoded they take far more memory than as bytes. */
const maxPayloadBytes = 1 << 20
export const maxPayloadMetrics = 10_000
/** The payload is in the body, compressed with zlib or gzip (Eclipse Tahu). */
const compressedUuid = 'SPBV1.0_COMPRESSED'
const metricsTag = (2 << 3) | 2

/** Throws `MalformedFrame` when the bytes are no payload of Sparkplug B, or one beyond the limits. */
export function decodeSparkplug(bytes: Buffer): SparkplugPayload {
  const payload = decode(bytes)
  const { timestamp, seq, metrics = [] } = payload.uuid === compressedUuid ? decode(unpack(payload)) : payload
  return {
    timestampMs: timestamp === undefined ? undefined : Number(bigintOf(timestamp)),
    seq: seq === undefined ? undefined : Number(bigintOf(seq)),
    metrics,
  }
}

/** The command that asks an edge node for its births. */
export function encodeRebirth(timestampMs: number): Buffer {
  const metrics = [
    { name: 'Node Control/Rebirth', timestamp: timestampMs, datatype: booleanDatatype, booleanValue: true },
  ]
  return Buffer.from(payloadType.encode(payloadType.create({ timestamp: timestampMs, metrics })).finish())
}

const booleanDatatype = 11

function decode(bytes: Buffer): WirePayload {
  if (bytes.length > maxPayloadBytes) throw new MalformedFrame('Sparkplug payload', `${bytes.length} bytes`)
  try {
    checkCount(bytes)
    // without what is not set, which would read as 0
    return payloadType.toObject(payloadType.decode(bytes)) as WirePayload
  } catch (error) {
    if (error instanceof MalformedFrame) throw error
    throw new MalformedFrame('Sparkplug payload', error instanceof Error ? error.message : String(error))
  }
}

/** Counts metrics before any object is made for them. */
function checkCount(bytes: Buffer): void {
  const reader = protobuf.Reader.create(bytes)
  let count = 0
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === metricsTag && ++count > maxPayloadMetrics)
      throw new MalformedFrame('Sparkplug payload', `more than ${maxPayloadMetrics} metrics`)
    reader.skipType(tag & 7)
  }
}

function unpack({ body }: WirePayload): Buffer {
  try {
    return unzipSync(body ?? Buffer.alloc(0), { maxOutputLength: maxPayloadBytes })
  } catch (error) {
    throw new MalformedFrame('Sparkplug payload', `its body cannot be unpacked: ${String(error)}`)
  }
}

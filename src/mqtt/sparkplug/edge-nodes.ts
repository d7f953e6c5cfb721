import type { SparkplugLimits, SparkplugStatus, SparkplugView } from '../../state/sparkplug.ts'
import type { StateChange } from '../../state/view.ts'
import { bigintOf } from '../../wire/sparkplug/metric-value.ts'
import type { SparkplugPayload } from '../../wire/sparkplug/payload.ts'
import type { Long, WireMetric } from '../../wire/sparkplug/payload-schema.ts'
import type { SparkplugTopic } from '../../wire/sparkplug/topic.ts'

/** A metric with the name and the data type that its birth certificate, or it, gives it. */
export interface NamedMetric {
  readonly name: string
  readonly datatype: number
  readonly metric: WireMetric
}

/** Why an edge node has to be born again. */
export type RebirthReason = 'no birth' | 'unknown alias' | 'sequence gap'

/** What one payload says, seen by what is known of its sender. */
export interface Reading {
  /** Undefined: a metric has no name or no type, as far as is known. */
  readonly metrics: readonly NamedMetric[] | undefined
  /** What becomes of the sender; undefined: nothing, or what it said is out of date. */
  readonly status: SparkplugStatus | undefined
  readonly changes: readonly StateChange[]
  /** The sender is not known to be alive, or something is missing before it. */
  readonly isStale: boolean
  readonly rebirth: RebirthReason | undefined
  /** The birth is not remembered: too many are. */
  readonly isFull: boolean
  /** The payload was stored. */
  settle(): void
}

interface Sequence {
  last: number
  /** Something was missed since the birth. */
  hasGap: boolean
}

const sequenceModulus = 256
const bdSeqName = 'bdSeq'

/** Edge nodes and their devices: who is born, what their aliases stand for, and whether their sequence numbers follow each other. */
export class EdgeNodes {
  readonly #view: SparkplugView
  readonly #limits: SparkplugLimits
  /** By edge node, since the start; the one that was born or spoke first comes first. */
  readonly #sequences = new Map<string, Sequence>()

  constructor(view: SparkplugView, limits: SparkplugLimits) {
    this.#view = view
    this.#limits = limits
  }

  /** Changes nothing: `changes` are for the group with which the payload is stored, then `settle` is called. */
  read(topic: SparkplugTopic, payload: SparkplugPayload): Reading {
    if (topic.type === 'NBIRTH') return this.#nodeBirth(topic, payload)
    if (topic.type === 'DBIRTH') return this.#deviceBirth(topic, payload)
    if (topic.type === 'NDEATH') return this.#nodeDeath(topic, payload)
    return this.#said(topic, payload)
  }

  #nodeBirth(topic: SparkplugTopic, payload: SparkplugPayload): Reading {
    const path = edgePath(topic)
    const metrics = namedMetrics(payload.metrics, undefined)
    const birth = (this.#view.status(path)?.birth ?? 0) + 1
    const status = { online: true, birth, bdSeq: bdSeqOf(payload) }
    const settle = (): void => {
      this.#remember(path, { last: payload.seq ?? 0, hasGap: false })
    }
    return { ...this.#born(path, metrics, status), isStale: false, rebirth: undefined, settle }
  }

  #deviceBirth(topic: SparkplugTopic, payload: SparkplugPayload): Reading {
    const edge = this.#view.status(edgePath(topic))
    const metrics = namedMetrics(payload.metrics, undefined)
    const sequence = this.#follow(topic, payload)
    if (edge?.online !== true)
      return { ...unborn, metrics, isStale: true, rebirth: 'no birth', settle: sequence.settle }
    const status = { online: true, birth: edge.birth, bdSeq: null }
    return { ...this.#born(devicePath(topic), metrics, status), ...sequence }
  }

  #born(
    path: string,
    metrics: readonly NamedMetric[] | undefined,
    status: SparkplugStatus,
  ): Pick<Reading, 'metrics' | 'status' | 'changes' | 'isFull'> {
    if (metrics === undefined) return unborn
    const born = metrics.map(({ name, datatype, metric }) => [name, aliasOf(metric.alias), datatype] as const)
    const changes = this.#view.bear(path, born, status, this.#limits)
    return { metrics, status, changes: changes ?? [], isFull: changes === undefined }
  }

  /** Only the death of the present birth counts: the will of an earlier connection may come late. */
  #nodeDeath(topic: SparkplugTopic, payload: SparkplugPayload): Reading {
    const path = edgePath(topic)
    const before = this.#view.status(path)
    const metrics = namedMetrics(payload.metrics, this.#view.metrics(path))
    const isPresent = before?.online === true && before.bdSeq === bdSeqOf(payload)
    const status = isPresent ? { ...before, online: false } : undefined
    const changes = status === undefined ? [] : [this.#view.putStatus(path, status)]
    return { ...unborn, metrics, status, changes, isStale: status === undefined, rebirth: undefined, settle: nothing }
  }

  /** Everything else: readings, commands, the death of a device. */
  #said(topic: SparkplugTopic, payload: SparkplugPayload): Reading {
    const { type, device } = topic
    const isCommand = type === 'NCMD' || type === 'DCMD'
    const path = device === undefined ? edgePath(topic) : devicePath(topic)
    const isBorn = this.#isBorn(topic)
    const metrics = namedMetrics(payload.metrics, isBorn ? this.#view.metrics(path) : undefined)
    if (isCommand) return { ...unborn, metrics, isStale: false, rebirth: undefined, settle: nothing }
    const sequence = this.#follow(topic, payload)
    const death = type === 'DDEATH' && isBorn ? { ...this.#view.status(path)!, online: false } : undefined
    const rebirth = !isBorn ? 'no birth' : metrics === undefined ? 'unknown alias' : sequence.rebirth
    return {
      metrics,
      status: death,
      changes: death === undefined ? [] : [this.#view.putStatus(path, death)],
      isFull: false,
      isStale: !isBorn || sequence.isStale,
      rebirth,
      settle: sequence.settle,
    }
  }

  #isBorn(topic: SparkplugTopic): boolean {
    const edge = this.#view.status(edgePath(topic))
    if (edge?.online !== true || topic.device === undefined) return edge?.online === true
    const device = this.#view.status(devicePath(topic))
    return device?.online === true && device.birth === edge.birth
  }

  /** After a start the first number that comes is taken as it is. */
  #follow(topic: SparkplugTopic, { seq }: SparkplugPayload): Pick<Reading, 'isStale' | 'rebirth' | 'settle'> {
    const path = edgePath(topic)
    const before = this.#sequences.get(path)
    const isGap = before !== undefined && seq !== (before.last + 1) % sequenceModulus
    const hasGap = isGap || before?.hasGap === true
    const settle = (): void => {
      if (seq !== undefined) this.#remember(path, { last: seq, hasGap })
    }
    return { isStale: hasGap, rebirth: hasGap ? 'sequence gap' : undefined, settle }
  }

  /** Of those whose births are known. */
  #remember(path: string, sequence: Sequence): void {
    if (this.#view.status(path) === undefined) return
    this.#sequences.set(path, sequence)
    if (this.#sequences.size > this.#limits.count) this.#sequences.delete(this.#sequences.keys().next().value!)
  }
}

const nothing = (): void => {}
const unborn = { metrics: undefined, status: undefined, changes: [], isFull: false } as const

export const edgePath = ({ group, edge }: SparkplugTopic): string => `${group}/${edge}`
const devicePath = (topic: SparkplugTopic): string => `${edgePath(topic)}/${topic.device}`

/** Exact: as a number where that is possible, else in digits. */
function aliasOf(alias: Long | undefined): number | string | null {
  if (alias === undefined) return null
  const exact = bigintOf(alias)
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : String(exact)
}

function bdSeqOf({ metrics }: SparkplugPayload): number | null {
  const found = metrics.find(({ name }) => name === bdSeqName)
  if (found?.longValue !== undefined) return Number(bigintOf(found.longValue))
  return found?.intValue ?? null
}

/** Undefined: one of them has no name or no data type. A null without a type is a null all the same. */
function namedMetrics(
  metrics: readonly WireMetric[],
  born: ReturnType<SparkplugView['metrics']>,
): readonly NamedMetric[] | undefined {
  const named: NamedMetric[] = []
  for (const metric of metrics) {
    const alias = aliasOf(metric.alias)
    const name = metric.name || (alias === null ? undefined : born?.names.get(alias))
    const datatype = metric.datatype || (name === undefined ? undefined : born?.datatypes.get(name))
    if (name === undefined || (datatype === undefined && metric.isNull !== true)) return undefined
    named.push({ name, datatype: datatype ?? 0, metric })
  }
  return named
}

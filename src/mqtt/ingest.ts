import type { Broker } from '../broker/broker.ts'
import type { ClockQuality } from '../broker/clock-quality.ts'
import type { Topic } from '../broker/topics.ts'
import { type GroupNumber, type PartitionId, partitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import { LazyMap } from '../core/lazy-map.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock } from '../platform/clock.ts'
import type { StateChange } from '../state/view.ts'
import { decodeText } from '../wire/mqtt/packet-reader.ts'
import type { PublishProperties } from '../wire/mqtt/publish-properties.ts'
import type { PublishScanner } from '../wire/mqtt/publish-scanner.ts'
import { isSystemTopic, topicNameFault } from '../wire/mqtt/topic-name.ts'
import { type Audience, nobody } from './audience.ts'
import { MemoryShare } from './memory-share.ts'
import type { PublishState } from './publish-state.ts'
import { type HeaderTemplate, headerTemplate, withProperties } from './record-headers.ts'
import type { SessionLog } from './session-log.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { OpenRoute, TopicRoutes } from './topic-routes.ts'

/** How publishes of one client to one topic are stored and handed on, worked out once. */
export interface PublishPlan {
  readonly topicBytes: Buffer
  readonly topic: string
  /** Why nothing can be published to it, or undefined. */
  readonly fault: string | undefined
  /** It is no topic name at all, which ends the connection. */
  readonly isMalformed: boolean
  /** Undefined: what is published to it is not simply appended. */
  open: OpenRoute | undefined
  audience: Audience
  /** The topic of `min.insync.replicas=2` to which it leads. */
  replicated: Topic | undefined
  /** Made when they are needed, by QoS and retain flag. */
  readonly headers: (HeaderTemplate | undefined)[]
  routesGeneration: number
  subscribersGeneration: number
  clock: ClockQuality
  /** What it holds of the memory budget. */
  bytes: number
}

export interface IngestParts {
  readonly broker: Broker
  readonly routes: TopicRoutes
  readonly subscriptions: Subscriptions
  readonly sessionLog: SessionLog
  readonly state: PublishState
  readonly clock: Clock
  readonly clockQuality: () => ClockQuality
  readonly metrics: Metrics
  readonly maxTopicLevels: number
  /** Nobody but the gateway publishes to it; '': there is none. */
  readonly ownTopic: string
  /** Plans of all connections together. */
  readonly maxPlans?: number
}

const defaultMaxPlans = 65_536
/** Plans may hold this part of the memory budget. */
const planShare = 16
const maxPlansPerClient = 256
const planOverheadBytes = 512
/** The topic stands in a plan as bytes, as text, as a key and in the name under which the plan is found. */
const topicCopies = 4

/** The plans of one connection. */
export class ClientPlans {
  readonly clientId: string
  readonly byTopic = new LazyMap<string, PublishPlan>()
  /** Devices publish to few topics: the plan of the publish before is mostly the right one. */
  last: PublishPlan | undefined

  constructor(clientId: string) {
    this.clientId = clientId
  }
}

/**
 * The hot path: publishes to stored topics go from the socket's bytes straight into the open batches, with what they change of retained state and
 * QoS 2 packet ids. What the plan cannot say is for `PublishStore`.
 */
export class Ingest {
  lastPartition: PartitionId = partitionId(0)
  lastOffset = -1
  readonly #parts: IngestParts
  readonly #maxPlans: number
  readonly #memory: MemoryShare
  #plans = 0
  #wallMs = 0
  #quality: ClockQuality = 'unknown'

  constructor(parts: IngestParts) {
    this.#parts = parts
    this.#maxPlans = parts.maxPlans ?? defaultMaxPlans
    this.#memory = new MemoryShare(parts.broker.memory, planShare)
  }

  /** All publishes of one read get one receive time. */
  startRead(): void {
    this.#wallMs = this.#parts.clock.wallMs()
    this.#quality = this.#parts.clockQuality()
  }

  /** The plan for the topic `bytes[start, end)`, brought up to date. */
  planFor(plans: ClientPlans, bytes: Buffer, start: number, end: number): PublishPlan {
    let plan = plans.last
    if (plan === undefined || !sameBytes(plan.topicBytes, bytes, start, end)) {
      const name = bytes.toString('latin1', start, end)
      plan = plans.byTopic.get(name) ?? this.#newPlan(plans, name, bytes, start, end)
      plans.last = plan
    }
    if (
      plan.routesGeneration !== this.#parts.routes.generation ||
      plan.subscribersGeneration !== this.#parts.subscriptions.generation ||
      plan.clock !== this.#quality
    ) {
      this.#renew(plan)
    }
    return plan
  }

  /**
   * Stores the PUBLISH that the scanner stands on, with its changes of state in one group; `lastPartition` and `lastOffset` say where. Returns its
   * group. Throws what `Broker.appendRecord` throws; then nothing was stored.
   */
  append(
    plans: ClientPlans,
    plan: PublishPlan,
    bytes: Buffer,
    scanner: PublishScanner,
    properties: PublishProperties,
    changes: readonly StateChange[],
  ): GroupNumber {
    const { broker, routes, sessionLog, state } = this.#parts
    const open = plan.open!
    const template = this.#headersOf(plan, plans.clientId, scanner)
    const { count } = properties
    const headers =
      count === 0
        ? template.whole
        : withProperties(template, bytes, scanner.propertiesStart, scanner.propertiesEnd, count)
    const index = open.partition ?? routes.partitionFor(open)
    this.lastPartition = open.topic.partitions[index]!
    if (plan.audience.size > 0) sessionLog.expect(plan.audience, scanner.qos, this.lastPartition)
    if (changes.length > 0) {
      const value = bytes.subarray(scanner.payloadStart, scanner.frameEnd)
      const record = {
        partition: this.lastPartition,
        timestampMs: this.#wallMs,
        key: open.destination.key,
        value,
        headers,
      }
      const group = state.write(changes, [record])
      this.lastOffset = broker.offsets(this.lastPartition).logEnd - 1
      return group
    }
    this.lastOffset = broker.appendRecord(
      open.topic,
      index,
      this.#wallMs,
      open.destination.key,
      bytes,
      scanner.payloadStart,
      scanner.frameEnd,
      headers,
    )
    return broker.openGroup
  }

  /** The connection is gone. */
  forget(plans: ClientPlans): void {
    this.#release(plans)
  }

  #newPlan(plans: ClientPlans, name: string, bytes: Buffer, start: number, end: number): PublishPlan {
    const planBytes = planOverheadBytes + topicCopies * (end - start)
    const noRoom = this.#plans >= this.#maxPlans || !this.#memory.hasRoom(planBytes)
    if (plans.byTopic.size >= maxPlansPerClient || noRoom) this.#release(plans)
    const topicBytes = Buffer.from(bytes.subarray(start, end))
    const topic = decodeText(bytes, start, end)
    const plan: PublishPlan = {
      topicBytes,
      topic: topic ?? '',
      fault:
        topic === undefined ? 'a topic must be well-formed UTF-8' : topicNameFault(topic, this.#parts.maxTopicLevels),
      isMalformed: topic === undefined || /[+#]/.test(topic),
      open: undefined,
      audience: nobody,
      replicated: undefined,
      headers: [],
      routesGeneration: -1,
      subscribersGeneration: -1,
      clock: this.#quality,
      bytes: planBytes,
    }
    plans.byTopic.set(name, plan)
    this.#plans++
    this.#memory.hold(planBytes)
    return plan
  }

  #renew(plan: PublishPlan): void {
    const { routes, subscriptions } = this.#parts
    if (plan.fault !== undefined) return
    const clockChanged = plan.clock !== this.#quality
    if (plan.routesGeneration !== routes.generation || clockChanged) this.#route(plan)
    plan.subscribersGeneration = subscriptions.generation
    plan.audience = subscriptions.audienceOf(plan.topic)
  }

  /** What cannot be routed is tried again by `PublishStore`, which says why. */
  #route(plan: PublishPlan): void {
    const { routes } = this.#parts
    plan.clock = this.#quality
    plan.open = undefined
    this.#resize(plan, -headerBytes(plan))
    plan.headers.length = 0
    try {
      if (!isSystemTopic(plan.topic) && plan.topic !== this.#parts.ownTopic) plan.open = routes.open(plan.topic)
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
    }
    // making the topic has changed the generation: the plan is for what is now
    plan.routesGeneration = routes.generation
    const topic = plan.open?.topic
    plan.replicated = topic !== undefined && this.#parts.broker.replica.follows(topic) ? topic : undefined
    // its payloads are not stored as they come
    if (plan.open?.destination.sparkplug !== undefined) plan.open = undefined
  }

  #headersOf(plan: PublishPlan, clientId: string, { qos, retain }: PublishScanner): HeaderTemplate {
    const index = 2 * qos + (retain ? 1 : 0)
    const known = plan.headers[index]
    if (known !== undefined) return known
    const { destination } = plan.open!
    const template = headerTemplate({
      clientId,
      mqttTopic: destination.keyIsTopic ? undefined : plan.topic,
      qos,
      retain,
      routeHeaders: destination.headers,
      clock: plan.clock,
    })
    plan.headers[index] = template
    this.#resize(plan, template.whole.length)
    return template
  }

  #resize(plan: PublishPlan, addedBytes: number): void {
    plan.bytes += addedBytes
    this.#memory.hold(addedBytes)
  }

  #release(plans: ClientPlans): void {
    this.#plans -= plans.byTopic.size
    for (const { bytes } of plans.byTopic.values()) this.#memory.hold(-bytes)
    plans.byTopic.clear()
    plans.last = undefined
  }
}

function sameBytes(wanted: Buffer, bytes: Buffer, start: number, end: number): boolean {
  const { length } = wanted
  if (length !== end - start) return false
  for (let index = length - 1; index >= 0; index--) if (wanted[index] !== bytes[start + index]) return false
  return true
}

const headerBytes = ({ headers }: PublishPlan): number =>
  headers.reduce((sum, one) => sum + (one?.whole.length ?? 0), 0)

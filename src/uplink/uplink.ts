import type { Broker } from '../broker/broker.ts'
import type { ClockQuality } from '../broker/clock-quality.ts'
import type { LossAcknowledgement, UplinkControls, UplinkSkip } from '../broker/uplink-summary.ts'
import { Cluster } from '../client/cluster.ts'
import type { Credentials } from '../client/credentials.ts'
import { ConnectionLost, isClientError } from '../client/kafka-error.ts'
import type { Settings } from '../config/settings.ts'
import { BrokerError } from '../core/errors.ts'
import { version } from '../core/version.ts'
import { type Clock, sleep, type Timer } from '../platform/clock.ts'
import type { Logger } from '../platform/logger.ts'
import type { Network } from '../platform/network.ts'
import type { Random } from '../platform/random.ts'
import type { OffsetMapView } from '../state/offset-map.ts'
import type { StateLog } from '../state/state-log.ts'
import type { LeftOutSpan, SkippedSpan, UplinkView } from '../state/uplink.ts'
import type { Ancestor } from '../storage/meta.ts'
import { acknowledgeLoss, acknowledgementFault } from './acknowledged.ts'
import { type AuditParts, auditUplink, type UplinkAudit } from './audit.ts'
import { Backoff } from './backoff.ts'
import { Caps } from './caps.ts'
import type { Lane } from './lane.ts'
import { Lanes } from './lanes.ts'
import { joinedSpans, leftOutOf } from './left-out.ts'
import { LinkRate } from './link-rate.ts'
import { OffsetMaps } from './offset-maps.ts'
import { Packing } from './packing.ts'
import type { ReadBackParts } from './read-back.ts'
import { Selection } from './selection.ts'
import { type Delivery, Session, type SessionParts } from './session.ts'
import { isGivenUp, ownSpans, skipBatch, skipFault } from './skip.ts'
import { Tails } from './tails.ts'
import { TargetTopics } from './target-topics.ts'
import { UplinkFenced, UplinkStopped } from './uplink-errors.ts'
import { UpstreamPositions } from './upstream-positions.ts'

export interface UplinkParts {
  readonly broker: Broker
  readonly state: StateLog
  readonly view: UplinkView
  readonly offsetMap: OffsetMapView
  readonly settings: Settings
  readonly gatewayId: string
  readonly incarnation: string
  /** The logs that this one was made of, oldest first; absent: none. */
  readonly ancestors?: readonly Ancestor[]
  readonly network: Network
  readonly credentials: Credentials
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly clockQuality: () => ClockQuality
}

/**
 * `connecting`: no session. `connected`: all is upstream, or on its way. `waiting`: until the next attempt. `stopped`: somebody upstream must act.
 * `paused`: until somebody here resumes it. `fenced`: this log does not send any more.
 */
export type UplinkState = 'connecting' | 'connected' | 'waiting' | 'stopped' | 'paused' | 'fenced'

/** What only somebody upstream can change is looked at again after this. */
const stoppedPauseMs = 60_000
/** What a session found out that has no transactions is looked at again after this. */
const renewMs = 10 * 60_000
/** A round that is under way when the gateway stops may take this long. */
const finishMs = 2_000

/**
 * Replication to the central cluster, exactly once (decision 060): sessions, and in each of them rounds, one transaction each. Whatever goes
 * wrong in a round ends the session; the next one finds out from the positions topic what is upstream.
 */
export class Uplink implements UplinkControls {
  readonly lanes: Lanes
  readonly caps: Caps
  readonly offsetMaps: OffsetMaps
  readonly #parts: UplinkParts
  readonly #cluster: Cluster
  readonly #upstream: UpstreamPositions
  readonly #rate = new LinkRate()
  readonly #tails: Tails
  readonly #sessions: SessionParts
  #session: Session | undefined
  /** As it was said last. */
  #said: Delivery['kind'] | undefined
  readonly #backoff: Backoff
  #state: Exclude<UplinkState, 'paused' | 'fenced'> = 'connecting'
  #lastError: string | undefined
  #isEnding = false
  #waiting: { readonly atMs: number; readonly timer: Timer | undefined; readonly end: () => void } | undefined
  #running: Promise<void> | undefined
  #auditing: Promise<UplinkAudit> | undefined

  constructor(parts: UplinkParts) {
    const { settings, broker, clock, random, gatewayId, incarnation } = parts
    this.#parts = parts
    this.#cluster = this.openCluster()
    this.#upstream = new UpstreamPositions(parts)
    this.caps = new Caps(settings, {
      wallMs: () => clock.wallMs(),
      isRight: () => parts.clockQuality() === 'synchronised',
    })
    const { caps } = this
    const selection = new Selection(settings, gatewayId)
    const positionOf = (topic: string, partition: number) => this.#upstream.of(topic, partition)
    this.lanes = new Lanes({ ...parts, selection, positionOf, caps })
    const { lanes } = this
    this.#tails = new Tails({ ...parts, cluster: this.#cluster, lanes })
    this.offsetMaps = new OffsetMaps({ ...parts, view: parts.offsetMap })
    this.#sessions = {
      ...parts,
      offsetMaps: this.offsetMaps,
      cluster: this.#cluster,
      upstream: this.#upstream,
      lanes,
      targets: new TargetTopics(this.#cluster),
      packing: new Packing(
        settings,
        { gateway: gatewayId, logId: broker.logId, incarnation },
        broker,
        this.#rate,
        clock,
      ),
      rate: this.#rate,
      caps,
      tails: this.#tails,
    }
    broker.metrics.gauge('uplinkLag', () => lanes.lagInAll)
    broker.metrics.gauge('uplinkRefused', () => lanes.refused)
    broker.metrics.gauge('uplinkPaused', () => (parts.view.paused ? 1 : 0))
    this.#backoff = new Backoff(settings['uplink.retry.backoff.ms'], settings['uplink.retry.backoff.max.ms'], random)
  }

  get state(): UplinkState {
    const { view } = this.#parts
    return this.#fenced !== undefined ? 'fenced' : view.paused ? 'paused' : this.#state
  }

  /** What went wrong last, until the next round that went well. */
  get lastError(): string | undefined {
    return this.#lastError ?? this.#fenced
  }

  get #fenced(): string | undefined {
    const { view, broker } = this.#parts
    return view.fenced(broker.logId)
  }

  /** Monotonic time of the next attempt; undefined: none is due. */
  get retryAtMs(): number | undefined {
    return this.#waiting?.timer === undefined ? undefined : this.#waiting.atMs
  }

  /** What the link carried; undefined before it was measured. */
  get bytesPerSecond(): number | undefined {
    return this.#rate.bytesPerSecond
  }

  /** What became of the records of each round is known: of one that failed only the next session finds that out, also when it is paused meanwhile. */
  isSettled({ isUnderWay }: Lane): boolean {
    return this.#state === 'connected' && !isUnderWay
  }

  /** How the present session, or the last one, brings records up; undefined before the first. */
  get delivery(): Delivery | undefined {
    return this.#session?.delivery
  }

  /** The offset below which all of the partition is upstream; undefined when it does not go up. */
  upstreamThrough(topic: string, partition: number): number | undefined {
    return this.lanes.find(topic, partition)?.next
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Lets a round finish that is under way, keeps what is known, and ends the connections. */
  async stop(): Promise<void> {
    this.#isEnding = true
    this.#wake()
    const { clock } = this.#parts
    await Promise.race([this.#running, sleep(clock, finishMs)])
    // what still waits for a connection finds the cluster closed
    this.#cluster.close()
    this.#upstream.copy(this.#tails, { now: true })
    this.offsetMaps.copy({ now: true })
  }

  async pause(): Promise<void> {
    const { view, state, logger } = this.#parts
    if (!view.paused) {
      state.write([view.putPaused(state.logAge)])
      logger.warn({}, 'the uplink is paused: nothing goes up until `brooklet uplink resume`')
    }
    this.#wake()
    await state.durable(view)
  }

  async resume(): Promise<void> {
    const { view, state, logger } = this.#parts
    if (view.paused) {
      state.write([view.removePaused()])
      logger.info({}, 'the uplink goes on')
    }
    this.#wake()
    await state.durable(view)
  }

  async skip(skip: UplinkSkip): Promise<string | undefined> {
    const { view, state, clock, broker, logger } = this.#parts
    const lane = this.lanes.find(skip.topic, skip.partition)
    const spans = lane === undefined ? 0 : ownSpans(view, lane).length
    const fault = skipFault(lane, skip, spans, clock.monotonicMs())
    if (lane === undefined || fault !== undefined) return fault
    await skipBatch(lane, state, view)
    broker.replica.gaveUp(lane.id, skip.last + 1)
    broker.metrics.add('uplinkSkipped', skip.last - skip.first + 1)
    logger.warn({ ...skip }, 'records were skipped on their way up')
    this.lanes.queue(lane)
    return undefined
  }

  async acknowledge(acknowledgement: LossAcknowledgement): Promise<string | undefined> {
    const { view, logger } = this.#parts
    const lane = this.lanes.find(acknowledgement.topic, acknowledgement.partition)
    const fault = acknowledgementFault(view, lane, acknowledgement)
    if (lane === undefined || fault !== undefined) return fault
    await acknowledgeLoss(this.#parts, lane, acknowledgement)
    logger.warn({ ...acknowledgement }, 'a loss upstream was acknowledged')
    return undefined
  }

  /** May this record never come upstream? */
  isGivenUp(topic: string, partition: number, offset: number): boolean {
    const lane = this.lanes.find(topic, partition)
    return lane !== undefined && isGivenUp(lane, offset, this.#parts)
  }

  /** What operators gave up of the topics that there are. */
  *skipped(): Generator<SkippedSpan & Pick<UplinkSkip, 'topic' | 'partition'>> {
    for (const lane of this.lanes.all()) {
      const { topic, partition } = lane
      for (const span of ownSpans(this.#parts.view, lane)) yield { ...span, topic, partition }
    }
  }

  /** What rules left out of the topics that there are. */
  *leftOut(): Generator<LeftOutSpan & Pick<UplinkSkip, 'topic' | 'partition'>> {
    for (const lane of this.lanes.all()) {
      const { topic, partition } = lane
      for (const span of joinedSpans(leftOutOf(this.#parts.view, lane).spans)) yield { ...span, topic, partition }
    }
  }

  /** Compares what was sent with what the central cluster says; one at a time. */
  audit(): Promise<UplinkAudit> {
    this.#auditing ??= auditUplink(this.#auditParts).finally(() => {
      this.#auditing = undefined
    })
    return this.#auditing
  }

  /** Reads back what stands upstream, too; `tell` hears how far it is, and ends it by throwing. */
  deepAudit(tell: ReadBackParts['tell']): Promise<UplinkAudit> {
    return auditUplink({ ...this.#auditParts, tell })
  }

  get #auditParts(): AuditParts {
    const positionsTopic = this.#parts.settings['uplink.positions.topic']
    return { ...this.#parts, lanes: this.lanes, positionsTopic, openCluster: () => this.openCluster() }
  }

  /** Connections of their own to the central cluster; whoever opens them closes them. */
  openCluster(): Cluster {
    const { settings, clock, network, credentials, gatewayId } = this.#parts
    return new Cluster(network, clock, {
      bootstrap: settings['uplink.bootstrap.servers'],
      clientId: `brooklet-${gatewayId}`,
      connectTimeoutMs: settings['uplink.request.timeout.ms'],
      requestTimeoutMs: settings['uplink.request.timeout.ms'],
      softwareVersion: version,
      credentials,
    })
  }

  /** Somebody wants that nothing is sent, for now or for good. */
  get #isHeld(): boolean {
    return this.#isEnding || this.#parts.view.paused
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      try {
        if (this.#isHeld) await this.#wait(Number.POSITIVE_INFINITY)
        else await this.#connect().finally(() => this.#disconnected())
      } catch (error) {
        if (this.#isEnding) return
        await this.#failed(error)
      }
    }
  }

  #disconnected(): void {
    const { broker, clock } = this.#parts
    broker.replica.disconnected()
    // what sessions cost that never come to a round is not to come as one debt after the outage
    this.caps.count(this.#cluster.sentBytes, new Map(), clock.monotonicMs())
  }

  async #connect(): Promise<void> {
    const { settings, broker, clock } = this.#parts
    const { replica } = broker
    this.#state = 'connecting'
    const session = await Session.open(this.#sessions)
    this.#session = session
    this.lanes.restart()
    for (const lane of this.lanes.all()) this.offsetMaps.note(lane)
    this.#state = 'connected'
    replica.connected()
    let sinceMs = clock.monotonicMs()
    const renewAtMs = sinceMs + renewMs
    while (!this.#isHeld) {
      if (await this.lanes.ready()) sinceMs = clock.monotonicMs()
      // what came during a round has waited for its end
      const lingerMs = settings['uplink.linger.ms'] - (clock.monotonicMs() - sinceMs)
      if (!session.isBehind && lingerMs > 0) await replica.linger(lingerMs)
      sinceMs = clock.monotonicMs()
      const hasSent = !this.#isHeld && (await session.round())
      replica.advanced()
      if (!hasSent) {
        sinceMs = clock.monotonicMs()
        continue
      }
      this.#upstream.copy(this.#tails)
      this.offsetMaps.copy()
      this.#backoff.reset()
      this.#lastError = undefined
      this.#sayDelivery(session.delivery)
      // somebody may have given the right that was missing
      if (session.delivery.kind !== 'transactions' && clock.monotonicMs() >= renewAtMs) return
    }
  }

  #sayDelivery({ kind, reason }: Delivery): void {
    if (kind === this.#said) return
    const { logger } = this.#parts
    this.#said = kind
    if (kind === 'transactions') logger.info({}, 'what goes up goes up in transactions')
    else if (kind === 'read-back')
      logger.warn({ reason }, 'without transactions what goes up is read back after failures')
    else logger.warn({ reason }, 'after failures records may be upstream twice: what stands there cannot be read back')
  }

  async #failed(error: unknown): Promise<void> {
    const { logger, broker } = this.#parts
    if (!isExpected(error)) throw error
    broker.metrics.add('uplinkInterruptions')
    const { message } = error
    if (message !== this.#lastError) logger.warn({ error: message }, 'the uplink was interrupted')
    this.#lastError = message
    if (error instanceof UplinkFenced) return this.#wait(Number.POSITIVE_INFINITY)
    if (error instanceof UplinkStopped) {
      this.#state = 'stopped'
      return this.#wait(stoppedPauseMs)
    }
    if (error instanceof ConnectionLost) this.#rate.timedOut()
    this.#state = 'waiting'
    return this.#wait(this.#backoff.pauseMs())
  }

  /** Until the time is over or somebody ends it. */
  async #wait(ms: number): Promise<void> {
    // paused meanwhile: that is what is waited for
    if (this.#isHeld && ms !== Number.POSITIVE_INFINITY) return
    const { clock } = this.#parts
    await new Promise<void>(resolve => {
      const timer = ms === Number.POSITIVE_INFINITY ? undefined : clock.after(ms, resolve)
      this.#waiting = { atMs: clock.monotonicMs() + ms, timer, end: resolve }
    })
    this.#waiting?.timer?.cancel()
    this.#waiting = undefined
  }

  /** Whatever is waited for, the reasons to wait are looked at again. */
  #wake(): void {
    this.lanes.wake()
    this.#waiting?.end()
  }
}

const isExpected = (error: unknown): error is Error =>
  isClientError(error) ||
  error instanceof UplinkFenced ||
  error instanceof UplinkStopped ||
  error instanceof BrokerError

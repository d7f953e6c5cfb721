import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { CommitWriter } from '../platform/commit-writer.ts'
import type { Logger } from '../platform/logger.ts'
import type { CommitLinger } from './commit-linger.ts'
import { groupFlags, writeGroupHeader } from './group.ts'
import type { GroupGatherer } from './group-gatherer.ts'
import { firstGroupPosition } from './layout.ts'
import type { LogAge } from './log-age.ts'
import { arenaGroupStart, type OpenGroup } from './open-group.ts'
import type { Placement, SegmentWriter } from './segment-writer.ts'

/** End of the chain: what the next group's header refers to. */
export interface ChainEnd {
  readonly group: number
  readonly crc: number
}

export interface PipelineOwner {
  /** The group stands on the device, at `placement`; its bytes are still in the arena. */
  durable(group: OpenGroup, placement: Placement, arena: Buffer): void
  /** Writing is over. */
  failed(error: BrokerError): void
}

/** What every group header of this start carries. */
export interface StartIdentity {
  readonly logId: string
  readonly logEpoch: number
  readonly salt: bigint
}

/**
 * Group commit: one commit is under way at a time while the next group gathers. Idle, a group goes out at the end of the present batch
 * of I/O events; under load, when the commit before it has returned and `CommitLinger` lets it go. A sync is never retried.
 */
export class CommitPipeline {
  readonly #writer: CommitWriter
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #metrics: Metrics
  readonly #gatherer: GroupGatherer
  readonly #segments: SegmentWriter
  readonly #logAge: LogAge
  readonly #linger: CommitLinger
  readonly #identity: StartIdentity
  readonly #owner: PipelineOwner
  #end: ChainEnd
  /** Closed, waits for prepared space. */
  #next: OpenGroup | undefined
  #placed: Placement | undefined
  #busy = false
  /** Of the write under way. */
  #writingBytes = 0
  #armed = false
  #lingering: Timer | undefined
  #failure: BrokerError | undefined

  constructor(
    parts: {
      writer: CommitWriter
      clock: Clock
      logger: Logger
      metrics: Metrics
      gatherer: GroupGatherer
      segments: SegmentWriter
      logAge: LogAge
      linger: CommitLinger
    },
    identity: StartIdentity,
    end: ChainEnd,
    owner: PipelineOwner,
  ) {
    this.#writer = parts.writer
    this.#clock = parts.clock
    this.#logger = parts.logger
    this.#metrics = parts.metrics
    this.#gatherer = parts.gatherer
    this.#segments = parts.segments
    this.#logAge = parts.logAge
    this.#linger = parts.linger
    this.#linger.onChange(() => {
      this.#lingering?.cancel()
      this.#lingering = undefined
      this.wake()
    })
    this.#identity = identity
    this.#end = end
    this.#owner = owner
  }

  /** Newest group on the device. */
  get durableGroup(): number {
    return this.#end.group
  }

  get failure(): BrokerError | undefined {
    return this.#failure
  }

  /** A closed group waits for a slot. */
  get stalled(): boolean {
    return this.#next !== undefined && !this.#busy
  }

  /** Bytes accepted that are not durable yet: the ends of segments do not count them. */
  get waitingBytes(): number {
    return this.#writingBytes + (this.#next?.bytes ?? 0) + this.#gatherer.waitingBytes
  }

  /** Something was appended: commit at the end of this batch of I/O events, or when the commit under way returns. */
  wake(): void {
    if (this.#armed || this.#busy) return
    this.#armed = true
    this.#clock.afterIo(() => {
      this.#armed = false
      this.pump()
    })
  }

  /** Starts the next commit unless one is under way or there is no space for it. */
  pump(): void {
    if (this.#busy || this.#failure !== undefined) return
    if (this.#next === undefined && this.#lingers()) return
    const group = this.#next ?? this.#gatherer.takeNext()
    if (group === undefined) return
    this.#next = group
    const arena = this.#arenaOf(group)
    this.#placed ??= this.#segments.place(group, arena, () => ({
      logId: this.#identity.logId,
      salt: this.#identity.salt,
      firstGroup: group.number,
      previousCrc: this.#end.crc,
      logEpoch: this.#identity.logEpoch,
    }))
    const placement = this.#placed
    if (placement === undefined || !this.#segments.isPrepared(placement)) return
    this.#next = undefined
    this.#placed = undefined
    this.#busy = true
    const crc = this.#finishArena(group, placement, arena)
    const startedMs = this.#clock.monotonicMs()
    const { arenaStart, writeBytes, writePosition, segment } = placement
    this.#writingBytes = writeBytes
    this.#writer.write(group.arena, arenaStart, writeBytes, segment.slot.path, writePosition).then(
      () => {
        this.#metrics.add('storageCommitMicros', Math.round((this.#clock.monotonicMs() - startedMs) * 1000))
        this.#committed(group, placement, arena, crc)
      },
      (error: unknown) => this.fail(error),
    )
  }

  /** True: the group that gathers stays open for now; a timer calls `pump` when it has waited long enough. */
  #lingers(): boolean {
    const nowMs = this.#clock.monotonicMs()
    const records = this.#gatherer.openRecords
    const waitMs = records === undefined ? 0 : this.#linger.waitMs(nowMs, records)
    if (waitMs > 0) {
      this.#lingering ??= this.#clock.after(waitMs, () => {
        this.#lingering = undefined
        this.pump()
      })
      return true
    }
    this.#lingering?.cancel()
    this.#lingering = undefined
    if (records !== undefined) this.#linger.committed(nowMs, records)
    return false
  }

  /** The log closes: what was appended meanwhile (housekeeping does not know yet) stays in memory, and who waits for it hears so. */
  stop(): void {
    if (this.#failure !== undefined) return
    this.#lingering?.cancel()
    this.#failure = new BrokerError('shuttingDown', 'the log is closed')
    this.#owner.failed(this.#failure)
  }

  /** Any error on the way to the device ends writing: what the device holds is not known any more. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = new BrokerError('storageFailed', `the log cannot be written: ${String(error)}; restart the broker`)
    this.#metrics.add('storageFailures')
    this.#logger.error({ error: String(error) }, 'a write to the log failed, nothing more is written until a restart')
    this.#owner.failed(this.#failure)
  }

  #committed(group: OpenGroup, placement: Placement, arena: Buffer, crc: number): void {
    const { segment } = placement
    this.#segments.advance(placement, group, arena)
    this.#writingBytes = 0
    segment.lastGroup = group.number
    segment.lastCrc = crc
    this.#end = { group: group.number, crc }
    this.#metrics.add('storageGroups')
    this.#metrics.add('storageGroupBytes', placement.writeBytes)
    this.#metrics.add('storageRecords', group.recordCount)
    this.#busy = false
    this.#owner.durable(group, placement, arena)
    this.#gatherer.releaseArena(group.arena)
    this.pump()
  }

  #finishArena(group: OpenGroup, placement: Placement, arena: Buffer): number {
    if ((group.flags & groupFlags.start) !== 0 && placement.position !== firstGroupPosition) {
      placement.segment.addSalt(placement.position, this.#identity.salt)
    }
    const crc = writeGroupHeader(arena, arenaGroupStart, {
      flags: group.flags,
      salt: this.#identity.salt,
      number: group.number,
      durableThrough: this.#end.group,
      length: group.bytes,
      frameCount: group.frameCount,
      previousCrc: this.#end.crc,
      logEpoch: this.#identity.logEpoch,
      logAge: this.#logAge.seconds,
      sinceBoot: this.#logAge.sinceBoot,
      bootHash: this.#logAge.bootHash,
    })
    arena.fill(0, arenaGroupStart + group.bytes, placement.arenaStart + placement.writeBytes)
    return crc
  }

  #arenaOf(group: OpenGroup): Buffer {
    return this.#writer.arenas[group.arena]!
  }
}

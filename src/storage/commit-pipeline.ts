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
import { isDeviceError } from './salvaging-file.ts'
import type { Placement, SegmentWriter } from './segment-writer.ts'
import type { UnsyncedGroups, WrittenGroup } from './unsynced-groups.ts'

/** End of the chain: what the next group's header refers to. */
export interface ChainEnd {
  readonly group: number
  readonly crc: number
}

export interface PipelineOwner {
  /** The group stands on the device. In the order of groups; `bytes` are valid during the call. */
  durable(written: WrittenGroup): void
  /** Everything up to this group may be acknowledged: it is durable, or relaxed and with the kernel. */
  ackable(group: number): void
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
 *
 * A group of relaxed partitions alone is handed to the kernel, and becomes durable with the next group that is synced, or by a sync of its
 * own in time. Whatever a segment has is synced before the next one begins: what is not synced stands in one stretch of one slot.
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
  readonly #unsynced: UnsyncedGroups
  /** The newest group that was written. */
  #end: ChainEnd
  /** The newest group that is on the device. */
  #durable: number
  /** Groups whose sync is not to be left to the next one in time, in order. */
  readonly #hastened: number[] = []
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
      unsynced: UnsyncedGroups
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
    this.#unsynced = parts.unsynced
    this.#unsynced.onOverdue(() => this.pump())
    this.#identity = identity
    this.#end = end
    this.#durable = end.group
    this.#owner = owner
  }

  /** Newest group on the device. */
  get durableGroup(): number {
    return this.#durable
  }

  /** Newest group that may be acknowledged. */
  get ackableGroup(): number {
    return this.#end.group
  }

  /** Everything up to the group is synced as soon as may be; what is appended after the call becomes durable after it, never with it. */
  hasten(group: number): void {
    if (group <= this.#durable || this.#hastened.includes(group)) return
    this.#hastened.push(group)
    this.#hastened.sort((one, other) => one - other)
    if (this.#unsynced.count > 0) this.wake()
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
    return this.#unsynced.bytes + this.#writingBytes + (this.#next?.bytes ?? 0) + this.#gatherer.waitingBytes
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

  /** Starts the next commit or sync unless one is under way or there is no space for it. */
  pump(): void {
    if (this.#busy || this.#failure !== undefined) return
    if (this.#syncIsDue) {
      this.#sync()
      return
    }
    if (this.#next === undefined && this.#lingers()) return
    const group = this.#next ?? this.#gatherer.takeNext()
    if (group === undefined) return
    this.#next = group
    if (this.#placed === undefined && this.#unsynced.count > 0 && this.#segments.beginsSegment(group)) {
      this.#sync()
      return
    }
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
    this.#write(group, placement, arena)
  }

  #write(group: OpenGroup, placement: Placement, arena: Buffer): void {
    const crc = this.#finishArena(group, placement, arena)
    const { arenaStart, writeBytes, writePosition, segment } = placement
    const stretch = [group.arena, arenaStart, writeBytes, segment.slot.path, writePosition] as const
    const bytes = arena.subarray(arenaGroupStart, arenaGroupStart + group.bytes)
    const written = { group, placement, crc, bytes }
    this.#writingBytes = writeBytes
    if (this.#mayWaitForSync(group, placement)) {
      this.#run(this.#writer.handOver(...stretch), () => this.#handedOver(written, arena))
    } else this.#run(this.#writer.write(...stretch), () => this.#committed(written, arena))
  }

  /** What begins a segment is synced, and so is a relaxed group for which too much waits already. */
  #mayWaitForSync(group: OpenGroup, placement: Placement): boolean {
    const isHastened = this.#hastened.includes(group.number)
    const isFirst = placement.position === firstGroupPosition
    return group.isRelaxed && !isHastened && !isFirst && this.#unsynced.hasRoom(group.bytes)
  }

  get #syncIsDue(): boolean {
    const isHastened = this.#hastened[0] !== undefined && this.#hastened[0] <= this.#end.group
    return this.#unsynced.count > 0 && (this.#unsynced.isOverdue || isHastened)
  }

  #sync(): void {
    const { slot } = this.#segments.active!
    this.#run(this.#writer.sync(slot.path), () => {
      this.#becameDurable(this.#unsynced.takeAll())
      this.#goOn()
    })
  }

  /** One operation at a time; its time counts as that of commits. */
  #run(operation: Promise<void>, done: () => void): void {
    this.#busy = true
    const startedMs = this.#clock.monotonicMs()
    operation.then(
      () => {
        this.#metrics.add('storageCommitMicros', Math.round((this.#clock.monotonicMs() - startedMs) * 1000))
        done()
      },
      (error: unknown) => {
        if (isDeviceError(error)) this.#segments.active?.slot.turnBad()
        this.fail(error)
      },
    )
  }

  /** True: the group that gathers stays open for now; a timer calls `pump` when it has waited long enough. */
  #lingers(): boolean {
    const nowMs = this.#clock.monotonicMs()
    const records = this.#gatherer.openRecords
    const waitMs = records === undefined ? 0 : this.#linger.waitMs(nowMs, records, this.#gatherer.openIsRelaxed)
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
    this.#unsynced.stop()
    this.#failure = new BrokerError('shuttingDown', 'the log is closed')
    this.#owner.failed(this.#failure)
  }

  /**
   * Any error on the way to the device ends writing: what the device holds is not known any more. Relaxed groups that were acknowledged and
   * are not synced may be lost with it.
   */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = new BrokerError('storageFailed', `the log cannot be written: ${String(error)}; restart the broker`)
    this.#unsynced.stop()
    this.#metrics.add('storageFailures')
    this.#logger.error({ error: String(error) }, 'a write to the log failed, nothing more is written until a restart')
    this.#owner.failed(this.#failure)
  }

  #committed(written: WrittenGroup, arena: Buffer): void {
    this.#wrote(written, arena)
    this.#becameDurable([...this.#unsynced.takeAll(), written])
    this.#gatherer.releaseArena(written.group.arena)
    this.#owner.ackable(written.group.number)
    this.#goOn()
  }

  #handedOver(written: WrittenGroup, arena: Buffer): void {
    this.#wrote(written, arena)
    this.#unsynced.add(written)
    this.#gatherer.releaseArena(written.group.arena)
    this.#owner.ackable(written.group.number)
    this.#goOn()
  }

  #wrote({ group, placement, crc }: WrittenGroup, arena: Buffer): void {
    this.#segments.written(placement, group, arena)
    this.#writingBytes = 0
    this.#end = { group: group.number, crc }
  }

  /** One sync made these durable; nothing that was written is left out. */
  #becameDurable(groups: readonly WrittenGroup[]): void {
    this.#metrics.add('storageSyncs')
    this.#metrics.add('storageGroupBytes', stretchBytes(groups))
    for (const written of groups) {
      const { group, placement, crc } = written
      this.#segments.durable(placement, group, crc)
      this.#durable = group.number
      if (this.#hastened[0] === group.number) this.#hastened.shift()
      this.#metrics.add('storageGroups')
      this.#metrics.add('storageRecords', group.recordCount)
      this.#owner.durable(written)
    }
  }

  #goOn(): void {
    this.#busy = false
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
      durableThrough: this.#durable,
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

/** Bytes of the stretch that groups one behind the other take, in whole blocks: a block that two of them share is written once. */
const stretchBytes = (groups: readonly WrittenGroup[]): number => {
  const { writePosition: last, writeBytes } = groups.at(-1)!.placement
  return last + writeBytes - groups[0]!.placement.writePosition
}

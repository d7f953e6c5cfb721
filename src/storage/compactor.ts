import type { MemoryBudget } from '../core/memory-budget.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Logger } from '../platform/logger.ts'
import type { BatchReader } from './batch-reader.ts'
import { type ColdLog, type ColdPublication, type Gain, pauseBetween } from './cold-publication.ts'
import { CompactionPass, type PassParts } from './compaction-pass.ts'
import { KeyOffsets } from './key-offsets.ts'
import { liveSpanBytes } from './live-bytes.ts'
import type { Compaction } from './log.ts'
import type { PartitionLog } from './partition-log.ts'
import type { PartitionSpan } from './partition-span.ts'

/** What the compactor needs of the log. */
export interface CompactedLog extends ColdLog {
  logs(): Iterable<PartitionLog>
  /** Reads past the block cache. */
  readonly scanReader: BatchReader
  /** No group follows in the active segment: what it holds may be compacted once it is sealed. */
  sealActive(): void
}

/** Memory of all tables of keys; with more keys a pass covers a part of the partition, as in Kafka. */
const keyTableBytes = 8 * 1024 * 1024
/** Read between two pauses. */
const pauseBytes = 256 * 1024

/** What was done of a partition, since the start of the broker. */
interface Progress {
  /** Everything below was judged with all newer records below known. */
  judgedTo: number
  /** Log age at which a tombstone that was kept may go. */
  nextTombstoneAge: number
}

/**
 * Removes records whose key has a newer one, from the sealed part of compacted partitions: copies what stays of the partition's stretches to a cold
 * segment, and leaves everything else in their segments for the cleaner.
 */
export class Compactor {
  readonly #log: CompactedLog
  readonly #publication: ColdPublication
  readonly #memory: MemoryBudget
  readonly #metrics: Metrics
  readonly #logger: Logger
  readonly #progress = new WeakMap<PartitionLog, Progress>()
  #bytesSincePause = 0

  constructor(
    log: CompactedLog,
    publication: ColdPublication,
    parts: { readonly memory: MemoryBudget; readonly metrics: Metrics; readonly logger: Logger },
  ) {
    this.#log = log
    this.#publication = publication
    this.#memory = parts.memory
    this.#metrics = parts.metrics
    this.#logger = parts.logger
  }

  /** Compacts every partition that is due; with `isUrgent` every one that has anything new. `gained` when something was copied. */
  async run(isUrgent: boolean): Promise<Gain> {
    let gain: Gain = 'nothing'
    for (const log of [...this.#log.logs()]) {
      const { compaction } = log
      if (compaction === undefined) continue
      const end = this.#endOf(log, compaction)
      if (!this.#isDue(log, compaction, end, isUrgent)) continue
      const found = await this.#compact(log, compaction, end)
      if (found === 'later') return found
      if (found === 'gained') gain = found
    }
    return gain
  }

  async #compact(log: PartitionLog, rules: Compaction, end: number): Promise<Gain> {
    const progress = this.#progressOf(log)
    const keys = new KeyOffsets(keyTableBytes, this.#log.newSecret())
    const pass = new CompactionPass(log, rules, end, keys, this.#passParts())
    await pass.learn(Math.max(progress.judgedTo, log.logStart))
    // all that is new is too young
    if (pass.end <= progress.judgedTo && this.#log.logAge < progress.nextTombstoneAge) return 'nothing'
    const heldBytes = keys.bytes
    this.#memory.take(heldBytes)
    try {
      const spans = await pass.spansToCopy()
      if (spans.length > 0 && !(await this.#copy(pass, spans))) return 'later'
      progress.judgedTo = pass.end
      progress.nextTombstoneAge = pass.nextTombstoneAge
      this.#metrics.add('storageCompactions')
      this.#logger.debug({ partition: log.id, end: pass.end, keys: keys.count, spans: spans.length }, 'compacted')
      return spans.length > 0 ? 'gained' : 'nothing'
    } finally {
      this.#memory.give(heldBytes)
    }
  }

  /** As many cold segments as it takes; false when there is no slot for one. */
  async #copy(pass: CompactionPass, spans: readonly PartitionSpan[]): Promise<boolean> {
    let done = 0
    while (done < spans.length) {
      const isThere = await this.#publication.run(async cold => {
        while (done < spans.length && (await pass.copySpan(spans[done]!, cold))) done++
      })
      if (!isThere) return false
    }
    return true
  }

  #passParts(): PassParts {
    return {
      reader: this.#log.scanReader,
      logAge: this.#log.logAge,
      pause: bytes => this.#pause(bytes),
      onRemoved: (removal, records) => this.#metrics.add('storageCompactedRecords', records, removal),
      onOpaque: () => this.#metrics.add('storageCompactionSkipped'),
    }
  }

  async #pause(bytes: number): Promise<void> {
    this.#bytesSincePause += bytes
    if (this.#bytesSincePause < pauseBytes) return
    this.#bytesSincePause = 0
    await pauseBetween(this.#log)
  }

  /** Everything below is durable and sealed, and its owner has it safe. */
  #endOf(log: PartitionLog, { limitOffset }: Compaction): number {
    let end = limitOffset === undefined ? log.highWatermark : Math.min(log.highWatermark, limitOffset())
    for (const { segment, from } of log.spans) if (!segment.sealed || !segment.hasFooter) end = Math.min(end, from)
    return end
  }

  #isDue(log: PartitionLog, rules: Compaction, end: number, isUrgent: boolean): boolean {
    const { judgedTo, nextTombstoneAge } = this.#progressOf(log)
    if (this.#log.logAge >= nextTombstoneAge) return true
    if (this.#waitsTooLong(log, rules, judgedTo, end)) return end > judgedTo
    const [total, dirty] = [this.#bytesBetween(log, log.logStart, end), this.#bytesBetween(log, judgedTo, end)]
    if (dirty <= 0) return false
    return isUrgent || (dirty >= rules.minDirtyBytes && dirty / total >= rules.minDirtyRatio)
  }

  /** A record was not judged for longer than `max.compaction.lag.ms`; where only the active segment holds such, that is sealed. */
  #waitsTooLong(log: PartitionLog, rules: Compaction, judgedTo: number, end: number): boolean {
    const first = log.spans.at(log.spanFrom(Math.max(judgedTo, log.logStart)))
    if (first === undefined || (this.#log.logAge - first.firstLogAge) * 1000 < rules.maxLagMs) return false
    if (end <= judgedTo && !first.segment.sealed) this.#log.sealActive()
    return true
  }

  #bytesBetween(log: PartitionLog, from: number, to: number): number {
    let bytes = 0
    for (const span of log.spans) {
      const [first, last] = [Math.max(span.from, from), Math.min(span.endOffset, to)]
      const live = Math.max(1, span.endOffset - span.from)
      if (last > first) bytes += (liveSpanBytes(span, () => log) * (last - first)) / live
    }
    return bytes
  }

  #progressOf(log: PartitionLog): Progress {
    let progress = this.#progress.get(log)
    if (progress === undefined) {
      progress = { judgedTo: 0, nextTombstoneAge: Number.POSITIVE_INFINITY }
      this.#progress.set(log, progress)
    }
    return progress
  }
}

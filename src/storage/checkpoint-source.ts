import type { CheckpointSource } from './checkpointer.ts'
import type { CommitPipeline } from './commit-pipeline.ts'
import type { ControlWriter } from './control-writer.ts'
import type { LogAge } from './log-age.ts'
import type { RecoveredLog } from './recover-log.ts'

/** What the parts of the running log give to checkpoints. */
export interface CheckpointParts {
  readonly recovered: RecoveredLog
  readonly pipeline: CommitPipeline
  readonly control: ControlWriter
  readonly logAge: LogAge
  readonly salt: bigint
  /** See `CheckpointSource.prepare`. */
  prepare(): Promise<boolean>
  /** Eviction may have something to do. */
  onFooter(): void
}

/** The log as checkpoints see it: durable state only. */
export const checkpointSource = (parts: CheckpointParts): CheckpointSource => {
  const { recovered, pipeline, control, logAge, salt } = parts
  const { segments, indexLoader } = recovered
  return {
    segments,
    prepare: () => parts.prepare(),
    capture: () => {
      const active = segments.at(-1)
      if (active === undefined || active.lastGroup !== pipeline.durableGroup) return undefined
      const { sinceBoot, bootHash, seconds } = logAge
      return {
        chain: { group: active.lastGroup, crc: active.lastCrc, salt },
        activeSequence: active.sequence,
        logAge: { logAge: seconds, sinceBoot, bootHash },
        control: control.snapshotBatch(),
      }
    },
    logAgeSeconds: () => logAge.seconds,
    onFooter: segment => {
      segment.hasFooter = true
      indexLoader.touch(segment)
      parts.onFooter()
    },
    whenPrepared: segment => recovered.pool.whenPrepared(segment.slot),
  }
}

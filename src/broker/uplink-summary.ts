import type { OffsetMap } from '../core/offset-syncs.ts'

/** The way up to the central cluster as `uplink status` and the HTTP API show it. */
export interface UplinkSummary {
  /**
   * `connecting`, `connected`, `waiting` (for the next attempt), `stopped` (somebody upstream must act), `paused` (until somebody resumes it), `fenced`
   * (this log does not send any more).
   */
  readonly state: string
  /** What went wrong last; null when the last round went well. */
  readonly error: string | null
  /** Milliseconds to the next attempt; null when none is due. */
  readonly retryInMs: number | null
  /**
   * `transactions`; `read-back`: exactly once without them; `at-least-once`: after failures some records may be upstream twice. Null before the first
   * session.
   */
  readonly delivery: 'transactions' | 'read-back' | 'at-least-once' | null
  /** Why not better; null: it is transactions. */
  readonly deliveryReason: string | null
  /** What the link carried; null before it was measured. */
  readonly bytesPerSecond: number | null
  /** What waits for a cap or the end of a metered window, though the link could carry it. */
  readonly holds: readonly UplinkHold[]
  readonly partitions: readonly UplinkPartition[]
}

/** Where the offsets of one partition stand upstream, as far as it is known. */
export interface UplinkOffsets extends OffsetMap {
  readonly topic: string
  readonly partition: number
  /** Name of the topic upstream. */
  readonly target: string
}

/** Why topics of a class do not go up now. */
export interface UplinkHold {
  readonly retentionClass: string
  readonly by: string
}

/** What an operator does with the way up. Each resolves when it holds over a power cut; rejects with `BrokerError` when the log takes nothing. */
export interface UplinkControls {
  /** Nothing goes up until `resume`, also after restarts; a round that is under way ends first. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** Gives up a batch that is refused: it stays here and never goes up. Why it may not be; undefined: done. */
  skip(skip: UplinkSkip): Promise<string | undefined>
  /** The audit is to list this loss as known from now on. Why it may not be; undefined: done. */
  acknowledge(acknowledgement: LossAcknowledgement): Promise<string | undefined>
}

/** A loss as the audit named it, and who knows of it. */
export interface LossAcknowledgement {
  readonly topic: string
  readonly partition: number
  readonly loss: string
  readonly records: number
  readonly by: string
}

/** The batch that is refused, as `UplinkPartition.refused` said. */
export interface UplinkSkip {
  readonly topic: string
  readonly partition: number
  readonly first: number
  readonly last: number
}

export interface UplinkPartition {
  readonly topic: string
  readonly partition: number
  /** Name of the topic upstream. */
  readonly target: string
  /** `high`, `normal` or `low`, by `uplink.rules`. */
  readonly priority: string
  /** All below is upstream. */
  readonly upstreamOffset: number
  readonly highWatermark: number
  readonly lagRecords: number
  /** Worked out from the mean size of the records that the partition has. */
  readonly lagBytes: number
  /** Of the oldest record that is not upstream; null when all is. */
  readonly lagSeconds: number | null
  /** Records that went up since the topic was made. */
  readonly sentRecords: number
  /** Records that a rule left out since the topic was made: too old, or thinned. */
  readonly expiredRecords: number
  readonly thinnedRecords: number
  /** With `remote.read`: the first offset that can be read, there or here, as far as it is known; null without it. */
  readonly totalStart: number | null
  /** With `remote.read`: why nothing of it, or nothing now, can be read there; null: nothing is known against it. */
  readonly remoteProblem: string | null
  /** Offsets of the stored batch that is refused; null while it is not known which. */
  readonly refused: { readonly first: number; readonly last: number } | null
  /** Why it does not go up at present; null: nothing is known against it. */
  readonly error: string | null
  readonly retryInMs: number | null
}

import type { Unsent } from '../state/uplink.ts'

/** What `brooklet audit` shows: what became of every record, and whether gateway and central cluster agree about it. */
export interface AuditReport {
  readonly gateway: string
  readonly logId: string
  /** `explained`: of every offset it is known what became of it. `unchecked`: here too, but the central cluster could not be asked. */
  readonly verdict: 'explained' | 'unexplained' | 'unchecked'
  /** Null: no uplink is set up. */
  readonly central: {
    readonly bootstrap: string
    readonly positionsTopic: string
    /** Why it could not be asked; null: it was. */
    readonly error: string | null
  } | null
  /** Since the start. */
  readonly mqtt: {
    readonly sinceMs: number
    /** PUBLISH packets. */
    readonly received: number
    /** Records made of them, and of wills. */
    readonly stored: number
    readonly refused: number
  }
  readonly partitions: readonly AuditPartition[]
}

/** An audit that reads back what stands upstream: it takes as long as the link needs. */
export interface DeepAuditState {
  /** `none`: none was begun, or nobody asked for it for a while, which ends it. */
  readonly state: 'none' | 'running' | 'done' | 'failed'
  /** Records read, of so many. */
  readonly read: number
  readonly inAll: number
  /** Why it failed. */
  readonly error: string | null
  /** Of the one that is done. */
  readonly report: AuditReport | null
}

/** Numbers are offsets: each record got one. `received` = `sent` + all of `notSent` + `waiting`, where the partition goes up. */
export interface AuditPartition {
  readonly topic: string
  readonly partition: number
  /** Offsets given and durable, since the topic was made. */
  readonly received: number
  /** Of them at or above the log start. */
  readonly stored: number
  /** Below it: evicted, expired, deleted. */
  readonly gone: number
  /** Null: it does not go up. */
  readonly uplink: AuditUplink | null
  /** What is as it should be and worth knowing. */
  readonly notes: readonly string[]
  /** What nobody can say the reason of. */
  readonly unexplained: readonly string[]
  /** Those of `unexplained` that an operator may acknowledge: no sending on brings back what they say. */
  readonly losses: readonly AuditLoss[]
  /** What would be unexplained, had nobody acknowledged it. */
  readonly acknowledged: readonly AcknowledgedLoss[]
}

/** Records that the central cluster had taken, and does not have any more. */
export interface AuditLoss {
  /** Which loss of the partition it is. */
  readonly name: string
  /** At most so many records. */
  readonly records: number
  readonly text: string
}

export interface AcknowledgedLoss extends AuditLoss {
  readonly by: string
  /** Seconds of log life since then: time without power does not count. */
  readonly agoSeconds: number
}

export interface AuditUplink {
  readonly target: string
  /** Records of rounds that the central cluster committed, as this gateway knows it. */
  readonly sent: number
  /** The same as the topic of positions says it; null: it could not be asked. */
  readonly acknowledged: number | null
  /** Durable here, to be sent. */
  readonly waiting: number
  /** Never sent, by reason. */
  readonly notSent: Unsent
  /** By partition of the target; offsets of the central cluster. */
  readonly central: readonly {
    readonly partition: number
    readonly first: number
    readonly last: number
    readonly records: number
    readonly logStart: number | null
    readonly logEnd: number | null
  }[]
}

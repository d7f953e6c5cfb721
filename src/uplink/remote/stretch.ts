import type { Lane } from '../lane.ts'

/** What of a partition stands in the central cluster so that it can be read from there. */
export interface Stretch {
  /** All that went up from this offset on is there, unless the central cluster has deleted it. */
  readonly named: number
  readonly target: string
  readonly targetId: string
  /** The partition of the target that has it. */
  readonly central: number
  /** Central offset of the first record. */
  readonly firstCentral: number
}

/** Why nothing of a partition is read from the central cluster, in words for the user. */
export interface NoStretch {
  readonly reason: string
}

/** Only what can be read exactly: in one partition of the target, in the order of this log, each record with its name. */
export const stretchOf = ({ ledger }: Pick<Lane, 'ledger'>): Stretch | NoStretch => {
  const { target, targetId, named } = ledger
  const spans = Object.entries(ledger.central)
  const [only, ...others] = spans
  if (only === undefined) return { reason: 'nothing of it is upstream' }
  if (named === undefined)
    return {
      reason:
        'what is upstream does not name its offsets (uplink.headers=full), or not in order (order: newest-first, at-least-once)',
    }
  if (others.length > 0) return { reason: `its records stand in ${spans.length} partitions of ${target}` }
  const [central, { first }] = only
  return { named, target, targetId, central: Number(central), firstCentral: first }
}

export const isSameStretch = (one: Stretch, other: Stretch): boolean =>
  one.targetId === other.targetId &&
  one.target === other.target &&
  one.central === other.central &&
  one.named === other.named

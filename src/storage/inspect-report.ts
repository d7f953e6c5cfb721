import type { Damage, MissingOffsets } from './inspect-damage.ts'

/** Damage, and what the log itself knows of it. */
export interface VerifiedDamage extends Damage {
  /** `gap`: a gap record names these offsets; `dead`: they lie below the log start, or their partition was deleted. */
  readonly known?: 'gap' | 'dead'
}

export interface VerifiedMissing extends MissingOffsets {
  readonly known?: 'gap' | 'dead'
}

/** Nothing is damaged, and every record between log start and log end is there or known to be gone. */
export const isSound = ({ damages, missing }: VerifyReport): boolean =>
  damages.length === 0 && missing.every(({ known }) => known !== undefined)

/** Something worth saying that is no damage. */
export interface VerifyNote {
  /** Absent when it is about the log as a whole. */
  readonly slot?: number
  readonly text: string
}

export interface VerifyReport {
  readonly logId: string
  readonly segments: number
  readonly groups: number
  readonly frames: number
  readonly records: number
  /** Of groups that were looked at. */
  readonly bytes: number
  readonly firstGroup: number | undefined
  readonly lastGroup: number | undefined
  readonly damages: readonly VerifiedDamage[]
  /** Damages beyond those that are listed. */
  readonly moreDamages: number
  readonly missing: readonly VerifiedMissing[]
  readonly notes: readonly VerifyNote[]
}

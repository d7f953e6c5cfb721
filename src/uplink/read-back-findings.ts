import type { Judgement } from './audit-equations.ts'
import type { Place } from './read-back.ts'

/** What reading one partition of a target has shown. */
export interface PlaceFindings {
  /** Records of this gateway, as the ledger says. */
  readonly expected: number
  /** That were read, with those of which nobody knows whose they are. */
  readonly found: number
  /** Of them without any name: another writer may have written them. */
  readonly anonymous: number
  /** That came a second time, or before one that they stand behind here. */
  readonly repeated: number
  /** Of another key or value than here. */
  readonly different: number
  readonly firstDifferent: { readonly offset: number; readonly centralOffset: number } | undefined
  /** Offset here of the first record that was due and did not come. */
  readonly firstMissing: number | undefined
}

/** What is to be said of the place, behind what is `known` of the partition. */
export const judgePlace = (known: Judgement, place: Place, findings: PlaceFindings): Judgement => {
  const { target, partition, logStart, facts, shares } = place
  const { expected, found, anonymous, repeated, different, firstDifferent, firstMissing } = findings
  const notes = [...known.notes]
  const unexplained = [...known.unexplained]
  const losses = [...known.losses]
  const where = `partition ${partition} of ${target}`
  const hasLeft = shares.some(({ span }) => logStart > span.first) || facts.retention?.compacts === true
  const missing = expected - found
  const due = firstMissing === undefined ? '' : `, the first is offset ${firstMissing} here`
  if (missing > 0 && hasLeft) notes.push(`${where}: ${found} of ${expected} records are there still, and were read`)
  else if (missing > 0) {
    const text = `${where}: ${found} of ${expected} records can be read, ${missing} are missing${due}`
    losses.push({ name: `records/${facts.id}/${partition}`, records: missing, text })
  } else if (firstMissing !== undefined)
    unexplained.push(`${where}: offset ${firstMissing} here does not stand there, or not in its order`)
  if (repeated > 0) unexplained.push(`${where}: ${repeated} records stand there twice, or not in their order`)
  // of several partitions some may have sent on meanwhile
  const surplus = -missing
  if (surplus > 0 && (anonymous >= surplus || shares.length > 1))
    notes.push(`${where}: ${surplus} records more than were sent until the audit began; others may write there`)
  else if (surplus > 0 && repeated === 0)
    unexplained.push(`${where}: ${surplus} records of this gateway more than were acknowledged`)
  if (firstDifferent !== undefined) {
    const { offset, centralOffset } = firstDifferent
    unexplained.push(
      `${where}: ${different} records are not as they are here, the first at ${centralOffset} there, offset ${offset} here`,
    )
  }
  return { notes, unexplained, losses }
}

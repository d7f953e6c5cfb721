import type { CentralSpan, Unsent, UpstreamPosition } from '../state/uplink.ts'
import { addUnsent } from './unsent.ts'

/** What became of the offsets of a partition so far. */
export type Ledger = Pick<
  UpstreamPosition,
  'records' | 'unsent' | 'named' | 'target' | 'targetId' | 'central' | 'elsewhere'
>

/** What a round brings of one partition. */
export interface LedgerEntry extends Pick<Ledger, 'target' | 'targetId' | 'unsent'> {
  /** By partition of the target. */
  readonly central: ReadonlyMap<number, CentralSpan>
  /** Where it begins, if each of its records names its origin and stands behind all that went before; undefined: that is not so. */
  readonly namedFrom: number | undefined
}

export const emptyLedger: Ledger = {
  records: 0,
  unsent: {},
  target: '',
  targetId: '',
  central: {},
  elsewhere: { renamed: 0, remade: 0 },
}

/** Offsets that no round will bring. */
export const passed = (ledger: Ledger, unsent: Unsent): Ledger => ({
  ...ledger,
  unsent: addUnsent(ledger.unsent, unsent),
})

/** After the round. Central offsets count anew in another target, and what went to the one before is summed. */
export const carried = (before: Ledger, entry: LedgerEntry): Ledger => {
  const { target, targetId, unsent, central: spans, namedFrom } = entry
  const isSame = before.target === target && before.targetId === targetId
  const central: Record<string, CentralSpan> = isSame ? { ...before.central } : {}
  let { records } = before
  for (const [partition, span] of spans) {
    central[partition] = joined(central[partition], span)
    records += span.records
  }
  const elsewhere = isSame ? before.elsewhere : left(before, target)
  const named = namedFrom === undefined ? undefined : ((isSame ? before.named : undefined) ?? namedFrom)
  return {
    records,
    unsent: addUnsent(before.unsent, unsent),
    ...(named === undefined ? {} : { named }),
    ...{ target, targetId, central, elsewhere },
  }
}

/** Records that `central` names. */
export const centralRecords = ({ central }: Pick<Ledger, 'central'>): number =>
  Object.values(central).reduce((sum, { records }) => sum + records, 0)

const left = (before: Ledger, target: string): Ledger['elsewhere'] => {
  const { renamed, remade } = before.elsewhere
  const records = centralRecords(before)
  return before.target === target ? { renamed, remade: remade + records } : { renamed: renamed + records, remade }
}

/** Central offsets rise: what a round brings stands behind what the ones before brought. */
export const joined = (before: CentralSpan | undefined, { first, last, records }: CentralSpan): CentralSpan =>
  before === undefined ? { first, last, records } : { first: before.first, last, records: before.records + records }

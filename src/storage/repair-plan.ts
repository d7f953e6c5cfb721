import type { Damage } from './inspect-damage.ts'
import { inspectSlots } from './inspect-directory.ts'
import type { VerifyObserver } from './inspect-look.ts'
import type { VerifiedMissing, VerifyReport } from './inspect-report.ts'
import type { InspectPlatform } from './inspect-segments.ts'
import { verifyDirectory } from './inspect-verify.ts'
import { Quarantine } from './quarantine.ts'
import { type FoundMeta, findMeta } from './repair-meta.ts'

/** What is to be done to a data directory that nobody has open. Nothing of it touches a record that can be read. */
export interface RepairPlan {
  readonly found: FoundMeta
  readonly report: VerifyReport
  /** Slots whose header is made again from the groups behind it. */
  readonly headers: readonly number[]
  /** Slots whose footer is made again from the groups before it; not of cold segments, whose footer alone knows what compaction took. */
  readonly footers: readonly number[]
  /** Damaged bytes to be copied aside before anything is changed. */
  readonly kept: readonly Damage[]
  /** Damaged bytes that find no room there: they stay in their slots until these are used again. */
  readonly leftBytes: number
  /** Records that are gone and that no gap record names. */
  readonly unnamed: readonly VerifiedMissing[]
}

/** Nothing is to be done: what is damaged, if anything, is known to the log and kept aside. */
export const isNothing = ({ found, headers, footers, kept, unnamed }: RepairPlan): boolean =>
  found.state === 'whole' && [headers, footers, kept, unnamed].every(({ length }) => length === 0)

/** Looks through all of the directory, as `log verify` does, and changes nothing. Throws `StartError` 65 where there is no log of ours. */
export const planRepair = async (
  platform: InspectPlatform,
  directory: string,
  observer: VerifyObserver = {},
): Promise<RepairPlan> => {
  const found = await findMeta(platform, directory)
  const { meta, state } = found
  const report = await verifyDirectory(platform, directory, observer, state === 'lost' ? meta : undefined)
  const { damages, missing } = report
  const slots = await inspectSlots(platform.files, directory, meta)
  const quarantine = await Quarantine.open(platform.files, directory, slots.length * meta.slotBytes)
  const worth = damages.filter(damage => isWorthKeeping(damage) && !quarantine.has(damage))
  const isHot = (number: number): boolean => slots.find(slot => slot.number === number)?.header?.kind === 'hot'
  const kept = worth.filter(damage => quarantine.reserve(damage))
  return {
    found,
    report,
    headers: slotsOf(damages, ['slotHeader']),
    footers: slotsOf(damages, ['footer', 'footerContent']).filter(isHot),
    kept,
    leftBytes: worth.filter(damage => !kept.includes(damage)).reduce((sum, { bytes }) => sum + bytes, 0),
    unnamed: missing.filter(({ known }) => known === undefined),
  }
}

/** Bytes of records, or of what leads to them. A footer is a cache, and what cannot be read cannot be copied. */
const isWorthKeeping = ({ cause }: Damage): boolean =>
  !['footer', 'footerContent', 'missing', 'unreadable'].includes(cause)

const slotsOf = (damages: readonly Damage[], causes: readonly Damage['cause'][]): number[] => [
  ...new Set(damages.filter(({ cause }) => causes.includes(cause)).map(({ slot }) => slot)),
]

import { metaPath } from './data-directory.ts'
import type { Damage } from './inspect-damage.ts'
import { inspectSlots } from './inspect-directory.ts'
import type { VerifyObserver } from './inspect-look.ts'
import type { VerifiedMissing, VerifyReport } from './inspect-report.ts'
import type { InspectPlatform } from './inspect-segments.ts'
import { verifyDirectory } from './inspect-verify.ts'
import { blockBytes } from './layout.ts'
import { quarantineDirectory, quarantineName } from './quarantine.ts'
import { type FoundMeta, findMeta } from './repair-meta.ts'

/** What is to be done to a data directory that nobody has open. Nothing of it touches a record that can be read. */
export interface RepairPlan {
  readonly found: FoundMeta
  readonly report: VerifyReport
  /** Slots whose header is made again from the groups behind it. */
  readonly headers: readonly number[]
  /** Slots whose footer is made again from the groups before it; not of cold segments, whose footer alone knows what compaction took. */
  readonly footers: readonly number[]
  /** Damaged bytes that are written over, of meta and slot headers: copied aside before. Records stay where they are. */
  readonly kept: readonly Damage[]
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
  const there = new Set(await platform.files.list(quarantineDirectory(directory)))
  const lostMeta = state === 'lost' && (await platform.files.exists(metaPath(directory)))
  const overwritten: Damage[] = [
    ...(lostMeta ? [{ slot: 0, position: 0, bytes: 2 * blockBytes, cause: 'meta' } as const] : []),
    ...damages.filter(({ cause }) => cause === 'meta' || cause === 'slotHeader'),
  ]
  const isHot = (number: number): boolean => slots.find(slot => slot.number === number)?.header?.kind === 'hot'
  return {
    found,
    report,
    headers: slotsOf(damages, ['slotHeader']),
    footers: slotsOf(damages, ['footer', 'footerContent']).filter(isHot),
    kept: overwritten.filter(damage => !there.has(quarantineName(damage))),
    unnamed: missing.filter(({ known }) => known === undefined),
  }
}

const slotsOf = (damages: readonly Damage[], causes: readonly Damage['cause'][]): number[] => [
  ...new Set(damages.filter(({ cause }) => causes.includes(cause)).map(({ slot }) => slot)),
]

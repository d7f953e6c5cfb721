import { inspectDirectory } from './inspect-directory.ts'
import { VerifyLook, type VerifyObserver } from './inspect-look.ts'
import { isSound, type VerifyReport } from './inspect-report.ts'
import type { InspectPlatform } from './inspect-segments.ts'
import type { Meta } from './meta.ts'

/** Under a gateway that frees slots faster than they are read no look is ever undisturbed. */
const maxLooks = 5

/**
 * Reads every group of the log and checks all checksums and the chain. A gateway may write, evict and clean meanwhile: a segment that is freed
 * while it is read is not judged, and damage is only what a second look finds at the same place. Holes are found only by a look during which
 * no segment went. Throws `StartError` 65 where there is no log of ours. `lostMeta` stands in for a `meta` that is lost.
 */
export const verifyDirectory = async (
  platform: InspectPlatform,
  directory: string,
  observer: VerifyObserver = {},
  lostMeta?: Meta,
): Promise<VerifyReport> => {
  const look = async (observing: VerifyObserver) => {
    const looking = new VerifyLook(platform, await inspectDirectory(platform.files, directory, lostMeta), observing)
    await looking.run()
    return { report: looking.report(), isDisturbed: looking.isDisturbed }
  }
  let { report, isDisturbed } = await look(observer)
  for (let looks = 1; !isSound(report) && looks < maxLooks; looks++) {
    const before = report
    ;({ report, isDisturbed } = await look({}))
    report = foundAgain(report, before)
    if (!isDisturbed) return report
  }
  return isDisturbed ? withoutHoles(report) : report
}

/** What two looks found. */
const foundAgain = (report: VerifyReport, before: VerifyReport): VerifyReport => ({
  ...report,
  damages: report.damages.filter(({ slot, position }) =>
    before.damages.some(damage => damage.slot === slot && damage.position === position),
  ),
  missing: report.missing.filter(({ partition, first }) =>
    before.missing.some(range => range.partition === partition && range.first === first),
  ),
})

/** What is not there may stand in a segment that came or went meanwhile. */
const withoutHoles = (report: VerifyReport): VerifyReport => {
  const missing = report.missing.filter(({ known }) => known !== undefined)
  const notJudged = report.missing.length - missing.length
  if (notJudged === 0) return report
  const text = `segments were freed in every one of ${maxLooks} looks: ${notJudged} holes between batches were not judged`
  return { ...report, missing, notes: [...report.notes, { text }] }
}

import { plural } from './plural.ts'

/** A partition that was asked for an offset which its log does not hold. */
export interface OutOfRange {
  readonly partition: number
  /** The offset that was asked for. */
  readonly asked: number
  /** Where reading goes on. */
  readonly logStart: number
}

const shownPartitions = 4

/** One line on what a reader does not get, for all its partitions: what was asked, where the logs start, how much is gone. */
export const outOfRangeLine = (topic: string, found: readonly OutOfRange[]): string => {
  const gone = found.reduce((sum, { asked, logStart }) => sum + Math.max(0, logStart - asked), 0)
  const [first] = found
  if (found.length === 1 && first !== undefined) {
    const { partition, asked, logStart } = first
    const what = `offset ${asked} of ${topic}/${partition} was asked`
    if (asked > logStart) return `${what}, it is beyond the end; going on at the log start, ${logStart}`
    return `${what}, but its log starts at ${logStart}: ${plural(gone, 'record')} gone; going on there`
  }
  const shown = found
    .slice(0, shownPartitions)
    .map(({ partition, asked, logStart }) => `${topic}/${partition} at ${logStart} (asked ${asked})`)
  const more = found.length > shownPartitions ? ` and ${found.length - shownPartitions} more` : ''
  return `offsets that were asked are not in the log, which starts for ${shown.join(', ')}${more}: ${plural(gone, 'record')} gone; going on there`
}

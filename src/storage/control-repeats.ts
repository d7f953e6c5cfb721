import { mostPartitions, partitionsIn } from './control-batches.ts'
import type { ControlRecord } from './control-record.ts'
import type { Gap } from './log.ts'

/** What the record speaks of: a later one replaces it. Undefined for what is not worth a second copy. */
const subjectOf = (record: ControlRecord): string | undefined => {
  switch (record.kind) {
    case 'logStart':
    case 'logEnd':
    case 'removed':
      return `${record.kind} ${record.partition}`
    case 'cold':
      return `cold ${record.cold.sequence}`
    case 'cuts':
      // a log start only rises: no two records have the same one
      return `cuts ${record.cuts.partitions[0]} ${record.cuts.starts[0]}`
    case 'gap':
      return `gap ${record.gap.partition} ${record.gap.first} ${record.gap.last}`
    default:
      return undefined
  }
}

/**
 * Records of the log control partition that stand in the log once. Before each checkpoint they are appended a second time, in another batch: where damage
 * takes one of the two and the checkpoint is lost as well, deleted records stay deleted and cold segments published.
 */
export class ControlRepeats {
  readonly #once = new Map<string, ControlRecord>()

  /** The records are appended, or were found behind the last checkpoint. */
  add(records: Iterable<ControlRecord>): void {
    for (const record of records) {
      const subject = subjectOf(record)
      if (subject !== undefined) this.#once.set(subject, record)
    }
  }

  /** Hands the records to `append`, in batches, without the gaps that `isListed` does not want; those that it throws for are kept. */
  flush(isListed: (gap: Gap) => boolean, append: (records: readonly ControlRecord[]) => void): void {
    while (this.#once.size > 0) {
      const subjects: string[] = []
      const records: ControlRecord[] = []
      let partitions = 0
      for (const [subject, record] of this.#once) {
        partitions += partitionsIn(record)
        if (partitions > mostPartitions && subjects.length > 0) break
        subjects.push(subject)
        if (record.kind === 'cuts') records.push({ kind: 'cuts', cuts: record.cuts.withGaps(isListed) })
        else if (record.kind !== 'gap' || isListed(record.gap)) records.push(record)
      }
      if (records.length > 0) append(records)
      for (const subject of subjects) this.#once.delete(subject)
    }
  }
}

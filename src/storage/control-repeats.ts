import type { ControlRecord } from './control-record.ts'

/** Records that surely fit in one batch. */
const batchRecords = 4_000

/** What the record speaks of: a later one replaces it. Undefined for what is not worth a second copy. */
const subjectOf = (record: ControlRecord): string | undefined => {
  switch (record.kind) {
    case 'logStart':
    case 'logEnd':
    case 'removed':
      return `${record.kind} ${record.partition}`
    case 'cold':
      return `cold ${record.cold.sequence}`
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

  /** Hands the records that `isCurrent` wants to `append`, in batches; those that it throws for are kept. */
  flush(isCurrent: (record: ControlRecord) => boolean, append: (records: readonly ControlRecord[]) => void): void {
    while (this.#once.size > 0) {
      const batch = [...this.#once].slice(0, batchRecords)
      const records = batch.map(([, record]) => record).filter(isCurrent)
      if (records.length > 0) append(records)
      for (const [subject] of batch) this.#once.delete(subject)
    }
  }
}

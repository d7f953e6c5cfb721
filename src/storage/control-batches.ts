import type { ControlRecord } from './control-record.ts'

/** Partitions of which one batch may speak: 34 bytes for each surely fit in a group of 64 KiB, the smallest that `commit.max.bytes` allows. */
export const mostPartitions = 1_500

/** Of how many partitions the record speaks. */
export const partitionsIn = (record: ControlRecord): number => (record.kind === 'cuts' ? record.cuts.size : 1)

/** The records in their order, in batches of bounded size. */
export function* inBatches(records: readonly ControlRecord[]): Generator<ControlRecord[]> {
  let batch: ControlRecord[] = []
  let partitions = 0
  for (const record of records) {
    partitions += partitionsIn(record)
    if (partitions > mostPartitions && batch.length > 0) {
      yield batch
      batch = []
      partitions = partitionsIn(record)
    }
    batch.push(record)
  }
  if (batch.length > 0) yield batch
}

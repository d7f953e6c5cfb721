import { assert } from '../core/assert.ts'
import type { Log } from '../storage/log.ts'
import { openRecords } from '../wire/kafka/records.ts'
import type { View } from './view.ts'

const replayBytes = 1 << 20

/** The newest value of a key so far: a part of what was read. */
interface Newest {
  source: Buffer
  start: number
  /** -1: the key is removed. */
  end: number
}

/**
 * Applies the records of the view's partition in `[from, end)`; returns the bytes that it read. Of the records of a key that are read together
 * only the newest is applied: what a view shows of a key depends on that alone, else its partition could not be compacted.
 */
export const replayView = async (log: Log, view: View, from: number, end: number): Promise<number> => {
  let offset = from
  let bytes = 0
  while (offset < end) {
    const { batches, nextOffset } = await log.read(view.partition, offset, replayBytes, end)
    assert(nextOffset > offset, `replay of view ${view.name} goes on`)
    const newest = new Map<string, Newest>()
    for (const batch of batches) {
      bytes += batch.length
      collect(batch, offset, newest)
    }
    for (const [key, { source, start, end: valueEnd }] of newest) {
      // a copy, because a view may keep it, and with it the megabyte that was read
      view.apply(Buffer.from(key, 'latin1'), valueEnd < 0 ? null : Buffer.from(source.subarray(start, valueEnd)))
    }
    offset = nextOffset
  }
  return bytes
}

const collect = (batch: Buffer, from: number, newest: Map<string, Newest>): void => {
  const cursor = openRecords(batch)
  const source = cursor.records
  while (cursor.next()) {
    if (cursor.offset < from) continue
    const key = cursor.locate()
    assert(key !== undefined, 'a record of a view has a key')
    const known = newest.get(key)
    if (known === undefined) newest.set(key, { source, start: cursor.valueStart, end: cursor.valueEnd })
    else {
      known.source = source
      known.start = cursor.valueStart
      known.end = cursor.valueEnd
    }
  }
}

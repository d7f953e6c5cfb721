import { expect } from 'vitest'
import type { GapSummary } from '../../src/http/status.ts'
import { type Promised, readTopic, type TopicContent } from './actors.ts'
import type { Load } from './load.ts'

/** Compares all that a gateway promised its clients with what it shows them in the end. Throws at the first difference. */
export const checkPromises = async (load: Load, addresses: { kafka: string; http: string }): Promise<void> => {
  const { promised, group, keys } = load
  const response = await fetch(`http://${addresses.http}/api/v1/gaps`)
  const gaps = (await response.json()) as GapSummary[]
  expect(
    gaps.filter(({ reason }) => reason === 'damage'),
    'nothing was damaged',
  ).toEqual([])
  for (const topic of new Set(promised.map(each => each.topic))) {
    const content = await readTopic(addresses.kafka, topic)
    const read = topic === group.topic ? await group.fetch() : new Map<number, bigint>()
    checkLogStarts(topic, content, gaps, read)
    for (const each of promised) if (each.topic === topic) checkRecords(each, content)
  }
  if (keys !== undefined) expect(keys.broken(await readTopic(addresses.kafka, keys.topic))).toEqual([])
}

/** Whatever lies below a log start is in a gap record, or had been read by the only group. */
const checkLogStarts = (
  topic: string,
  { logStarts }: TopicContent,
  gaps: readonly GapSummary[],
  read: ReadonlyMap<number, bigint>,
): void => {
  for (const [partition, logStart] of logStarts) {
    const known = gaps
      .filter(gap => gap.topic === topic && gap.partition === partition)
      .map(({ firstOffset, lastOffset }) => ({ first: firstOffset, end: lastOffset + 1 }))
    let end = 0
    for (const range of [{ first: 0, end: Number(read.get(partition) ?? 0) }, ...known]) {
      if (range.first <= end) end = Math.max(end, range.end)
    }
    expect(end, `${topic}-${partition}: what went below ${logStart} is explained`).toBeGreaterThanOrEqual(logStart)
  }
}

/**
 * Every acknowledged record that was not evicted is there; once, unless the protocol may repeat it; in order, unless one was refused and
 * came later. What was never sent is not there.
 */
const checkRecords = (
  { name, key, acked, sent, refused, repeats }: Promised,
  { numbers: ofTopic, logStarts }: TopicContent,
): void => {
  const where = `${name}, key ${key}`
  const numbers = ofTopic.get(key) ?? []
  const present = new Set(numbers)
  const evictedAtMost = Math.max(...logStarts.values())
  let missing = numbers.reduce((least, number) => Math.min(least, number), acked + 1)
  expect(missing - 1, `${where}: so many numbers fit below the log start`).toBeLessThanOrEqual(evictedAtMost)
  while (missing <= acked && present.has(missing)) missing++
  expect(missing, `${where}: the first of ${acked} acknowledged records that is missing`).toBe(acked + 1)
  if (!repeats) expect(numbers.length, `${where}: no record stands there twice`).toBe(present.size)
  const newest = numbers.reduce((most, number) => Math.max(most, number), 0)
  expect(newest, `${where}: nothing was invented`).toBeLessThanOrEqual(sent)
  if (refused > 0) return
  let highest = numbers[0] ?? 0
  for (const number of numbers) {
    // a repetition begins anew at what was not acknowledged, it never leaves one out
    expect(number, `${where}: in order`).toBeLessThanOrEqual(highest + 1)
    highest = Math.max(highest, number)
  }
}

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import { type DirectorySummary, summarizeDirectory } from '../../../src/storage/inspect-summary.ts'
import { appendWhenRoom, batchOf, MiB, TestDirectory, topic } from './test-log.ts'

const summarize = (directory: string): Promise<DirectorySummary> =>
  summarizeDirectory(
    { files: nodeFiles, clock: { ...nodeClock, after: (_, callback) => nodeClock.after(0, callback) } },
    directory,
  )

const small = { slotBytes: 4 * MiB, budgetBytes: 64 * MiB }

/** Two starts, the second one in a later segment than the first. */
const twoStarts = async (): Promise<{ directory: TestDirectory; incarnation: string; logId: string }> => {
  const directory = new TestDirectory()
  for (const count of [20, 10]) {
    const log = await directory.open(small)
    log.openPartition(topic)
    for (let index = 0; index < count; index++) {
      await log.whenDurable(log.append([{ partition: topic, batch: batchOf(['x'.repeat(500_000)]) }]).group)
    }
    await log.close()
    if (count === 10) return { directory, incarnation: log.incarnation, logId: log.logId }
  }
  throw new Error('two starts were made')
}

describe('summary of a directory', () => {
  it('names log, starts and incarnation, and what each segment holds', async () => {
    const { directory, incarnation, logId } = await twoStarts()
    const summary = await summarize(directory.directory)
    expect(summary.incarnation).toBe(incarnation)
    expect(summary.inspected.meta.logId).toBe(logId)
    expect(summary.inspected.meta.starts.map(({ logEpoch }) => logEpoch)).toEqual([0, 1])
    const { segments } = summary
    expect(segments.map(({ sequence }) => sequence)).toEqual(segments.map((_, index) => index + 1))
    // the chain leads from each to the next
    expect(segments.slice(1).map(({ firstGroup }) => firstGroup - 1)).toEqual(
      segments.slice(0, -1).map(({ lastGroup }) => lastGroup),
    )
    expect(segments.map(({ source }) => source)).toEqual([...segments.slice(1).map(() => 'footer'), 'walk'])
    expect(segments.at(-1)).toMatchObject({ ending: 'open', damages: 0, kind: 'hot' })
  })

  it('says the same of a segment with and without its footer', async () => {
    const { directory } = await twoStarts()
    const before = await summarize(directory.directory)
    const log = join(directory.directory, 'log')
    for (const name of readdirSync(log)) {
      const bytes = readFileSync(join(log, name))
      writeFileSync(join(log, name), bytes.fill(0, bytes.length - 64))
    }
    const after = await summarize(directory.directory)
    expect(after.segments.map(({ source }) => source)).toEqual(after.segments.map(() => 'walk'))
    expect(after.segments.map(segment => ({ ...segment, source: '' }))).toEqual(
      before.segments.map(segment => ({ ...segment, source: '' })),
    )
    expect(after.incarnation).toBe(before.incarnation)
  })

  it('finds the incarnation when the first group of the start was evicted', async () => {
    const directory = new TestDirectory()
    const log = await directory.open({ ...small, budgetBytes: 32 * MiB, retention: { ms: -1, bytes: 2 * MiB } })
    log.openPartition(topic)
    // more than the budget has room for: however late the eviction runs, the first slot was used again
    for (let index = 0; index < 80; index++) {
      const { group } = await appendWhenRoom(log, [{ partition: topic, batch: batchOf(['x'.repeat(500_000)]) }])
      await log.whenDurable(group)
    }
    await log.close()
    const summary = await summarize(directory.directory)
    expect(summary.segments[0]!.firstGroup).toBeGreaterThan(1)
    expect(summary.incarnation).toBe(log.incarnation)
  })
})

/** Offsets by partition of the central topic. */
export type CentralOffsets = Readonly<Record<string, number>>

/** How far a partition was upstream at the end of a round. */
export interface OffsetSync {
  /** All records below this local offset, and none at or behind it, are upstream. */
  readonly next: number
  /** Where the next record of it in each partition of the target stands at the least; without those that it has not reached yet. */
  readonly central: CentralOffsets
  /** The last so many local offsets below `next` are the last below `central` of this partition of the target, one to one; null: not known. */
  readonly run: { readonly partition: number; readonly count: number } | null
}

/** What is known of where the offsets of a partition stand in its target. */
export interface OffsetMap {
  /** Of the first record of it in each partition of the target. */
  readonly first: CentralOffsets
  /** Ascending. */
  readonly syncs: readonly OffsetSync[]
}

/** An offset that leaves out nothing, and one that an exact translation would not lie behind: in between records may be read again. */
export interface TranslatedOffset {
  readonly offset: number
  readonly atMost: number
}

export const mostSyncs = 64

/**
 * The syncs with one more. Beyond `mostSyncs` they are thinned with age, so that the distance between two is a part of that to the end
 * (KAFKA-12468 does the same): who is close to the end finds a sync close by.
 */
export const withSync = (syncs: readonly OffsetSync[], sync: OffsetSync): readonly OffsetSync[] => {
  const last = syncs.at(-1)
  if (last !== undefined && last.next >= sync.next) return syncs
  const joined = last === undefined ? undefined : joinedRuns(last, sync)
  const all = joined === undefined ? [...syncs, sync] : [...syncs.slice(0, -1), joined]
  if (all.length <= mostSyncs) return all
  let [least, leastGap] = [1, Number.POSITIVE_INFINITY]
  for (let index = 1; index < all.length - 1; index++) {
    const before = all[index - 1]!.next
    const gap = (all[index + 1]!.next - before) / (sync.next - before)
    if (gap < leastGap) [least, leastGap] = [index, gap]
  }
  return all.toSpliced(least, 1)
}

/** Rounds between which the target has nothing else, not even markers of transactions. */
const joinedRuns = (last: OffsetSync, sync: OffsetSync): OffsetSync | undefined => {
  const { run } = sync
  if (run === null || last.run === null || last.run.partition !== run.partition) return undefined
  const follows =
    sync.next - run.count === last.next && sync.central[run.partition]! - run.count === last.central[run.partition]
  return follows ? { ...sync, run: { ...run, count: last.run.count + run.count } } : undefined
}

/** Where the records from local offset `local` on begin in each partition of the target that the partition has reached. */
export const toCentral = ({ first, syncs }: OffsetMap, local: number): ReadonlyMap<number, TranslatedOffset> => {
  const before = syncs.findLast(({ next }) => next <= local)
  const behind = syncs.find(({ next }) => next >= local)
  const last = syncs.at(-1)
  const run = behind?.run ?? null
  const isInRun = run !== null && behind!.next - run.count <= local
  return new Map(
    Object.entries(first).map(([name, firstOffset]) => {
      const partition = Number(name)
      const at = (sync: OffsetSync | undefined): number => sync?.central[name] ?? firstOffset
      // of a run no record went to other partitions
      const ofRun = run?.partition === partition ? run.count : 0
      if (isInRun) {
        const offset = at(behind) - (ofRun === 0 ? 0 : behind!.next - local)
        return [partition, { offset, atMost: offset }]
      }
      return [partition, { offset: at(before), atMost: at(behind ?? last) - ofRun }]
    }),
  )
}

/**
 * Where a reader goes on here that has read all below these offsets of the target. A partition of the target without an offset was not read.
 * Undefined: none has one to which the partition has sent.
 */
export const toLocal = ({ first, syncs }: OffsetMap, committed: CentralOffsets): TranslatedOffset | undefined => {
  if (Object.keys(first).every(partition => committed[partition] === undefined)) return undefined
  const hasRead = ({ central }: OffsetSync, less?: OffsetSync['run']): boolean =>
    Object.entries(central).every(([partition, offset]) => {
      const read = committed[partition]
      return read !== undefined && read >= offset - (less?.partition === Number(partition) ? less.count : 0)
    })
  const offset = syncs.findLast(sync => hasRead(sync))?.next ?? 0
  const behind = syncs.find(sync => !hasRead(sync))
  if (behind === undefined) return { offset, atMost: offset }
  const { run, next, central } = behind
  if (run === null) return { offset, atMost: next }
  const unread = central[run.partition]! - (committed[run.partition] ?? 0)
  if (!hasRead(behind, run)) return { offset, atMost: unread >= run.count ? next - run.count : next }
  return { offset: next - unread, atMost: next - unread }
}

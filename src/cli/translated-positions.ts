import type { UplinkOffsets } from '../broker/uplink-summary.ts'
import type { Position } from '../client/group-member.ts'
import { type CentralOffsets, type TranslatedOffset, toCentral, toLocal } from '../core/offset-syncs.ts'

/** A committed offset as it is on the other side. */
export interface TranslatedPosition extends Position, TranslatedOffset {}

/**
 * What the committed offsets are in the central cluster. Several partitions here may have sent to one there: it begins at the first record that is
 * not read of any, and where the group has nothing committed of one of them at the first of that.
 */
export const centralPositions = (
  maps: readonly UplinkOffsets[],
  committed: readonly Position[],
): TranslatedPosition[] => {
  const found = new Map<string, TranslatedPosition & { readonly isRead: boolean }>()
  for (const map of maps) {
    const own = committed.find(one => one.topic === map.topic && one.partition === map.partition)
    const isRead = own !== undefined
    for (const [partition, { offset, atMost }] of toCentral(map, own?.offset ?? 0)) {
      const key = `${partition}/${map.target}`
      const before = found.get(key) ?? { offset, atMost, isRead }
      found.set(key, {
        topic: map.target,
        partition,
        offset: Math.min(before.offset, offset),
        atMost: Math.max(before.atMost, atMost),
        isRead: before.isRead || isRead,
      })
    }
  }
  return [...found.values()].filter(({ isRead }) => isRead).map(({ isRead: _, ...position }) => position)
}

/** What the committed offsets of the central cluster are here. */
export const localPositions = (maps: readonly UplinkOffsets[], committed: readonly Position[]): TranslatedPosition[] =>
  maps.flatMap(map => {
    const { topic, partition, target } = map
    const offsets: CentralOffsets = Object.fromEntries(
      committed.filter(one => one.topic === target).map(one => [one.partition, one.offset]),
    )
    const translated = toLocal(map, offsets)
    return translated === undefined ? [] : [{ topic, partition, ...translated }]
  })

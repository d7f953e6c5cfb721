import { describe, expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { chooseEviction, unreadFrom } from '../../../src/storage/eviction-policy.ts'
import type { Compaction, Retention } from '../../../src/storage/log.ts'
import { PartitionLog } from '../../../src/storage/partition-log.ts'
import { Segment } from '../../../src/storage/segment.ts'

const segmentOf = (sequence: number, isSealed = true): Segment => {
  const slot = {
    number: sequence,
    path: '',
    file: undefined as never,
    preparedBytes: 0,
    taken: true,
    damaged: false,
    isBad: false,
    turnBad: () => {},
  }
  const header = {
    kind: 'hot' as const,
    logId: '0'.repeat(32),
    sequence,
    salt: 1n,
    slotBytes: 1 << 20,
    firstGroup: 1,
    previousCrc: 0,
    logEpoch: 1,
  }
  const segment = new Segment(slot, header, 4096)
  segment.sealed = isSealed
  segment.hasFooter = isSealed
  return segment
}

interface Given {
  readonly age?: number
  readonly segment?: Segment
  readonly class?: Retention['class']
  /** Of 10 records. */
  readonly read?: number
  readonly compaction?: 'compact' | 'compact,delete'
}

let nextId = 100
const logWith = (given: Given): PartitionLog => {
  const log = new PartitionLog(partitionId(nextId++))
  const { segment = segmentOf(1), age = 5 } = given
  const span = segment.beginSpan(log.id, 0, age)
  segment.spans.setEndOffset(span.row, 10)
  log.logEnd = 10
  log.addSpan(span)
  log.retention = { ms: -1, bytes: -1, class: given.class ?? 'normal', readThrough: () => given.read ?? 0 }
  if (given.compaction !== undefined) {
    log.compaction = { alsoDeletes: given.compaction === 'compact,delete' } as Compaction
  }
  return log
}
const chosen = (logs: readonly PartitionLog[]): number[] => chooseEviction(logs).map(({ log }) => logs.indexOf(log))

describe('what goes first', () => {
  it.each<[string, Given[], number[]]>([
    [
      'the oldest of equals',
      [
        { age: 9, segment: segmentOf(1) },
        { age: 3, segment: segmentOf(2) },
      ],
      [1],
    ],
    ['the earlier segment in the same second', [{ segment: segmentOf(2) }, { segment: segmentOf(1) }], [1]],
    ['bulk before what is older', [{ age: 1 }, { age: 9, class: 'bulk', segment: segmentOf(2) }], [1]],
    [
      'bulk before what is read',
      [
        { read: 10, age: 1 },
        { class: 'bulk', age: 9, segment: segmentOf(2) },
      ],
      [1],
    ],
    ['read before normal', [{ age: 1 }, { age: 9, read: 10, segment: segmentOf(2) }], [1]],
    [
      'critical that is read before normal',
      [{ age: 1 }, { age: 9, class: 'critical', read: 10, segment: segmentOf(2) }],
      [1],
    ],
    [
      'normal before critical',
      [
        { age: 1, class: 'critical' },
        { age: 9, segment: segmentOf(2) },
      ],
      [1],
    ],
    ['read in part is not read', [{ age: 1 }, { age: 9, read: 9, segment: segmentOf(2) }], [0]],
    ['critical at last', [{ class: 'critical' }], [0]],
    [
      'a compacted topic only where it deletes too',
      [{ age: 1, compaction: 'compact' }, { compaction: 'compact,delete' }],
      [1],
    ],
  ])('%s', (_, given, expected) => {
    expect(chosen(given.map(logWith))).toEqual(expected)
  })

  it('is taken together where it stands in one segment and has one rank', () => {
    const segment = segmentOf(3)
    const classes = ['normal', 'critical', 'normal', 'normal'] as const
    const logs = classes.map((each, index) => logWith({ class: each, segment: index === 3 ? segmentOf(4) : segment }))
    expect(chosen(logs)).toEqual([0, 2])
  })

  it('is nothing while the only data is compacted, internal or in the active segment', () => {
    const internal = new PartitionLog(partitionId(1))
    const segment = segmentOf(1)
    const span = segment.beginSpan(1, 0, 0)
    segment.spans.setEndOffset(span.row, 1)
    internal.addSpan(span)
    expect(
      chooseEviction([internal, logWith({ compaction: 'compact' }), logWith({ segment: segmentOf(5, false) })]),
    ).toEqual([])
  })
})

describe('what nobody has read', () => {
  it.each([
    [0, 0],
    [4, 4],
    [7, 7],
    [9, 7],
  ])('begins at the position %i of the slowest group', (read, first) => {
    expect(unreadFrom(logWith({ read }), 7)).toBe(first)
  })

  it('is everything without a group', () => {
    const log = new PartitionLog(partitionId(99))
    expect(unreadFrom(log, 7)).toBe(0)
  })
})

import { describe, expect, it } from 'vitest'
import {
  mostSyncs,
  type OffsetMap,
  type OffsetSync,
  toCentral,
  toLocal,
  withSync,
} from '../../../src/core/offset-syncs.ts'
import { SimRandom } from '../../support/sim/random.ts'

/** A partition and its target as they are, beside the map that remembers little of it. */
class Model {
  next = 0
  /** Local offset of each record, by its central place. */
  readonly placed = new Map<number, Map<number, number>>()
  map: OffsetMap = { first: {}, syncs: [] }
  readonly #ends = new Map<number, number>()

  /** Sends `count` records, each to the partition that `place` says; `others` is what comes in between upstream. */
  round(count: number, place: (index: number) => number, others: () => number, lost = 0): void {
    const from = this.next
    const first: Record<string, number> = { ...this.map.first }
    const sent = new Map<number, { first: number; last: number; records: number }>()
    this.next += lost
    for (let index = 0; index < count; index++) {
      const partition = place(index)
      const offset = (this.#ends.get(partition) ?? 0) + others()
      this.#ends.set(partition, offset + 1)
      first[partition] ??= offset
      const column = this.placed.get(partition) ?? new Map<number, number>()
      this.placed.set(partition, column.set(offset, this.next++))
      const span = sent.get(partition)
      sent.set(partition, { first: span?.first ?? offset, last: offset, records: (span?.records ?? 0) + 1 })
    }
    const [only, ...more] = [...sent]
    const [partition, { first: begin, last, records }] = only!
    const isRun = more.length === 0 && lost === 0 && last - begin + 1 === records && this.next - from === records
    const central = Object.fromEntries([...this.placed].map(([one, column]) => [one, Math.max(...column.keys()) + 1]))
    const sync: OffsetSync = { next: this.next, central, run: isRun ? { partition, count: records } : null }
    this.map = { first, syncs: withSync(this.map.syncs, sync) }
    // the marker of the transaction
    for (const one of sent.keys()) this.#ends.set(one, this.#ends.get(one)! + 1)
  }

  /** The first place there of what is not below `local`; the end when there is none. */
  exactCentral(partition: number, local: number): number {
    const behind = [...this.placed.get(partition)!].filter(([, offset]) => offset >= local)
    const places = behind.map(([place]) => place)
    return places.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...places)
  }

  /** The first local offset that is not below these places. */
  exactLocal(committed: Readonly<Record<string, number>>): number {
    let least = Number.POSITIVE_INFINITY
    for (const [partition, column] of this.placed)
      for (const [place, offset] of column) if (place >= (committed[partition] ?? 0) && offset < least) least = offset
    return least
  }
}

describe.each([
  { name: 'one to one', place: () => 0, others: () => 0, lost: () => 0 },
  { name: 'one to one beside others', place: () => 0, others: (random: SimRandom) => random.below(3), lost: () => 0 },
  { name: 'with what never went up', place: () => 0, others: () => 0, lost: (random: SimRandom) => random.below(4) },
  {
    name: 'to other partitions',
    place: (random: SimRandom) => random.below(3),
    others: (random: SimRandom) => random.below(2),
    lost: (random: SimRandom) => random.below(2),
  },
])('$name', ({ place, others, lost }) => {
  it('nothing is left out, and not more read again than is said', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const random = new SimRandom(seed)
      const model = new Model()
      for (let round = 0; round < 150; round++)
        model.round(
          1 + random.below(20),
          () => place(random),
          () => others(random),
          lost(random),
        )
      expect(model.map.syncs.length).toBeLessThanOrEqual(mostSyncs)
      for (let look = 0; look < 60; look++) {
        const local = random.below(model.next + 1)
        for (const [partition, { offset, atMost }] of toCentral(model.map, local)) {
          const exact = model.exactCentral(partition, local)
          expect(offset).toBeLessThanOrEqual(exact)
          expect(atMost).toBeGreaterThanOrEqual(offset)
          // the end may lie before others' records, or a marker
          const end = model.map.syncs.at(-1)!.central[partition]!
          if (exact <= end) expect(lastBefore(model, partition, exact)).toBeLessThanOrEqual(atMost)
        }
        const committed = Object.fromEntries(
          [...model.placed.keys()].map(one => [one, random.below(model.map.syncs.at(-1)!.central[one]! + 2)]),
        )
        const back = toLocal(model.map, committed)!
        expect(back.offset).toBeLessThanOrEqual(model.exactLocal(committed))
        expect(back.atMost).toBeGreaterThanOrEqual(back.offset)
      }
    }
  })
})

/** Behind the last record of ours before `place`. */
const lastBefore = (model: Model, partition: number, place: number): number =>
  Math.max(0, ...[...model.placed.get(partition)!.keys()].filter(one => one < place).map(one => one + 1))

it('is exact within the rounds that are remembered, there and back', () => {
  const model = new Model()
  for (let round = 0; round < 40; round++)
    model.round(
      10,
      () => 0,
      () => 0,
    )
  for (let local = 0; local <= model.next; local++) {
    const { offset, atMost } = toCentral(model.map, local).get(0)!
    expect(atMost).toBe(offset)
    expect(toLocal(model.map, { 0: offset })).toEqual({ offset: local, atMost: local })
  }
})

it('who is close to the end is close there too: what is read again is a part of how far behind it is', () => {
  const model = new Model()
  for (let round = 0; round < 5_000; round++)
    model.round(
      1,
      () => 0,
      () => 1,
    )
  for (const behind of [0, 1, 2, 10, 100, 1_000, 4_000]) {
    const { offset } = toCentral(model.map, model.next - behind).get(0)!
    const again =
      model.next - behind - (model.placed.get(0)!.get(offset) ?? model.placed.get(0)!.get(offset + 1) ?? model.next)
    expect(again).toBeLessThanOrEqual(behind / 2)
  }
})

it('rounds without a marker between them are one run, however many there are', () => {
  let syncs: readonly OffsetSync[] = []
  for (let next = 5; next <= 5_000; next += 5)
    syncs = withSync(syncs, { next, central: { 0: next + 7 }, run: { partition: 0, count: 5 } })
  expect(syncs).toEqual([{ next: 5_000, central: { 0: 5_007 }, run: { partition: 0, count: 5_000 } }])
})

it('a partition of the target that was not read holds back, and one that nothing was sent to does not', () => {
  const model = new Model()
  model.round(
    4,
    index => index % 2,
    () => 0,
  )
  model.round(
    4,
    index => index % 2,
    () => 0,
  )
  expect(toLocal(model.map, {})).toBeUndefined()
  expect(toLocal(model.map, { 7: 100 })).toBeUndefined()
  expect(toLocal(model.map, { 0: 100 })?.offset).toBe(0)
  expect(toLocal(model.map, { 0: 100, 1: 2 })?.offset).toBe(4)
  expect(toLocal(model.map, { 0: 100, 1: 100, 7: 0 })?.offset).toBe(8)
})

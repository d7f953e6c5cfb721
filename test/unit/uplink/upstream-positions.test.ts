import { beforeEach, expect, it } from 'vitest'
import { UplinkView } from '../../../src/state/uplink.ts'
import type { StateChange } from '../../../src/state/view.ts'
import type { Position } from '../../../src/uplink/position.ts'
import { UplinkFenced } from '../../../src/uplink/uplink-errors.ts'
import { UpstreamPositions } from '../../../src/uplink/upstream-positions.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { type MemoryBroker, openMemoryBroker } from '../../support/memory-broker.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const record = (value: string) => ({ timestampMs: 1, key: null, value: Buffer.from(value) })

let under: MemoryBroker
let view: UplinkView
let clock: VirtualClock

beforeEach(async () => {
  view = new UplinkView()
  clock = new VirtualClock()
  under = await openMemoryBroker({ frontViews: [view] })
  const { broker } = under.open
  const topic = broker.topics.create({ name: 't', partitions: 1 })
  const { group } = await broker.produce(topic, 0, encodeBatch([record('a'), record('b'), record('c')]), { zstd: true })
  await broker.whenDurable(group!)
})

const startedAs = (incarnation: string) => [{ incarnation, from: 0 }]

const positionsOf = (incarnation = 'now'): UpstreamPositions => {
  const { broker, state } = under.open
  return new UpstreamPositions({ broker, state, view, clock, incarnation })
}

const position = (changes: Partial<Position> = {}): Position => ({
  topic: 't',
  partition: 0,
  topicId: under.open.broker.topics.get('t').id,
  last: 2,
  records: 3,
  unsent: {},
  gateway: 'g7',
  target: 't',
  targetId: 'e'.repeat(32),
  central: {},
  elsewhere: { renamed: 0, remade: 0 },
  starts: startedAs('now'),
  ...changes,
})

it('takes positions by any start of this log, and only those', async () => {
  await positionsOf('yesterday').claim()
  const ours = positionsOf()
  await ours.claim()
  ours.take(position({ starts: startedAs('yesterday'), last: 0 }))
  ours.take(position())
  expect(() => ours.check()).not.toThrow()
  expect(ours.of('t', 0)?.last).toBe(2)
  ours.take(position({ starts: startedAs('of a clone') }))
  expect(() => ours.check()).toThrow(UplinkFenced)
})

it('stays fenced at later starts, before anything is read', () => {
  const ours = positionsOf()
  ours.take(position({ starts: startedAs('of a clone') }))
  expect(() => ours.check()).toThrow('another copy of this log has sent as g7')
  expect(() => positionsOf('tomorrow').check()).toThrow('another copy of this log has sent as g7')
})

it('a log restored from a fenced one is another log: it may send under its own name', () => {
  const ours = positionsOf()
  ours.take(position({ starts: startedAs('of a clone') }))
  expect(() => ours.check()).toThrow(UplinkFenced)
  const { broker, state } = under.open
  const restored = Object.create(broker, { logId: { value: 'e'.repeat(32) } })
  const theirs = new UpstreamPositions({ broker: restored, state, view, clock, incarnation: 'restored' })
  expect(() => theirs.check()).not.toThrow()
})

it('a position beyond the end of the log is of a log that went on: this one is an old backup', async () => {
  const ours = positionsOf()
  await ours.claim()
  ours.take(position({ last: 3 }))
  expect(() => ours.check()).toThrow('partition 0 of t ends before 3, but 3 was sent')
})

it('a topic of the same name that was made later is another one', async () => {
  const ours = positionsOf()
  await ours.claim()
  ours.take(position({ topicId: 'f'.repeat(32), last: 1000 }))
  expect(() => ours.check()).not.toThrow()
})

it('a late position does not replace a newer one, nor one of an earlier topic of this name that of the present one', async () => {
  const ours = positionsOf()
  await ours.claim()
  ours.take(position())
  ours.take(position({ last: 1, records: 2 }))
  ours.take(position({ topicId: 'f'.repeat(32), last: 1000 }))
  expect(ours.of('t', 0)).toMatchObject({ topicId: position().topicId, last: 2 })
  ours.copy(noTails, { now: true })
  // nor after a restart, which knows the copy
  const later = positionsOf('later')
  later.take(position({ topicId: 'f'.repeat(32), last: 1000 }))
  expect(later.of('t', 0)).toMatchObject({ topicId: position().topicId, last: 2 })
  const { topics } = under.open.broker
  topics.delete('t')
  const made = topics.create({ name: 't', partitions: 1 })
  later.take(position({ topicId: made.id, last: -1, records: 0 }))
  expect(later.of('t', 0)).toMatchObject({ topicId: made.id, last: -1 })
})

it('a late position of another copy of this log is no reason to pass it over', async () => {
  const ours = positionsOf()
  await ours.claim()
  ours.take(position())
  ours.take(position({ last: 0, records: 1, starts: startedAs('of a clone') }))
  expect(() => ours.check()).toThrow(UplinkFenced)
})

it('nothing is copied of what was read and not judged yet: a fork would take it for its own', () => {
  const ours = positionsOf()
  ours.take(position({ starts: startedAs('of a clone') }))
  ours.copy(noTails, { now: true })
  expect(view.positions()).toEqual([])
})

const noTails = { changes: () => [], copied: () => {} }

it('is copied to the log every 10 s and when asked to, with the place to read on from', async () => {
  const ours = positionsOf()
  ours.take(position({ last: 1, records: 2 }))
  ours.readThrough({ topicId: 'f'.repeat(32), partitions: 16, partition: 4, next: 9 })
  ours.copy(noTails)
  expect(positionsOf().of('t', 0)).toBeUndefined()
  await clock.advance(10_000)
  ours.copy(noTails)
  expect(positionsOf().of('t', 0)).toMatchObject({ topicId: position().topicId, last: 1, records: 2 })
  expect(positionsOf().place).toEqual({ topicId: 'f'.repeat(32), partitions: 16, partition: 4, next: 9 })
  ours.take(position())
  ours.copy(noTails, { now: true })
  expect(positionsOf().of('t', 0)?.last).toBe(2)
})

it('is copied whatever the number of partitions, in commits of the smallest size, the place behind all of it', () => {
  const { broker, state } = under.open
  const written: (readonly StateChange[])[] = []
  const write = (changes: readonly StateChange[]) => {
    written.push(changes)
    return state.write(changes)
  }
  const watched = Object.create(state, { write: { value: write } })
  const ours = new UpstreamPositions({ broker, state: watched, view, clock, incarnation: 'now'.repeat(16) })
  const central = { 7: { first: 1_000_000_000, last: 2_000_000_000, records: 1_000_000_000 } }
  const starts = ['now', 'b', 'c', 'd'].map(name => ({ incarnation: name.repeat(16), from: 1_000_000 }))
  for (let index = 0; index < 2_000; index++) ours.take(position({ topic: `building/floor/${index}`, central, starts }))
  ours.readThrough({ topicId: 'f'.repeat(32), partitions: 16, partition: 4, next: 9 })
  ours.copy(noTails, { now: true })
  const sizeOf = ({ key, value }: StateChange): number => key.length + (value?.length ?? 0)
  const largest = Math.max(...written.map(changes => changes.reduce((sum, change) => sum + sizeOf(change), 0)))
  expect(largest).toBeLessThan(64 << 10)
  expect(positionsOf().of('building/floor/1999', 0)).toMatchObject({ records: 3 })
  expect(written.flat().at(-1)?.key.toString()).toBe('place')
})

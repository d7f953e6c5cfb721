import { expect, it } from 'vitest'
import { type PartitionId, partitionId } from '../../../src/core/brand.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import type { StateChange, StateRecord, View } from '../../../src/state/view.ts'
import { ViewLog } from '../../../src/state/view-log.ts'
import { CrashingLog } from '../../support/crashing-log.ts'
import { silentLogger } from '../../support/silent-logger.ts'
import { SimRandom } from '../../support/sim/random.ts'
import { MemoryCheckpointStore } from '../storage/test-log.ts'

/** A map from strings to strings; a key that is set again moves to the end, as in the worst of the real views. */
class MapView implements View {
  readonly name: string
  readonly partition: PartitionId
  readonly map = new Map<string, string>()

  constructor(name: string, partition: number) {
    this.name = name
    this.partition = partitionId(partition)
  }

  set(key: string, value: string | null): StateChange {
    return { view: this, key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }
  }

  apply(key: Buffer, value: Buffer | null): void {
    this.map.delete(key.toString())
    if (value !== null) this.map.set(key.toString(), value.toString())
  }

  *entries(): Iterable<StateRecord> {
    for (const [key, value] of this.map) yield { key: Buffer.from(key), value: Buffer.from(value) }
  }

  clear(): void {
    this.map.clear()
  }
}

const sorted = (map: ReadonlyMap<string, string>): [string, string][] => [...map].sort()

interface Opened {
  readonly one: MapView
  readonly two: MapView
  readonly state: ViewLog
  readonly metrics: Metrics
}

const open = async (log: CrashingLog, store = new MemoryCheckpointStore()): Promise<Opened> => {
  const one = new MapView('one', 1)
  const two = new MapView('two', 2)
  const metrics = new Metrics()
  const state = await ViewLog.open({ log, store, logger: silentLogger, metrics }, [one, two])
  return { one, two, state, metrics }
}

/** Runs until nothing is left to do in this turn. */
const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}

const seeds =
  process.env['SEED'] === undefined ? Array.from({ length: 60 }, (_, i) => i) : [Number(process.env['SEED'])]

it.each(seeds)('views are what was written, over rewrites, checkpoints and crashes: seed %i', async seed => {
  const random = new SimRandom(seed)
  const store = new MemoryCheckpointStore()
  let log = new CrashingLog()
  /** The state after each group that was written, oldest first. */
  let history: { group: number; state: [string, string][][] }[] = [{ group: 0, state: [[], []] }]
  for (let life = 0; life < 6; life++) {
    const { one, two, state } = await open(log, store)
    const now = [sorted(one.map), sorted(two.map)]
    // one of the states that were, and none from before what was durable
    expect(history.map(each => each.state)).toContainEqual(now)
    history = [{ group: 0, state: now }]
    let rewriting = Promise.resolve()
    for (let step = 0; step < 150; step++) {
      const choice = random.below(100)
      if (choice < 70) {
        const change = (view: MapView): StateChange =>
          view.set(`k${random.below(40)}`, random.chance(0.25) ? null : `${step}`.repeat(random.below(2000)))
        const changes = random.chance(0.3) ? [change(one), change(two)] : [change(random.pick([one, two]))]
        const group = state.write(changes)
        history.push({ group, state: [sorted(one.map), sorted(two.map)] })
      } else if (choice < 74) {
        const partition = random.pick([one, two]).partition
        rewriting = rewriting.then(() => state.writeAgain(partition))
      } else if (choice < 76) void state.checkpointAll()
      else if (choice < 90) await turns(random.below(3))
      else log.held = random.chance(0.5)
      if (!log.held) log.release()
    }
    const durable = log.durableGroup
    const from = history.findLastIndex(({ group }) => group <= durable)
    history = history.slice(from)
    log = await log.afterCrash(random)
    if (random.chance(0.2)) store.values.clear()
  }
})

it('writes changes of several views in one group, or none of them', async () => {
  const log = new CrashingLog()
  const { one, two, state } = await open(log)
  log.held = true
  state.write([one.set('a', '1'), two.set('b', '2')])
  log.fail()
  expect(() => state.write([one.set('a', '9')])).toThrow(/failed/)
  expect(one.map.get('a')).toBe('1')
  const again = await open(await log.afterCrash(new SimRandom(1)))
  expect(again.one.map.size).toBe(again.two.map.size)
})

it('a view that changes while it is rewritten does not keep the rewrite going for ever', async () => {
  const log = new CrashingLog()
  const { one, state } = await open(log)
  for (let key = 0; key < 20; key++) state.write([one.set(`k${key}`, 'x'.repeat(10_000))])
  let running = true
  const done = state.writeAgain(one.partition).finally(() => {
    running = false
  })
  let changes = 0
  for (; running && changes < 5000; changes++) {
    state.write([one.set(`k${changes % 20}`, `${changes}`.repeat(3000))])
    await turns(1)
  }
  await done
  expect(changes).toBeLessThan(100)
  await turns(5)
  expect(log.offsets(one.partition).logStart).toBeGreaterThan(0)
  expect(sorted((await open(await log.afterCrash(new SimRandom(1)))).one.map)).toEqual(sorted(one.map))
})

it('drops a checkpoint that is ahead of the log: the log may grow past it again with other records', async () => {
  const store = new MemoryCheckpointStore()
  const log = new CrashingLog()
  const { one, state } = await open(log, store)
  for (let value = 0; value < 5; value++) state.write([one.set('a', `${value}`)])
  await state.checkpointAll()
  expect(store.get('view/one')).toBeDefined()
  const shorter = new CrashingLog()
  const second = await open(shorter, store)
  expect(second.one.map.size).toBe(0)
  expect(store.get('view/one')).toBeUndefined()
  for (let value = 0; value < 9; value++) second.state.write([second.one.set('b', `${value}`)])
  await turns(3)
  const third = await open(await shorter.afterCrash(new SimRandom(1)), store)
  expect(sorted(third.one.map)).toEqual([['b', '8']])
})

it('ignores a checkpoint that is damaged or of another log, and counts the rebuild', async () => {
  const store = new MemoryCheckpointStore()
  const log = new CrashingLog()
  const { one, state } = await open(log, store)
  state.write([one.set('a', '1')])
  await state.checkpointAll()
  const whole = store.values.get('view/one')!
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole)
    damaged[at]! ^= 1
    store.values.set('view/one', damaged)
    const again = await open(await log.afterCrash(new SimRandom(at)), store)
    expect(sorted(again.one.map)).toEqual([['a', '1']])
    expect(again.metrics.count('viewRebuilds', 'one')).toBe(1)
  }
  for (const length of [0, 3, 48, whole.length - 1]) {
    store.values.set('view/one', whole.subarray(0, length))
    expect((await open(await log.afterCrash(new SimRandom(1)), store)).one.map.get('a')).toBe('1')
  }
})

it('writes a view again whose records are damaged, so that its checkpoint is not needed', async () => {
  const store = new MemoryCheckpointStore()
  const log = new CrashingLog()
  const { one, state } = await open(log, store)
  state.write([one.set('a', '1')])
  state.write([one.set('b', '2')])
  await state.checkpointAll()
  const next = await log.afterCrash(new SimRandom(1))
  next.gapList = [{ partition: one.partition, first: 0, last: 0, reason: 'damage', logAge: 0 }]
  const again = await open(next, store)
  expect(next.offsets(one.partition).logStart).toBe(2)
  store.values.clear()
  const last = await open(await next.afterCrash(new SimRandom(1)), store)
  expect(sorted(last.one.map)).toEqual(sorted(again.one.map))
  expect(last.one.map.size).toBe(2)
})

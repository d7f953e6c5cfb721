import { expect, it } from 'vitest'
import { GroupActor, GroupModel, rebalanceTimeoutMs } from '../support/group-actor.ts'
import { GroupBench } from '../support/group-bench.ts'

const partitions = 12
const actors = 8
const slowestSyncMs = 3000
const chaosMs = 240_000

const seeds =
  process.env['SEED'] === undefined ? Array.from({ length: 60 }, (_, i) => i + 1) : [Number(process.env['SEED'])]

function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One group under chaos, then in peace. */
async function simulate(seed: number, lying = false) {
  const random = seeded(seed)
  const upTo = (limit: number) => Math.floor(random() * limit)
  const bench = new GroupBench({ initialRebalanceDelayMs: upTo(2) * 3000 })
  bench.log.lying = lying
  const model = new GroupModel(partitions)
  // a join may have to wait for a whole rebalance timeout after the initial delay, a sync for the disk
  const limitMs = rebalanceTimeoutMs + 3000 + slowestSyncMs
  const everyone: GroupActor[] = []
  const live = () => everyone.filter(({ gone }) => !gone)
  const start = (groupInstanceId: string | null) =>
    everyone.push(new GroupActor({ bench, model, random, limitMs, groupInstanceId }))
  const pick = () => live()[upTo(live().length)]

  const chaos: (() => void)[] = [
    () => start(null),
    () => start(`static-${upTo(4)}`),
    // dies without a word
    () => {
      const actor = pick()
      if (actor !== undefined) actor.gone = true
    },
    // leaves
    () => {
      const actor = pick()
      if (actor === undefined || actor.memberId === '') return
      actor.gone = true
      const { memberId, groupInstanceId } = actor
      bench.groups.leave({ groupId: 'g', members: [{ memberId, groupInstanceId }] })
    },
    // a long collection of garbage: misses sync, session or rebalance timeout, and goes on as if nothing was
    () => {
      const actor = pick()
      if (actor !== undefined) actor.stallMs = upTo(12_000)
    },
    () => {
      bench.log.syncMs = upTo(3) === 0 ? upTo(slowestSyncMs) : upTo(20)
    },
    () => {
      bench.log.full = !bench.log.full
    },
    () => bench.restart(upTo(3)),
  ]

  // keeps the group in being while it has no members
  await bench.commit(0).promise
  for (let i = 0; i < actors / 2; i++) start(null)
  const endMs = bench.clock.monotonicMs() + chaosMs
  while (bench.clock.monotonicMs() < endMs) {
    await bench.clock.advance(upTo(8000))
    const [few, many] = [live().length < 2, live().length >= actors]
    if (few) start(null)
    else chaos[many ? 2 + upTo(chaos.length - 2) : upTo(chaos.length)]!()
  }

  bench.log.full = false
  bench.log.syncMs = 5
  await bench.clock.advance(90_000)
  const description = await settled(bench)
  const owned = live().flatMap(actor => actor.owned)
  const ids = live().map(({ memberId }) => memberId)
  for (const actor of live()) actor.gone = true
  bench.groups.stop()
  await bench.clock.advance(60_000)
  const failures = (await Promise.all(everyone.map(({ done }) => done))).filter(failure => failure !== undefined)
  return { failures, model, description, owned, ids }
}

async function settled(bench: GroupBench) {
  const described = bench.groups.describe('g')
  await bench.clock.advance(100)
  return described
}

it.each(seeds)('a group survives chaos, seed %i', async seed => {
  const { failures, model, description, owned, ids } = await simulate(seed)
  expect(failures).toEqual([])
  expect(description!.state).toBe('Stable')
  expect(description!.members.map(({ memberId }) => memberId).sort()).toEqual(ids.sort())
  expect(owned.sort((a, b) => a - b)).toEqual(Array.from({ length: partitions }, (_, i) => i))
  expect(model.rounds).toBeGreaterThan(5)
  expect(model.commits).toBeGreaterThan(100)
})

it('the canary: a log that says durable what is not is found', async () => {
  const found: unknown[] = []
  for (let seed = 1; seed <= 30 && found.length === 0; seed++) found.push(...(await simulate(seed, true)).failures)
  expect(String(found[0])).toMatch(/went back from|generation|is of/)
})

import { expect, it } from 'vitest'
import { GroupBench, subscription } from '../../../support/group-bench.ts'

const weekSeconds = 7 * 86_400
const checkMs = 600_000

/** Lets log age pass and the next check run. */
const pass = async (bench: GroupBench, seconds: number) => {
  bench.log.age(seconds)
  await bench.clock.advance(checkMs)
}

it('offsets of a simple group expire by the age of the commit', async () => {
  const bench = new GroupBench()
  await bench.commit(1).promise
  await pass(bench, weekSeconds - 700)
  expect(await bench.committed()).toBe(1)
  await pass(bench, 0)
  expect(await bench.committed()).toBe(-1)
  expect(await bench.groups.list()).toEqual([])
  expect(bench.metrics.count('groupsExpiredOffsets')).toBe(1)
  bench.restart()
  expect(await bench.groups.list()).toEqual([])
})

it('offsets that the gateway itself goes by stay', async () => {
  const bench = new GroupBench()
  bench.groups.keep('g')
  await bench.commit(1).promise
  await pass(bench, 2 * weekSeconds)
  expect(await bench.committed()).toBe(1)
})

it('offsets of a group with members stay; they expire after it became empty, also across restarts', async () => {
  const bench = new GroupBench()
  const { ids, generation } = await bench.stable(1)
  await bench.commit(1, { memberId: ids[0]!, generation }).promise
  for (let i = 0; i < 80; i++) {
    bench.log.age(weekSeconds)
    await bench.clock.advance(9000)
    bench.heartbeat(ids[0]!, generation)
  }
  expect(await bench.committed()).toBe(1)
  bench.groups.leave({ groupId: 'g', members: [{ memberId: ids[0]!, groupInstanceId: null }] })
  await pass(bench, weekSeconds - 700)
  bench.restart()
  expect(await bench.committed()).toBe(1)
  await pass(bench, 0)
  expect(await bench.committed()).toBe(-1)
})

it('a commit into an empty group counts as use', async () => {
  const bench = new GroupBench()
  const { ids } = await bench.stable(1)
  bench.groups.leave({ groupId: 'g', members: [{ memberId: ids[0]!, groupInstanceId: null }] })
  bench.log.age(2 * weekSeconds)
  await bench.commit(8).promise
  await pass(bench, 0)
  expect(await bench.committed()).toBe(8)
})

it('a Stable consumer group keeps what it subscribes to and loses the rest', async () => {
  const bench = new GroupBench()
  const offsets = ['t', 'u'].map(topic => ({ topic, partition: 0, offset: 1, leaderEpoch: -1, metadata: '' }))
  await bench.groups.commit({ groupId: 'g', memberId: '', groupInstanceId: null, generation: -1, offsets })
  const joined = bench.join({
    protocols: [{ name: 'range', metadata: subscription('t') }],
    sessionTimeoutMs: 1_800_000,
  })
  await bench.clock.advance(0)
  const { memberId } = joined.value!
  await bench.assign([memberId], 1, memberId)
  await pass(bench, weekSeconds)
  expect([...bench.groups.committedOffsets('g')].map(({ topic }) => topic)).toEqual(['t'])
})

it('an empty group without offsets goes at the next check, a pending member keeps it', async () => {
  const bench = new GroupBench()
  const { ids } = await bench.stable(1)
  bench.groups.leave({ groupId: 'g', members: [{ memberId: ids[0]!, groupInstanceId: null }] })
  await bench.clock.advance(checkMs - 1000)
  await bench.newMemberId()
  await bench.clock.advance(5000)
  expect(await bench.state()).toBe('Empty')
  await bench.clock.advance(checkMs)
  expect(await bench.state()).toBe('none')
  expect([...bench.view.entries()]).toEqual([])
})

it('a check that cannot write tries again', async () => {
  const bench = new GroupBench()
  await bench.commit(1).promise
  bench.log.full = true
  await pass(bench, weekSeconds)
  expect(await bench.committed()).toBe(1)
  bench.log.full = false
  await pass(bench, 0)
  expect(await bench.committed()).toBe(-1)
})

import { expect, it } from 'vitest'
import { GroupBench } from '../../../support/group-bench.ts'
import { settle } from '../../../support/virtual-clock.ts'

it('members of a Stable group just go on', async () => {
  const bench = new GroupBench()
  const { ids, generation } = await bench.stable(2, ['a', null])
  await bench.commit(7, { memberId: ids[1]!, generation }).promise
  const before = await bench.groups.describe('g')
  bench.restart()
  expect(await bench.groups.describe('g')).toEqual(before)
  expect(bench.heartbeat(ids[0]!, generation, 'a')).toBe('ok')
  expect(bench.heartbeat(ids[1]!, generation)).toBe('ok')
  const synced = bench.sync(ids[1]!, generation)
  const rejoined = bench.join({ memberId: ids[1]! })
  await bench.commit(8, { memberId: ids[1]!, generation }).promise
  expect(synced.value!.assignment).toEqual(Buffer.from('for-1'))
  expect(rejoined.value).toMatchObject({ generation, leader: ids[0] })
  expect(await bench.committed()).toBe(8)
  // those who do not come back are missed
  await bench.clock.advance(5000)
  bench.heartbeat(ids[0]!, generation, 'a')
  await bench.clock.advance(5000)
  expect(bench.heartbeat(ids[1]!, generation)).toBe('unknownMember')
})

it('a rebalance that was under way is forgotten: the stored generation is back', async () => {
  const bench = new GroupBench()
  const { ids } = await bench.stable(1)
  const newcomer = bench.join()
  await settle()
  bench.restart()
  await settle()
  expect(newcomer.kind).toBe('coordinatorUnavailable')
  expect(bench.heartbeat(ids[0]!, 1)).toBe('ok')
})

it('what was not durable is gone, what was stays', async () => {
  const bench = new GroupBench()
  await bench.commit(1).promise
  bench.log.held = true
  bench.commit(2)
  bench.restart()
  expect(await bench.committed()).toBe(1)
  bench.log.held = true
  bench.commit(3)
  bench.commit(4)
  bench.restart(1)
  expect(await bench.committed()).toBe(3)
})

it('an empty group keeps its generation and type', async () => {
  const bench = new GroupBench()
  const { ids } = await bench.stable(1)
  bench.groups.leave({ groupId: 'g', members: [{ memberId: ids[0]!, groupInstanceId: null }] })
  await settle()
  bench.restart()
  expect(await bench.groups.describe('g')).toMatchObject({ state: 'Empty', generation: 2, protocolType: 'consumer' })
  const joined = bench.join()
  await bench.clock.advance(0)
  expect(joined.value!.generation).toBe(3)
})

it('a group above a lowered group.max.size rebalances down to it', async () => {
  const bench = new GroupBench()
  const { ids } = await bench.stable(3)
  Object.assign(bench.settings, { maxSize: 2 })
  bench.restart()
  const joins = ids.map(memberId => bench.join({ memberId }))
  await settle()
  expect(joins.map(({ kind, value }) => kind ?? value?.generation)).toEqual([2, 2, 'groupFull'])
})

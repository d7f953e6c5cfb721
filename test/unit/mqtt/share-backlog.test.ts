import { expect, it } from 'vitest'
import { partitionId } from '../../../src/core/brand.ts'
import { ShareBacklog } from '../../../src/mqtt/share-backlog.ts'

const partition = partitionId(100)
const at = (offset: number) => ({ partition, offset })
const backlogFrom = (offset: number): ShareBacklog => {
  const backlog = new ShareBacklog()
  backlog.stored(partition, offset)
  return backlog
}

it('says what is done one by one', () => {
  const backlog = backlogFrom(10)
  for (let offset = 10; offset < 20; offset++) {
    expect(backlog.covers(at(offset))).toBe(false)
    backlog.handedOver(at(offset), true)
  }
  for (const offset of [10, 12, 13, 19]) backlog.done(at(offset))
  const pending = [
    [11, 12],
    [14, 19],
  ]
  expect(backlog.position(partition)).toEqual({ next: 20, pending })
  expect([backlog.covers(at(15)), backlog.covers(at(20))]).toEqual([true, false])
})

it('reads what was given back first, also when the reader is beyond it', () => {
  const backlog = backlogFrom(0)
  for (const offset of [0, 1, 2]) backlog.handedOver(at(offset), true)
  expect(backlog.givenBack(at(1))).toBe(true)
  expect(backlog.givenBack(at(1))).toBe(false)
  expect(backlog.next()).toEqual(at(1))
  backlog.proceed(partition, 1)
  backlog.handedOver(at(1), true)
  backlog.proceed(partition, 2)
  expect(backlog.missedFrom(partition)).toBe(3)
  backlog.proceed(partition, 5)
  // behind the reader
  backlog.givenBack(at(2))
  backlog.proceed(partition, 8)
  expect([backlog.missedFrom(partition), backlog.missedIn(partition, 0, 10)]).toEqual([8, 3])
  expect(backlog.position(partition)).toEqual({ next: 8, pending: [[0, 3]] })
  expect(backlog.next()).toEqual(at(2))
  backlog.proceed(partition, 3)
  expect(backlog.next()).toEqual(at(8))
  backlog.caughtUp(partition, 8)
  expect([backlog.isEmpty, backlog.covers(at(7)), backlog.covers(at(8))]).toEqual([true, true, false])
})

it('is not told of what was published before its first position', () => {
  const backlog = backlogFrom(10)
  expect([
    backlog.tellsOf(at(9)),
    backlog.tellsOf(at(10)),
    backlog.tellsOf({ ...at(10), partition: partitionId(7) }),
  ]).toEqual([false, true, false])
})

it('goes on after a start where it was, without what exchanges have', () => {
  const backlog = new ShareBacklog()
  backlog.restore(partition, { next: 8, pending: [[2, 4]] })
  for (const offset of [3, 9]) backlog.claim(at(offset))
  const pending = [
    [2, 3],
    [8, 9],
  ]
  expect(backlog.position(partition)).toEqual({ next: 10, pending })
})

it('stands lower than it could when there is too much between', () => {
  const backlog = backlogFrom(0)
  for (let offset = 0; offset < 10_000; offset++) backlog.handedOver(at(offset), offset % 2 === 0)
  const { next, pending } = backlog.position(partition)!
  expect([next, pending.length, pending[0], pending.at(-1)]).toEqual([8192, 4096, [0, 1], [8190, 8191]])
})

it('needs no position when nothing is open, and nothing comes', () => {
  const backlog = backlogFrom(0)
  expect([backlog.wasQuiet(partition), backlog.wasQuiet(partition)]).toEqual([false, true])
  expect([backlog.expects(partition), backlog.wasQuiet(partition)]).toEqual([true, false])
  backlog.handedOver(at(0), true)
  expect([backlog.wasQuiet(partition), backlog.wasQuiet(partition)]).toEqual([false, false])
  backlog.done(at(0))
  expect(backlog.wasQuiet(partition)).toBe(true)
})

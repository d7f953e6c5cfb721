import { expect, it } from 'vitest'
import { SparkplugView } from '../../../src/state/sparkplug.ts'
import type { StateChange } from '../../../src/state/view.ts'

const apply = (changes: readonly StateChange[] | undefined): void => {
  for (const { view, key, value } of changes ?? expect.unreachable()) view.apply(key, value)
}
const limits = { count: 2, bytes: 4096 }
const status = { online: true, birth: 1, bdSeq: 4 }

it('keeps births, writes them when they differ, and gives them as records', () => {
  const view = new SparkplugView()
  apply(view.bear('g/ü', [['a', 1, 3], ['b', '18446744073709551615', 9], ['c', null, 12]], status, limits)) // biome-ignore format: rows
  apply(view.bear('g/ü/d', [['x', 2, 3]], { ...status, bdSeq: null }, limits))
  const copy = new SparkplugView()
  for (const { key, value } of view.entries()) copy.apply(key, value)
  for (const one of [view, copy]) {
    expect([...one.metrics('g/ü')!.names]).toEqual([[1, 'a'], ['18446744073709551615', 'b']]) // biome-ignore format: rows
    expect([...one.metrics('g/ü')!.datatypes]).toEqual([['a', 3], ['b', 9], ['c', 12]]) // biome-ignore format: rows
    expect(one.status('g/ü')).toEqual(status)
    expect(one.size).toBe(2)
  }
  expect(view.bear('g/ü/d', [['x', 2, 3]], status, limits)).toHaveLength(1)
  apply(view.bear('g/ü/d', [['x', 3, 3]], status, limits))
  expect([...view.metrics('g/ü/d')!.names]).toEqual([[3, 'x']])
  view.clear()
  expect([...view.entries()]).toEqual([])
})

it('forgets the dead for a birth without room, those first that died longest ago, and devices of which the edge node was born again', () => {
  const view = new SparkplugView()
  const three = { count: 3, bytes: 4096 }
  const dead = { ...status, online: false }
  for (const path of ['g/a', 'g/a/d', 'g/b']) apply(view.bear(path, [['x', 1, 3]], status, three))
  apply(view.bear('g/a', [['x', 1, 3]], { ...status, birth: 2 }, three))
  apply([view.putStatus('g/b', dead)])
  const paths = () => ['g/a', 'g/a/d', 'g/b', 'g/c', 'g/e', 'g/f'].filter(path => view.status(path) !== undefined)
  apply(view.bear('g/c', [['x', 1, 3]], status, three))
  expect(paths()).toEqual(['g/a', 'g/b', 'g/c'])
  apply([view.putStatus('g/a', dead)])
  // a dead one that is born again stays
  apply(view.bear('g/b', [['x', 1, 3]], status, three))
  apply(view.bear('g/e', [['x', 1, 3]], status, three))
  expect(paths()).toEqual(['g/b', 'g/c', 'g/e'])
  expect(view.bear('g/f', [['x', 1, 3]], status, three)).toBeUndefined()
  apply([view.putStatus('g/c', dead), view.putStatus('g/b', dead)])
  apply(view.bear('g/f', [['x'.repeat(3500), 1, 3]], status, three))
  expect([paths(), [...view.entries()].length]).toEqual([['g/e', 'g/f'], 4])
})

it('takes no more than its limits', () => {
  const view = new SparkplugView()
  apply(view.bear('g/a', [['x', 1, 3]], status, limits))
  expect(view.bear('g/a', [['x'.repeat(4096), 1, 3]], status, limits)).toBeUndefined()
  apply(view.bear('g/b', [['x', 1, 3]], status, limits))
  expect(view.bear('g/c', [['x', 1, 3]], status, limits)).toBeUndefined()
  // what is there may change, and become smaller
  apply(view.bear('g/a', [['y', 1, 3]], status, limits))
  for (const path of ['g/a', 'g/b']) {
    view.apply(Buffer.concat([Buffer.from([1]), Buffer.from(path)]), null)
    view.apply(Buffer.concat([Buffer.from([2]), Buffer.from(path)]), null)
  }
  apply(view.bear('g/c', [['x', 1, 3]], status, limits))
  expect(view.size).toBe(1)
})

import { expect, it } from 'vitest'
import { LazyMap } from '../../../src/core/lazy-map.ts'

it('is a map, also before it has anything', () => {
  const map = new LazyMap<string, number>()
  const seen = () => ({ size: map.size, entries: [...map], keys: [...map.keys()], values: [...map.values()] })
  const empty = { size: 0, entries: [], keys: [], values: [] }
  map.delete('a')
  expect([map.get('a'), map.has('a'), seen()]).toEqual([undefined, false, empty])
  map.set('b', 1)
  map.set('a', 2)
  expect(seen()).toEqual({
    size: 2,
    entries: [
      ['b', 1],
      ['a', 2],
    ],
    keys: ['b', 'a'],
    values: [1, 2],
  })
  expect([map.get('a'), map.has('a'), map.has('c')]).toEqual([2, true, false])
  map.delete('b')
  expect([...map]).toEqual([['a', 2]])
  map.clear()
  expect(seen()).toEqual(empty)
})

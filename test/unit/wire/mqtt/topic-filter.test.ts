import { describe, expect, it } from 'vitest'
import { FilterTree, filterCovers, filterMatches, topicFilterFault } from '../../../../src/wire/mqtt/topic-filter.ts'
import { topicNameFault } from '../../../../src/wire/mqtt/topic-name.ts'

// MQTT 3.1.1 section 4.7, with its examples
const matches: [string, string, boolean][] = [
  ['sport/tennis/player1/#', 'sport/tennis/player1', true],
  ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
  ['sport/#', 'sport', true],
  ['#', 'a/b', true],
  ['sport/tennis/+', 'sport/tennis/player1', true],
  ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
  ['sport/+', 'sport', false],
  ['sport/+', 'sport/', true],
  ['+/+', '/finance', true],
  ['/+', '/finance', true],
  ['+', '/finance', false],
  ['#', '$SYS/x', false],
  ['+/monitor/Clients', '$SYS/monitor/Clients', false],
  ['$SYS/#', '$SYS/monitor', true],
  ['a/b', 'a/b', true],
  ['a/b', 'a/B', false],
  ['a//b', 'a//b', true],
  ['a/+/b', 'a//b', true],
]

describe('topic filters', () => {
  it.each(matches)('%s and %s: %s', (filter, topic, expected) => {
    expect(filterMatches(filter, topic)).toBe(expected)
    const tree = new FilterTree<string>()
    tree.add(filter, 'value')
    tree.add('other/filter', 'other')
    expect(tree.match(topic)).toEqual(expected ? ['value'] : [])
    tree.delete(filter, 'value')
    expect(tree.match(topic)).toEqual([])
  })

  it('agree with the plain comparison on random filters', () => {
    let state = 7
    const random = (below: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31
      return Math.floor(state / 65_536) % below
    }
    const tree = new FilterTree<string>()
    const filters = new Set<string>()
    const level = (wild: boolean): string => (wild ? ['a', 'b', '', '+', '$x'] : ['a', 'b', '', 'c', '$x'])[random(5)]!
    for (let round = 0; round < 2000; round++) {
      const levels = Array.from({ length: 1 + random(4) }, () => level(true))
      const filter = (random(3) === 0 ? [...levels, '#'] : levels).join('/')
      if (filters.delete(filter)) tree.delete(filter, filter)
      else if (topicFilterFault(filter) === undefined) {
        filters.add(filter)
        tree.add(filter, filter)
      }
      const topic = Array.from({ length: 1 + random(4) }, () => level(false)).join('/')
      const expected = [...filters].filter(one => filterMatches(one, topic)).sort()
      expect(tree.match(topic).sort()).toEqual(expected)
    }
  })

  it.each(['', 'a+', 'a/+b', 'a/#/b', 'a#', 'a\0', 'a/'.repeat(100)])('%j is none', filter => {
    expect(topicFilterFault(filter)).toBeDefined()
  })

  it.each(['#', '+', 'a/+/#', '/', 'a/', '$share/g/a'])('%j is one', filter => {
    expect(topicFilterFault(filter)).toBeUndefined()
  })
})

describe('topic names', () => {
  it.each(['', 'a/+', '#', 'a\0b', 'a\uFFFDb', 'a/'.repeat(100)])('%j is none', topic => {
    expect(topicNameFault(topic)).toBeDefined()
  })

  it.each(['a', '/', 'a b/ü', '$SYS'])('%j is one', topic => {
    expect(topicNameFault(topic)).toBeUndefined()
  })
})

describe('a filter that covers another', () => {
  it.each([
    ['a/#', 'a', true],
    ['a/#', 'a/+/b', true],
    ['a/#', 'a/#', true],
    ['a/#', '#', false],
    ['a/+', 'a/b', true],
    ['a/+', 'a/+', true],
    ['a/+', 'a/#', false],
    ['a/+', 'a/b/c', false],
    ['a/b', 'a/+', false],
    ['a/b', 'a/b', true],
    ['a/+/#', 'a/#', false],
    ['#', 'a/#', true],
    ['#', '$SYS/#', false],
    ['$SYS/#', '$SYS/broker', true],
  ])('%s covers %s: %s', (outer, filter, expected) => expect(filterCovers(outer, filter)).toBe(expected))
})

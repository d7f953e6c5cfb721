import { expect, it } from 'vitest'
import { crossCheck } from '../../../src/config/cross-checks.ts'
import { parseDeliver } from '../../../src/config/deliver.ts'
import { downlink, parseDownlink } from '../../../src/config/downlink.ts'
import { checkDownlink } from '../../../src/config/downlink-checks.ts'
import { defaultSettings, type Settings } from '../../../src/config/settings.ts'

const rulesOf = (tree: unknown) => {
  const parsed = parseDownlink(tree)
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems))
  return parsed.value
}

const problemsOf = (tree: unknown): string[] => {
  const parsed = parseDownlink(tree)
  return 'problems' in parsed ? parsed.problems.map(({ at = '', reason }) => `${at} ${reason}`) : []
}

const contradictions = (tree: unknown, settings: Partial<Settings> = {}): string[] => {
  const found: string[] = []
  const all = {
    ...defaultSettings,
    'uplink.bootstrap.servers': [{ host: 'k', port: 9092 }],
    ...settings,
    downlink: rulesOf(tree),
  }
  checkDownlink(all, (key, reason) => found.push(`${key}${reason}`))
  return found
}

it('a rule that names a topic takes all of it, to a topic of the same name, from now on', () => {
  expect(rulesOf([{ topic: 'fleet' }])).toEqual([
    {
      topic: 'fleet',
      to: 'fleet',
      key: undefined,
      headers: new Map(),
      ttlMs: Number.POSITIVE_INFINITY,
      priority: 'normal',
      from: 'latest',
      report: undefined,
    },
  ])
})

it('what is written is read again', () => {
  const full = {
    topic: 'orders',
    key: '{gateway}/*',
    header: { site: '{gateway}' },
    to: 'commands',
    ttl: '1h',
    priority: 'high',
    from: 'earliest',
    report: 'results',
  }
  for (const tree of [[full], [{ topic: 'a', to: 'b' }]]) {
    expect(JSON.parse(downlink.format(rulesOf(tree)))).toEqual(tree)
    expect(downlink.parse(downlink.format(rulesOf(tree)))).toEqual({ value: rulesOf(tree) })
  }
})

it.each([
  [{ topic: 'a b' }, '[0].topic "a b" is not a topic name'],
  [{}, '[0].topic is missing'],
  [{ topic: 'a', to: '__b' }, '[0].to names that begin with __ belong to the broker'],
  [{ topic: 'a', key: '*/*' }, '[0].key "*/*" has more than one *'],
  [{ topic: 'a', key: '{device}' }, '[0].key the placeholder {device} is not known, there are {gateway}'],
  [{ topic: 'a', header: ['x'] }, '[0].header a map of names and values is expected'],
  [{ topic: 'a', ttl: '5ms' }, '[0].ttl "5ms" is too small, at least 1s is needed'],
  [{ topic: 'a', priority: 'most' }, '[0].priority "most" is not one of high, normal, low'],
  [{ topic: 'a', from: 'start' }, '[0].from "start" is neither latest nor earliest'],
  [{ topic: 'a', keys: 'b' }, '[0] there is no key "keys" here'],
])('%j: %s', (rule, problem) => expect(problemsOf([rule])).toContain(problem))

it('rules that contradict each other or the uplink are refused', () => {
  expect(contradictions([{ topic: 'a' }], { 'uplink.bootstrap.servers': [] })).toEqual([
    'downlinkhas no effect without uplink.bootstrap.servers: name the brokers of the central cluster',
  ])
  expect(contradictions([{ topic: 'a' }, { topic: 'a', to: 'b', from: 'earliest', priority: 'low' }])).toEqual([
    'downlink[1].priority is low, but normal in an earlier rule for a: a topic is read once',
    'downlink[1].from is earliest, but latest in an earlier rule for a: a topic is read once',
  ])
  expect(contradictions([{ topic: 'a', to: 'b' }], { 'uplink.topics': ['b'] })[0]).toContain('[0].to b is named in')
  expect(contradictions([{ topic: 'a', report: 'a' }])[0]).toContain('[0].report a is filled by the downlink')
})

it('deliver rules for one topic that cannot be told apart are refused', () => {
  const rule = { topic: 'a', mqtt: 'm' }
  const parsed = parseDeliver([rule, { ...rule, name: 'b' }, { topic: 'c', mqtt: 'm' }, rule, { ...rule, name: 'b' }])
  if ('problems' in parsed) throw new Error('each rule is right')
  const problems = crossCheck({ ...defaultSettings, deliver: parsed.value }, undefined, 8 * 2 ** 30, () => '')
  expect(problems.map(({ reason, nearest }) => `${reason} ${nearest}`)).toEqual([
    '[3].name is missing: [0] is for a, too, and has none; rules for one topic are told apart by it rule-2',
    '[4].name is that of [1], which is for a, too; rules for one topic are told apart by it rule-2',
  ])
})

import { describe, expect, test } from 'vitest'
import { deliver, parseDeliver } from '../../../src/config/deliver.ts'
import { parsePattern, parseRoutes, routes } from '../../../src/config/routes.ts'

const problemsOf = (
  parsed: ReturnType<typeof parseRoutes> | ReturnType<typeof parseDeliver> | ReturnType<typeof parsePattern>,
) =>
  'problems' in parsed
    ? parsed.problems.map(
        ({ at = '', reason, nearest }) => `${at}: ${reason}${nearest === undefined ? '' : ` (${nearest})`}`,
      )
    : []

describe('patterns', () => {
  test('levels are literals, names, wildcards and the rest', () => {
    expect(parsePattern('a/{b}/+/{c...}')).toEqual({
      value: [{ kind: 'literal', text: 'a' }, { kind: 'one', name: 'b' }, { kind: 'one' }, { kind: 'rest', name: 'c' }],
    })
    expect(parsePattern('/#')).toEqual({ value: [{ kind: 'literal', text: '' }, { kind: 'rest' }] })
  })

  test.each([
    ['a/#/b', 'must stand last'],
    ['{a...}/b', 'must stand last'],
    ['a{b}', 'mixes text'],
    ['a+', 'mixes text'],
    ['{}', 'mixes text'],
    ['{a}/{a}', 'twice'],
    ['', 'not an MQTT topic filter'],
    ['a\0b', 'not an MQTT topic filter'],
  ])('%j %s', (pattern, reason) => expect(problemsOf(parsePattern(pattern))[0]).toContain(reason))
})

describe('routes', () => {
  test('a route says topic, key and headers; without a key the key is the MQTT topic', () => {
    const parsed = parseRoutes([
      { mqtt: 'a/{b}', topic: 'x-{b}', key: '{b}', headers: { h: 'v{b}' } },
      { mqtt: 'c', topic: 'c' },
      { mqtt: 'd', topic: 'd', key: null },
      { mqtt: 'debug/#', store: false },
    ])
    expect(parsed).toMatchObject({
      value: [
        {
          topic: { parts: [{ literal: 'x-' }, { name: 'b' }] },
          key: { kind: 'template', template: { parts: [{ name: 'b' }] } },
        },
        { key: { kind: 'mqttTopic' } },
        { key: { kind: 'none' } },
        { store: false },
      ],
    })
  })

  test('all problems of all routes, each with its place', () => {
    const tree = [
      { mqtt: 'a/{b...}/c', topic: '{x}' },
      { mqtt: 'a/{b}', topic: '{c}', headers: { h: '{d}' } },
      { mqtt: 'a', topic: 'not a name', stor: true },
      { mqtt: 'a', store: false, topic: 'b' },
      { topic: '__internal' },
      { mqtt: 'a', topic: 'a', decode: 'sparkplgu', key: '{metric}' },
      'text',
    ]
    expect(problemsOf(parseRoutes(tree))).toEqual([
      '[0].mqtt: "{b...}" takes the rest of the topic and must stand last',
      '[1].topic: the placeholder {c} is not known, there are {b} ({b})',
      '[1].headers.h: the placeholder {d} is not known, there are {b} ({b})',
      '[2]: there is no key "stor" here (store)',
      '[2].topic: "not a name" is not a topic name (not_a_name)',
      '[3].topic: has no meaning with store: false',
      '[4].mqtt: is missing',
      '[4].topic: names that begin with __ belong to the broker (internal)',
      `[5].decode: "sparkplgu" is not a form of payloads (sparkplug)`,
      '[5].key: the placeholder {metric} is not known, there are none here',
      '[6]: a map with the keys mqtt, topic, key, headers, decode, store is expected',
    ])
  })

  test('text on the command line is YAML; what is no list is refused', () => {
    expect(routes.parse('[{mqtt: a, topic: b}]')).toEqual(parseRoutes([{ mqtt: 'a', topic: 'b' }]))
    for (const text of ['{mqtt: a}', '[', 'a: [b']) expect('problems' in routes.parse(text)).toBe(true)
    expect(problemsOf(parseRoutes(Array(1001).fill({ mqtt: 'a', topic: 'b' })))[0]).toContain('at most 1000')
  })

  test('the text form parses back', () => {
    const parsed = parseRoutes([
      { mqtt: 'a/{b}', topic: 't', key: null, headers: { h: '{b}' } },
      { mqtt: '#', store: false },
    ])
    expect('value' in parsed && routes.parse(routes.format(parsed.value))).toEqual(parsed)
  })
})

describe('deliver', () => {
  test('a rule has a topic, an MQTT topic and a QoS', () => {
    const parsed = parseDeliver([{ topic: 'commands', mqtt: 'devices/{key}/commands' }])
    expect(parsed).toMatchObject({
      value: [
        {
          topic: 'commands',
          qos: 1,
          mqtt: { parts: [{ literal: 'devices/' }, { name: 'key' }, { literal: '/commands' }] },
        },
      ],
    })
    expect('value' in parsed && deliver.parse(deliver.format(parsed.value))).toEqual(parsed)
  })

  test('wildcards, unknown placeholders, QoS 3 and odd names are refused', () => {
    const tree = [{ topic: 'a b', mqtt: 'a/#', qos: 3 }, { topic: 'a', mqtt: '{kee}' }, { mqtt: 'x}' }]
    expect(problemsOf(parseDeliver(tree))).toEqual([
      '[0].topic: "a b" is not a topic name',
      '[0].mqtt: "a/#" is not an MQTT topic; records are published to one topic, without wildcards',
      '[0].qos: "3" is not a QoS (2)',
      '[1].mqtt: the placeholder {kee} is not known, there are {key}, {topic}, {gateway}, {header.NAME} ({key})',
      '[2].topic: is missing',
      '[2].mqtt: "x}" has a brace without its partner',
    ])
  })
})

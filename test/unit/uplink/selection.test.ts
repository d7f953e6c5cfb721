import { expect, it } from 'vitest'
import { type DownlinkRule, parseDownlink } from '../../../src/config/downlink.ts'
import { parseTemplate } from '../../../src/config/template.ts'
import { Selection } from '../../../src/uplink/selection.ts'

const selection = (
  topics: readonly string[],
  exclude: readonly string[] = [],
  rename = '{topic}',
  down: readonly DownlinkRule[] = [],
): Selection => {
  const parsed = parseTemplate(rename, undefined)
  if ('problems' in parsed) throw new Error(rename)
  const settings = {
    'uplink.topics': topics,
    'uplink.topics.exclude': exclude,
    'uplink.rename': parsed.value,
    'uplink.rules': [],
    downlink: down,
  }
  return new Selection(settings, 'g7')
}

it('takes names and patterns, whole names only', () => {
  const some = selection(['sensors', 'alarms.*'])
  expect(['sensors', 'sensors2', 'alarms.fire', 'alarmsXfire', 'alarms.'].map(name => some.has(name))).toEqual([
    true,
    false,
    true,
    false,
    true,
  ])
})

it('leaves out what is excluded, and internal topics unless they are named', () => {
  const all = selection(['*', '__named'], ['debug.*'])
  expect(['debug.x', 'debug', '__other', '__named'].map(name => all.has(name))).toEqual([false, true, false, true])
})

it('renames', () => {
  expect(selection(['*'], [], 'edge.{gateway}.{topic}').target('sensors')).toBe('edge.g7.sensors')
})

it('leaves out what the downlink fills, or it would come down again', () => {
  const parsed = parseDownlink([{ topic: 'orders', to: 'commands' }])
  if ('problems' in parsed) throw new Error('not a rule')
  const all = selection(['*'], [], '{topic}', parsed.value)
  expect(['commands', 'orders', 'sensors'].map(name => all.has(name))).toEqual([false, true, true])
})

import { expect, it } from 'vitest'
import { parseDeliver } from '../../../../src/config/deliver.ts'
import { parseDownlink } from '../../../../src/config/downlink.ts'
import { defaultSettings, type Settings } from '../../../../src/config/settings.ts'
import { stayingReports } from '../../../../src/uplink/downlink/report-topics.ts'

const deliver = parseDeliver([
  { topic: 'commands', mqtt: '{key}', ack: 'device', report: 'results' },
  { topic: 'others', mqtt: '{key}', ack: 'device', report: 'commands' },
])
const downlink = parseDownlink([{ topic: 'orders', to: 'commands', report: 'results' }])
if ('problems' in deliver || 'problems' in downlink) throw new Error('the rules are right')
const bootstrap = [{ host: 'central', port: 9092 }]
const stays = (settings: Partial<Settings>) =>
  stayingReports({ ...defaultSettings, deliver: deliver.value, downlink: downlink.value, ...settings }, 'g7')

it('reports that do not go up are named, each topic once', () => {
  const filled = { topic: 'commands', reason: 'the downlink fills it, and what comes down does not go up' }
  expect(stays({ 'uplink.bootstrap.servers': bootstrap })).toEqual([filled])
  expect(stays({ 'uplink.bootstrap.servers': bootstrap, 'uplink.topics': ['sensors'] })).toEqual([
    { topic: 'results', reason: 'it is not among uplink.topics, or among uplink.topics.exclude' },
    filled,
  ])
})

it('without an uplink they are for readers here', () => expect(stays({ 'uplink.topics': ['sensors'] })).toEqual([]))

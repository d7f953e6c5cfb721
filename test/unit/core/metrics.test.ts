import { expect, it } from 'vitest'
import { Metrics, metricTable } from '../../../src/core/metrics.ts'

it('counts by label and over all labels', () => {
  const metrics = new Metrics()
  metrics.add('kafkaErrors', 2, 'unknownTopic')
  metrics.add('kafkaErrors', 1, 'memoryFull')
  expect(metrics.count('kafkaErrors')).toBe(3)
  expect(metrics.count('kafkaErrors', 'unknownTopic')).toBe(2)
  expect(metrics.count('kafkaErrors', 'nothing')).toBe(0)
})

it('writes the text format of Prometheus, untouched counters as 0', () => {
  const metrics = new Metrics()
  metrics.add('kafkaErrors', 1, 'a"b\\c\nd')
  metrics.gauge('kafkaConnections', () => 3)
  metrics.gauge('storageSlots', () => new Map([['hot', 2]]))
  const lines = metrics.text().split('\n')
  expect(lines).toContain('brooklet_kafka_errors_total{kind="a_b_c_d"} 1')
  expect(lines).toContain('brooklet_kafka_connections 3')
  expect(lines).toContain('brooklet_storage_slots{kind="hot"} 2')
  expect(lines).toContain('brooklet_group_commits_total 0')
  for (const line of lines.slice(0, -1))
    expect(line).toMatch(/^(# (HELP|TYPE) \S+ .+|brooklet_[a-z0-9_]+(\{[a-z]+="[^"]*"\})? -?[\d.e+]+)$/)
})

it('samples gauges when they are read, and refuses to sample a counter', () => {
  const metrics = new Metrics()
  let value = 1
  metrics.gauge('groupsMembers', () => value)
  value = 9
  expect(metrics.text()).toContain('brooklet_group_members 9')
  expect(() => metrics.gauge('kafkaErrors', () => 1)).toThrow(/gauge/)
})

it('counts the values of a histogram below its bounds', () => {
  const metrics = new Metrics()
  metrics.observe('uplinkDelay', 0.005)
  metrics.observe('uplinkDelay', 0.021, 3)
  metrics.observe('uplinkDelay', 9999)
  const lines = metrics.text().split('\n')
  expect(lines).toContain('# TYPE brooklet_uplink_delay_seconds histogram')
  for (const [bound, count] of Object.entries({ 0.005: 1, 0.02: 1, 0.03: 4, 3600: 4, '+Inf': 5 }))
    expect(lines).toContain(`brooklet_uplink_delay_seconds_bucket{le="${bound}"} ${count}`)
  expect(lines).toContain('brooklet_uplink_delay_seconds_count 5')
  expect(() => metrics.observe('kafkaErrors', 1)).toThrow(/histogram/)
})

it('names counters as Prometheus wants, once each', () => {
  const rows = Object.values(metricTable)
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
  for (const { name, type } of rows) expect(name.endsWith('_total'), name).toBe(type === 'counter')
})

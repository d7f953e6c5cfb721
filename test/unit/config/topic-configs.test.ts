import { describe, expect, test } from 'vitest'
import {
  configSourceCodes,
  configTypeCodes,
  describeBroker,
  describeTopic,
} from '../../../src/config/describe-configs.ts'
import { loadSettings } from '../../../src/config/load.ts'
import { topicConfigKeys, topicConfigRow } from '../../../src/config/topic-config-table.ts'
import { TopicConfigs } from '../../../src/config/topic-configs.ts'
import { BrokerError } from '../../../src/core/errors.ts'

const loaded = loadSettings({
  environment: {},
  flags: new Map(),
  set: ['retention.ms=1d', 'max.message.bytes=2MiB'],
  memoryBytes: 2 ** 32,
  diskBytes: () => 2 ** 35,
})
const configs = new TopicConfigs(loaded.settings)
const overrides = (...pairs: [string, string][]) => new Map(pairs)
const forever = Number.POSITIVE_INFINITY

const refusal = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(BrokerError)
    expect((error as BrokerError).kind).toBe('invalidConfig')
    return (error as BrokerError).message
  }
  return 'accepted'
}

describe('values', () => {
  test('defaults come from the settings, overrides win', () => {
    expect(configs.retention(overrides())).toEqual({ ms: 86_400_000, bytes: forever, class: 'normal' })
    expect(configs.retention(overrides(['retention.ms', '-1'], ['retention.bytes', '100']))).toEqual({
      ms: forever,
      bytes: 100,
      class: 'normal',
    })
    expect(configs.retention(overrides(['cleanup.policy', 'compact']))).toMatchObject({ ms: forever, bytes: forever })
    expect(configs.retention(overrides(['cleanup.policy', 'compact,delete']))).toMatchObject({ ms: 86_400_000 })
  })

  test('rules for batches', () => {
    expect(
      configs.batchRules(
        overrides(
          ['cleanup.policy', 'compact'],
          ['message.timestamp.type', 'LogAppendTime'],
          ['message.timestamp.after.max.ms', '1h'],
        ),
      ),
    ).toEqual({
      maxBatchBytes: 2 * 1024 * 1024,
      appendTime: true,
      compacted: true,
      timestampBeforeMaxMs: forever,
      timestampAfterMaxMs: 3_600_000,
    })
  })

  test('every default is a value that its own type accepts', () => {
    for (const key of topicConfigKeys) {
      const { type, fallback } = topicConfigRow(key)
      expect([key, type.parse(type.formatPlain(fallback))]).toEqual([key, { value: fallback }])
    }
  })

  test('values are stored as Kafka writes them', () => {
    expect(configs.normalize(overrides(['retention.ms', '7d'], ['cleanup.policy', 'compact, delete']))).toEqual(
      overrides(['retention.ms', '604800000'], ['cleanup.policy', 'compact,delete']),
    )
  })

  test.each([
    ['retntion.ms', '1', 'nearest: retention.ms'],
    ['retention.ms', 'soon', 'is not a time'],
    ['cleanup.policy', 'compacted', 'nearest: compact'],
    ['max.message.bytes', '3MiB', "above the gateway's max.message.bytes; nearest: 2097152"],
    ['min.insync.replicas', '3', 'nearest: 2'],
    ['min.cleanable.dirty.ratio', '1.5', 'nearest: 1'],
    ['min.compaction.lag.ms', 'unlimited', 'is not a time'],
  ])('%s=%s is refused: %s', (name, value, reason) => {
    expect(refusal(() => configs.check(overrides([name, value])))).toContain(reason)
  })

  test('values that contradict each other are refused', () => {
    expect(
      refusal(() => configs.check(overrides(['min.compaction.lag.ms', '10'], ['max.compaction.lag.ms', '5']))),
    ).toContain('is above')
  })
})

describe('incremental changes', () => {
  const before = overrides(['cleanup.policy', 'delete'], ['retention.ms', '5'])

  test('set, delete, append and subtract', () => {
    const changes = [
      { name: 'retention.ms', operation: 'DELETE', value: null },
      { name: 'cleanup.policy', operation: 'APPEND', value: 'compact' },
      { name: 'max.message.bytes', operation: 'SET', value: '1000' },
    ] as const
    expect(configs.alter(before, changes)).toEqual(
      overrides(['cleanup.policy', 'delete,compact'], ['max.message.bytes', '1000']),
    )
    expect(
      configs.alter(overrides(['cleanup.policy', 'delete,compact']), [
        { name: 'cleanup.policy', operation: 'SUBTRACT', value: 'delete' },
      ]),
    ).toEqual(overrides(['cleanup.policy', 'compact']))
    expect(before).toEqual(overrides(['cleanup.policy', 'delete'], ['retention.ms', '5']))
  })

  test('append starts from the default and adds nothing twice', () => {
    const append = (value: string) =>
      configs.alter(overrides(), [{ name: 'cleanup.policy', operation: 'APPEND', value }])
    expect(append('compact').get('cleanup.policy')).toBe('delete,compact')
    expect(append('delete').get('cleanup.policy')).toBe('delete')
  })

  test('append to what is no list, or without a value, is refused', () => {
    expect(refusal(() => configs.alter(before, [{ name: 'retention.ms', operation: 'APPEND', value: '1' }]))).toContain(
      'lists only',
    )
    expect(refusal(() => configs.alter(before, [{ name: 'retention.ms', operation: 'SET', value: null }]))).toContain(
      'needs a value',
    )
  })
})

describe('DescribeConfigs', () => {
  const find = (name: string, own = overrides()) =>
    describeTopic(configs, own, loaded).find(config => config.name === name)

  test('all configs are listed, with type, source and documentation', () => {
    const described = describeTopic(configs, overrides(), loaded)
    expect(described.map(config => config.name)).toEqual(topicConfigKeys)
    expect(described.every(config => config.docs !== '' && config.value !== null)).toBe(true)
    expect(find('cleanup.policy')).toMatchObject({ value: 'delete', source: 'DEFAULT', type: 'LIST', readOnly: false })
    expect([configSourceCodes.DEFAULT, configTypeCodes.LIST]).toEqual([5, 7])
  })

  test('synonyms go from the value in force down to the default', () => {
    expect(find('retention.ms', overrides(['retention.ms', '5']))).toMatchObject({
      value: '5',
      source: 'TOPIC',
      synonyms: [
        { name: 'retention.ms', value: '5', source: 'TOPIC' },
        { name: 'log.retention.ms', value: '86400000', source: 'STATIC_BROKER' },
        { name: 'log.retention.ms', value: '604800000', source: 'DEFAULT' },
      ],
    })
  })

  test('configs without effect say so', () => {
    expect(find('segment.bytes')?.docs).toMatch(/^Without effect here\. /)
    expect(find('retention.ms')?.docs).not.toMatch(/^Without effect/)
  })

  test('names pick some, unknown ones are left out', () => {
    expect(describeTopic(configs, overrides(), loaded, ['retention.ms', 'nothing']).map(config => config.name)).toEqual(
      ['retention.ms'],
    )
  })

  test("the broker shows its settings under Kafka's names", () => {
    const broker = describeBroker(loaded, new Map())
    expect(broker.find(config => config.name === 'log.retention.ms')).toMatchObject({
      value: '86400000',
      source: 'STATIC_BROKER',
      readOnly: true,
    })
    expect(broker.find(config => config.name === 'num.partitions')).toMatchObject({
      value: '4',
      source: 'DEFAULT',
      type: 'INT',
    })
    expect(new Set(broker.map(config => config.name)).size).toBe(broker.length)
  })
})

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LiveSettings } from '../../../src/config/live-settings.ts'
import { BrokerError } from '../../../src/core/errors.ts'
import { alterConfigs, describeConfigs, incrementalAlterConfigs } from '../../../src/wire/kafka/contracts/index.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'
import type { KafkaTestClient } from '../../support/kafka-test-client.ts'

let server: KafkaTestServer
let client: KafkaTestClient
beforeEach(async () => {
  server = await KafkaTestServer.start()
  client = await server.connect()
  server.open.broker.topics.create({ name: 't', configs: new Map([['retention.ms', '1000']]) })
})
afterEach(() => server.stop())

const [topic, broker, brokerLogger] = [2, 4, 8]
const overrides = () => Object.fromEntries(server.open.broker.topics.get('t').configs)

async function describeOne(resourceType: number, resourceName: string, configurationKeys: string[] | null = null) {
  const resources = [{ resourceType, resourceName, configurationKeys }]
  const body = { resources, includeSynonyms: true, includeDocumentation: true }
  return (await client.request(describeConfigs, 4, body)).results[0]!
}

describe('describe configs', () => {
  it.each([[null], [[]]])('with keys %j gives all of a topic, with source, synonyms, type and docs', async keys => {
    const { configs, errorCode } = await describeOne(topic!, 't', keys)
    expect(errorCode).toBe(0)
    expect(configs.length).toBeGreaterThan(30)
    const retention = configs.find(({ name }) => name === 'retention.ms')!
    expect(retention).toMatchObject({
      value: '1000',
      configSource: 1,
      configType: 5,
      isSensitive: false,
      readOnly: false,
    })
    expect(retention.synonyms.map(({ source }) => source)).toEqual([1, 5])
    expect(retention.documentation).toMatch(/\w/)
    expect(configs.find(({ name }) => name === 'cleanup.policy')).toMatchObject({ value: 'delete', configSource: 5 })
  })

  it('gives what is asked for and leaves out unknown names', async () => {
    const { configs } = await describeOne(topic!, 't', ['segment.bytes', 'nonsense'])
    expect(configs.map(({ name }) => name)).toEqual(['segment.bytes'])
  })

  it('refuses a resource named twice, once: an answer is not many times its request', async () => {
    const named = (resourceName: string) => ({ resourceType: broker!, resourceName, configurationKeys: null })
    const resources = [...Array.from({ length: 1000 }, () => named('')), named('1')]
    const { results } = await client.request(describeConfigs, 4, { resources })
    expect(results.map(({ errorCode, resourceName }) => [errorCode, resourceName])).toEqual([
      [errorCodes.INVALID_REQUEST, ''],
      [0, '1'],
    ])
  })

  it('knows the gateway under node 1, and its log level', async () => {
    const { configs } = await describeOne(broker!, '1')
    expect(configs.find(({ name }) => name === 'auto.create.topics.enable')).toMatchObject({
      value: 'true',
      readOnly: true,
    })
    expect((await describeOne(brokerLogger!, '1')).configs).toMatchObject([
      { name: 'root', value: 'INFO', configSource: 6 },
    ])
  })

  it.each([
    [2, 'none', errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    [4, '7', errorCodes.INVALID_REQUEST],
    [16, 'x', errorCodes.INVALID_REQUEST],
  ])('of resource type %i named %s: code %i', async (resourceType, resourceName, code) => {
    expect(await describeOne(resourceType, resourceName)).toMatchObject({ errorCode: code, configs: [] })
  })
})

describe('alter configs', () => {
  const alter = async (
    resourceType: number,
    resourceName: string,
    configs: { name: string; value: string | null }[],
    validateOnly = false,
  ) =>
    (await client.request(alterConfigs, 2, { resources: [{ resourceType, resourceName, configs }], validateOnly }))
      .responses[0]!

  it('replaces all that was set', async () => {
    expect((await alter(topic!, 't', [{ name: 'cleanup.policy', value: 'compact' }])).errorCode).toBe(0)
    expect(overrides()).toEqual({ 'cleanup.policy': 'compact' })
  })

  it('only looks when asked to, and refuses what is wrong', async () => {
    expect((await alter(topic!, 't', [], true)).errorCode).toBe(0)
    expect((await alter(topic!, 't', [{ name: 'retention.ms', value: null }])).errorCode).toBe(
      errorCodes.INVALID_CONFIG,
    )
    expect((await alter(topic!, 't', [{ name: 'x', value: '1' }])).errorCode).toBe(errorCodes.INVALID_CONFIG)
    expect(overrides()).toEqual({ 'retention.ms': '1000' })
  })

  it('answers also where the message would quote a very long name', async () => {
    const answer = await alter(topic!, 't', [{ name: '\u00e4'.repeat(16_000), value: '1' }])
    expect(answer.errorCode).toBe(errorCodes.INVALID_CONFIG)
    expect(answer.errorMessage!.length).toBeLessThan(1100)
  })

  it('of the gateway says where its settings are changed', async () => {
    const answer = await alter(broker!, '1', [{ name: 'num.partitions', value: '8' }])
    expect(answer.errorCode).toBe(errorCodes.INVALID_REQUEST)
    expect(answer.errorMessage).toContain('restart')
    expect((await alter(broker!, '', [{ name: 'nonsense', value: '8' }])).errorCode).toBe(errorCodes.INVALID_CONFIG)
    expect((await alter(brokerLogger!, '1', [{ name: 'root', value: 'DEBUG' }])).errorCode).toBe(
      errorCodes.INVALID_REQUEST,
    )
  })
})

const [set, remove, append, subtract] = [0, 1, 2, 3]

describe('settings of the gateway that are live', () => {
  let directory: string
  let inForce: string[]
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'brooklet-configs-'))
    inForce = []
    await server.stop()
    const follow = (live: LiveSettings): void => {
      live.onChange('disk.budget', share => {
        const text = JSON.stringify(share)
        if ('bytes' in share && share.bytes < 128 << 20) throw new BrokerError('invalidConfig', 'at least 128MiB')
        return () => inForce.push(text)
      })
    }
    server = await KafkaTestServer.start({ dataDirectory: directory, follow })
    client = await server.connect()
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const budget = async () => {
    const { configs } = await describeOne(broker!, '1', ['disk.budget'])
    return { ...configs[0], sources: configs[0]!.synonyms.map(({ source }) => source) }
  }
  const incremental = async (value: string | null, configOperation = set!, validateOnly = false) => {
    const configs = [{ name: 'disk.budget', configOperation, value }]
    const resources = [{ resourceType: broker!, resourceName: '1', configs }]
    return (await client.request(incrementalAlterConfigs, 1, { resources, validateOnly })).responses[0]!
  }

  it('change at once, are told as dynamic, and go back when they are deleted', async () => {
    expect(await budget()).toMatchObject({ readOnly: false, sources: [5] })
    expect((await incremental('536870912')).errorCode).toBe(0)
    expect(await budget()).toMatchObject({ value: '512MiB', configSource: 2, sources: [2, 5] })
    expect((await incremental('512MiB')).errorCode).toBe(0)
    expect(inForce).toEqual(['{"bytes":536870912}'])
    expect((await incremental(null, remove!)).errorCode).toBe(0)
    expect(await budget()).toMatchObject({ configSource: 5, sources: [5] })
    expect(inForce).toHaveLength(2)
  })

  it('are all replaced by AlterConfigs', async () => {
    const replace = async (configs: { name: string; value: string }[]) => {
      const resources = [{ resourceType: broker!, resourceName: '1', configs }]
      return (await client.request(alterConfigs, 2, { resources, validateOnly: false })).responses[0]!
    }
    expect((await replace([{ name: 'disk.budget', value: '20%' }])).errorCode).toBe(0)
    expect(await budget()).toMatchObject({ value: '20%', configSource: 2 })
    expect((await replace([])).errorCode).toBe(0)
    expect(await budget()).toMatchObject({ configSource: 5 })
  })

  it.each([
    ['what cannot hold', '100MiB', set, /at least 128MiB/],
    ['what is below the least', '1MiB', set, /64MiB/],
    ['no value', null, set, /disk.budget/],
    ['an addition', '1GiB', append, /no list/],
  ] as const)('refuse %s and stay as they are', async (_what, value, operation, message) => {
    expect((await incremental('512MiB')).errorCode).toBe(0)
    const answer = await incremental(value, operation)
    expect(answer.errorCode).toBe(errorCodes.INVALID_CONFIG)
    expect(answer.errorMessage).toMatch(message)
    expect(await budget()).toMatchObject({ value: '512MiB' })
    expect(inForce).toHaveLength(1)
  })

  it('are judged without being changed where only that is asked for', async () => {
    expect((await incremental('100MiB', set, true)).errorCode).toBe(errorCodes.INVALID_CONFIG)
    expect((await incremental('512MiB', set, true)).errorCode).toBe(0)
    expect(await budget()).toMatchObject({ configSource: 5 })
    expect(inForce).toEqual([])
  })
})

describe('incremental alter configs', () => {
  const alter = async (...configs: [string, number | undefined, string | null][]) => {
    const resource = {
      resourceType: topic!,
      resourceName: 't',
      configs: configs.map(([name, configOperation = 9, value]) => ({ name, configOperation, value })),
    }
    return (await client.request(incrementalAlterConfigs, 1, { resources: [resource], validateOnly: false }))
      .responses[0]!
  }

  it('sets, deletes, appends and subtracts', async () => {
    expect((await alter(['cleanup.policy', append, 'compact'], ['segment.ms', set, '9'])).errorCode).toBe(0)
    expect(overrides()).toEqual({ 'retention.ms': '1000', 'cleanup.policy': 'delete,compact', 'segment.ms': '9' })
    expect((await alter(['cleanup.policy', subtract, 'delete'], ['retention.ms', remove, null])).errorCode).toBe(0)
    expect(overrides()).toEqual({ 'cleanup.policy': 'compact', 'segment.ms': '9' })
  })

  it.each([
    ['append to a number', [['retention.ms', append, '1']], errorCodes.INVALID_CONFIG],
    ['set nothing', [['retention.ms', set, null]], errorCodes.INVALID_CONFIG],
    ['an unknown operation', [['retention.ms', 9, '1']], errorCodes.INVALID_REQUEST],
    [
      'the same name twice',
      [
        ['retention.ms', set, '1'],
        ['retention.ms', set, '2'],
      ],
      errorCodes.INVALID_REQUEST,
    ],
    [
      'one bad change among good ones',
      [
        ['segment.ms', set, '5'],
        ['x', set, '2'],
      ],
      errorCodes.INVALID_CONFIG,
    ],
  ] as [string, [string, number, string | null][], number][])(
    'refuses to %s, all or nothing',
    async (_what, changes, code) => {
      expect((await alter(...changes)).errorCode).toBe(code)
      expect(overrides()).toEqual({ 'retention.ms': '1000' })
    },
  )
})

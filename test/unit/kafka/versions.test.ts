import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Topic } from '../../../src/broker/topics.ts'
import { handlers } from '../../../src/kafka/handlers/index.ts'
import type { RequestInputOf } from '../../../src/wire/kafka/api.ts'
import { apiVersions } from '../../../src/wire/kafka/contracts/index.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { type AnyField, existsAt, type Shape } from '../../../src/wire/kafka/field.ts'
import { KafkaTestServer } from '../../support/kafka-server.ts'
import { type Dice, dice, randomStruct } from '../wire/kafka/random-values.ts'

type Values = Record<string, unknown>

/** Values that lead behind the first check of a handler; other fields stay random. */
const likely = (known: Topic, roll: Dice): Readonly<Record<string, () => unknown>> => ({
  name: () => known.name,
  topic: () => known.name,
  topicId: () => known.id,
  resourceName: () => known.name,
  groupId: () => `group-${roll(1000)}`,
  partition: () => roll(4),
  partitionIndex: () => roll(4),
  index: () => roll(4),
  resourceType: () => [2, 4, 8][roll(3)],
  fetchOffset: () => roll(4),
  timestamp: () => roll(9) - 6,
  offset: () => roll(3) - 1,
  currentLeaderEpoch: () => roll(3) - 1,
  lastFetchedEpoch: () => roll(3) - 1,
  leaderEpoch: () => roll(3) - 1,
})

/** What must not be random: requests that wait, and those that have no answer. */
const certain: Readonly<Record<string, unknown>> = {
  maxWaitMs: 0,
  sessionId: 0,
  sessionEpoch: -1,
  acks: -1,
  sessionTimeoutMs: 6000,
  rebalanceTimeoutMs: 1,
}

/** Puts such values in place of random ones, as far as the version has the field. */
function shaped(shape: Shape, value: Values, version: number, known: Topic, roll: Dice): Values {
  const guesses = likely(known, roll)
  const entries = Object.entries(shape).map(([name, field]) => {
    const random = value[name]
    if (!existsAt(field, version) || random === null) return [name, random]
    if (name in certain) return [name, certain[name]]
    const guess = guesses[name]
    if (guess !== undefined && field.shape === undefined && field.type !== 'array' && roll(3) > 0)
      return [name, guess()]
    return [name, nested(field, random, version, known, roll)]
  })
  return Object.fromEntries(entries)
}

function nested(field: AnyField, value: unknown, version: number, known: Topic, roll: Dice): unknown {
  if (field.shape !== undefined) return shaped(field.shape, value as Values, version, known, roll)
  const inner = field.element?.shape
  if (inner === undefined) return value
  return (value as Values[]).map(item => shaped(inner, item, version, known, roll))
}

describe('every version of every API', () => {
  let server: KafkaTestServer
  beforeAll(async () => {
    server = await KafkaTestServer.start({ settings: { 'socket.request.max.bytes': 1 << 20 } })
  })
  afterAll(() => server.stop())

  const cases = handlers.flatMap(({ api }) => {
    const [first, last] = api.versions
    return Array.from({ length: last - first + 1 }, (_, index) => [api.name, first + index, api] as const)
  })

  it.each(cases)('%s v%i answers whatever is well formed', async (_name, version, api) => {
    const roll = dice(1000 * api.key + version)
    for (let round = 0; round < 25; round++) {
      const topic = server.open.broker.topics.ensure('known')
      const client = await server.connect()
      const request = shaped(api.request, randomStruct(api.request, version, roll), version, topic, roll)
      // the answer is decoded by the contract: it fails on anything missing or left over
      const answered = client.request(api, version, request as RequestInputOf<typeof api>)
      await answered.catch(() => expect(server.lines.filter(({ event }) => event.includes('closed'))).toEqual([]))
      client.destroy()
      server.lines.length = 0
    }
  })

  it('ApiVersions names what is registered and nothing else', async () => {
    const client = await server.connect()
    const caller = { clientSoftwareName: 'test', clientSoftwareVersion: '1' }
    const { apiKeys, finalizedFeatures } = await client.request(apiVersions, 4, caller)
    const registered = handlers.map(({ api }) => ({
      apiKey: api.key,
      minVersion: api.key === 0 ? 0 : api.versions[0],
      maxVersion: api.versions[1],
    }))
    expect(apiKeys).toEqual(registered.sort((one, other) => one.apiKey - other.apiKey))
    expect(finalizedFeatures).toEqual([])
  })

  it('ApiVersions of a newer client gets the oldest answer with our range, and the connection lives', async () => {
    const client = await server.connect()
    client.socket.write(Buffer.from('0000000f0012000900000007000461626364ff', 'hex'))
    const frame = await client.frame()
    expect(frame.toString('hex')).toBe('00000007' + '0023' + '00000001' + '0012' + '0000' + '0004')
    const again = await client.request(apiVersions, 0, {}).catch(() => undefined)
    expect(again?.errorCode).toBe(0)
  })

  it.each([
    ['', '1'],
    ['a', ''],
    ['-a', '1'],
    ['a b', '1'],
  ])('ApiVersions refuses a software name like %j %j', async (clientSoftwareName, clientSoftwareVersion) => {
    const client = await server.connect()
    const answer = await client.request(apiVersions, 3, { clientSoftwareName, clientSoftwareVersion })
    expect(answer.errorCode).toBe(errorCodes.INVALID_REQUEST)
  })
})

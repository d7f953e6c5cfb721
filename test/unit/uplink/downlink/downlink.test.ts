import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { BrokerError } from '../../../../src/core/errors.ts'
import { takenGroupOf } from '../../../../src/uplink/downlink/taken-offsets.ts'
import { compressBatch, encodeBatch } from '../../../../src/wire/kafka/batch-encoding.ts'
import { DownlinkGateway, type DownlinkGatewayOptions } from '../../../support/downlink-gateway.ts'
import { KafkaTestServer } from '../../../support/kafka-server.ts'

let central: KafkaTestServer
let gateway: DownlinkGateway

const rules = [{ topic: 'orders', key: '{gateway}/*', to: 'commands', from: 'earliest', report: 'results' }]

const start = async (options: Partial<DownlinkGatewayOptions> = {}): Promise<DownlinkGateway> => {
  gateway = await DownlinkGateway.start({ port: central.port, rules, ...options })
  return gateway
}

const restart = async (options: Partial<DownlinkGatewayOptions> = {}): Promise<void> => {
  const before = gateway
  await before.stop()
  await start({ before, ...options })
}

interface Sent {
  readonly value?: string
  readonly ageMs?: number
  readonly headers?: Readonly<Record<string, string>>
}

const send = (
  key: string | null,
  { value = 'v', ageMs = 0, headers = {} }: Sent = {},
  topic = 'orders',
  index = 0,
): void => {
  const batch = encodeBatch([
    {
      timestampMs: Date.now() - ageMs,
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from(value),
      headers: Object.entries(headers).map(([name, text]) => ({ key: name, value: Buffer.from(text) })),
    },
  ])
  central.log.append([{ partition: central.open.broker.topics.get(topic).partitions[index]!, batch }])
}

/** Waits until the topic here has so many records; returns them as `key=value`. */
const arrived = async (count: number, topic = 'commands'): Promise<string[]> => {
  await vi.waitFor(async () => expect((await gateway.texts(topic)).length).toBeGreaterThanOrEqual(count), 5000)
  return gateway.texts(topic)
}

const positionOf = (partition = 0, topic = 'orders') => gateway.view.position(topic, partition)

beforeEach(async () => {
  central = await KafkaTestServer.start()
  central.open.broker.topics.create({ name: 'orders', partitions: 2 })
})

afterEach(async () => {
  await gateway.stop()
  await central.stop()
})

it('what is for this gateway comes down, with the key behind its prefix, headers, time and where it is from', async () => {
  send('g7/pump', { value: 'on', headers: { by: 'me' } })
  send('g8/pump', { value: 'not for us' })
  send('g7/fan', { value: 'off' }, 'orders', 1)
  await start()
  expect((await arrived(2)).toSorted()).toEqual(['fan=off', 'pump=on'])
  const pump = (await gateway.records('commands')).find(({ value }) => value?.toString() === 'on')!
  expect(Object.fromEntries(pump.headers.map(({ key, value }) => [key, value?.toString()]))).toEqual({
    by: 'me',
    'central.topic': 'orders',
    'central.partition': '0',
    'central.offset': '0',
    'central.key': 'g7/pump',
  })
  expect(Math.abs(pump.timestampMs - Date.now())).toBeLessThan(60_000)
  expect(gateway.under.open.broker.topics.get('commands').configs.get('retention.class')).toBe('critical')
})

it('each record comes once, whatever is started again', async () => {
  await start()
  for (let round = 0; round < 5; round++) {
    send('g7/a', { value: `${round}` })
    await arrived(round + 1)
    await restart()
  }
  expect(await gateway.texts('commands')).toEqual(['a=0', 'a=1', 'a=2', 'a=3', 'a=4'])
  expect(positionOf()).toMatchObject({ next: 5, taken: 5 })
})

it('record and position are in the log together or not at all', async () => {
  await start()
  await vi.waitFor(() => expect(positionOf()).toBeDefined())
  gateway.under.log.full = true
  send('g7/a')
  await vi.waitFor(() => expect(gateway.downlink.topics[0]!.inlets[0]!.trouble).toContain('no slot is free'))
  expect(positionOf()).toMatchObject({ next: 0 })
  gateway.under.log.full = false
  expect(await arrived(1)).toEqual(['a=v'])
  expect(positionOf()).toMatchObject({ next: 1 })
  expect(gateway.downlink.topics[0]!.inlets[0]!.trouble).toBe(undefined)
})

it('begins with what comes after the gateway first saw the topic, unless the rule says earliest', async () => {
  send('g7/a', { value: 'long ago' })
  await start({ rules: [{ ...rules[0], from: 'latest' }] })
  await vi.waitFor(() => expect(positionOf()).toMatchObject({ next: 1 }))
  await gateway.stop()
  send('g7/a', { value: 'while it was away' })
  await restart({ rules: [{ ...rules[0], from: 'latest' }] })
  expect(await arrived(1)).toEqual(['a=while it was away'])
})

it('a topic that was missing when the gateway looked is read from its start, over a restart too', async () => {
  const latest = { rules: [{ topic: 'later', to: 'commands' }] }
  await start(latest)
  await vi.waitFor(() => expect(gateway.downlink.topics[0]!.trouble).toContain('there is no such topic'))
  await gateway.stop()
  central.open.broker.topics.create({ name: 'later', partitions: 1 })
  send('a', { value: 'the first ever' }, 'later')
  await restart(latest)
  expect(await arrived(1)).toEqual(['a=the first ever'])
  expect(gateway.under.lines.filter(({ event }) => event.includes('made anew'))).toEqual([])
})

it('what went wrong is told until it is well', async () => {
  await start({ rules: [{ topic: 'later', to: 'commands' }] })
  await vi.waitFor(() => expect(gateway.downlink.lastError).toContain('there is no such topic'))
  central.open.broker.topics.create({ name: 'later', partitions: 1 })
  await vi.waitFor(() => expect(gateway.downlink.topics[0]!.trouble).toBe(undefined), 5000)
  expect(gateway.downlink.lastError).toBe(undefined)
})

it('partitions that are added, and a topic that is made anew, are read from their starts', async () => {
  await start({ rules: [{ ...rules[0], from: 'latest' }] })
  await vi.waitFor(() => expect(positionOf(1)).toBeDefined())
  await gateway.stop()
  central.open.broker.topics.addPartitions('orders', 3)
  send('g7/a', { value: 'added' }, 'orders', 2)
  await restart()
  expect(await arrived(1)).toEqual(['a=added'])
  central.open.broker.topics.delete('orders')
  central.open.broker.topics.create({ name: 'orders', partitions: 1 })
  send('g7/a', { value: 'anew' })
  expect(await arrived(2)).toEqual(['a=added', 'a=anew'])
  expect(gateway.under.lines.map(({ event }) => event)).toContain(
    'the central topic was made anew: it is read from its start',
  )
})

it('what is gone before it was read is counted and named', async () => {
  await start()
  await vi.waitFor(() => expect(positionOf()).toBeDefined())
  await gateway.stop()
  for (const value of ['1', '2', '3']) send('g7/a', { value })
  const { broker } = central.open
  await vi.waitFor(() => broker.deleteRecordsBefore(broker.topics.get('orders').partitions[0]!, 2))
  await restart()
  expect(await arrived(1)).toEqual(['a=3'])
  expect(positionOf()).toMatchObject({ next: 3, lost: 2, taken: 1 })
  expect(gateway.under.metrics.count('downlinkLost', 'orders')).toBe(2)
  expect(gateway.under.lines.some(({ event }) => event.includes('no longer has what was to come down'))).toBe(true)
})

it('what is too old is not taken, counted and reported; what lives on says for how long', async () => {
  await start({ rules: [{ ...rules[0], ttl: '1h' }] })
  send('g7/a', { value: 'old', ageMs: 2 * 3_600_000 })
  send('g7/a', { value: 'own', headers: { 'mqtt.message.expiry': '5' }, ageMs: 6_000 })
  send('g7/a', { value: 'new' })
  expect(await arrived(1)).toEqual(['a=new'])
  const [taken] = await gateway.records('commands')
  const expiry = Number(taken!.headers.find(({ key }) => key === 'mqtt.message.expiry')!.value!.toString())
  expect(expiry).toBeGreaterThan(3_500)
  expect(expiry).toBeLessThanOrEqual(3_600)
  const reports = await gateway.records('results')
  expect(reports.map(({ key, value }) => [key!.toString(), JSON.parse(value!.toString())])).toMatchObject([
    ['g7/a', { result: 'expired', topic: 'orders', partition: 0, offset: 0, gateway: 'g7' }],
    ['g7/a', { result: 'expired', offset: 1 }],
  ])
  expect(positionOf()).toMatchObject({ next: 3, taken: 1, expired: 2 })
  expect(gateway.under.metrics.count('downlinkExpired', 'orders')).toBe(2)
})

it('where nobody vouches for the clock nothing is dropped, and its time begins now', async () => {
  await start({ rules: [{ ...rules[0], ttl: '1h' }], clockQuality: 'unknown' })
  send('g7/a', { value: 'seems old', ageMs: 2 * 3_600_000 })
  expect(await arrived(1)).toEqual(['a=seems old'])
  const [taken] = await gateway.records('commands')
  expect(taken!.headers.find(({ key }) => key === 'mqtt.message.expiry')!.value!.toString()).toBe('3600')
})

it('a record that the log cannot take is refused and reported, and the others go on', async () => {
  await start({ settings: { 'max.message.bytes': 2000 } })
  send('g7/a', { value: 'x'.repeat(3000) })
  send('g7/a', { value: 'small' })
  expect(await arrived(1)).toEqual(['a=small'])
  const [report] = await gateway.records('results')
  expect(JSON.parse(report!.value!.toString())).toMatchObject({
    result: 'refused',
    reason: 'larger than max.message.bytes (2000)',
    offset: 0,
  })
  expect(positionOf()).toMatchObject({ next: 2, taken: 1, refused: 1 })
})

it('what the topic here does not take is refused and reported, without a key that is as large', async () => {
  await start({
    settings: { 'max.message.bytes': 4000 },
    rules: [{ topic: 'orders', to: 'commands', from: 'earliest', report: 'results' }],
  })
  await vi.waitFor(() => expect(positionOf()).toBeDefined())
  const configs = { 'cleanup.policy': 'compact', 'max.message.bytes': '2000' }
  gateway.under.open.broker.topics.setConfigs('commands', new Map(Object.entries(configs)))
  send(null, { value: 'no key' })
  send('a', { value: 'x'.repeat(3000) })
  send('k'.repeat(5000))
  send('a', { value: 'small' })
  expect(await arrived(1)).toEqual(['a=small'])
  const reports = (await gateway.records('results')).map(({ key, value }) => [
    key?.toString(),
    JSON.parse(value!.toString()),
  ])
  expect(reports.toSorted(([, one], [, other]) => one.offset - other.offset)).toMatchObject([
    [undefined, { result: 'refused', reason: 'it has no key, and commands is compacted', offset: 0 }],
    ['a', { result: 'refused', reason: 'larger than max.message.bytes (2000)', offset: 1 }],
    [undefined, { result: 'refused', reason: 'larger than max.message.bytes (2000)', offset: 2 }],
  ])
})

it('the first rule that fits a record takes it', async () => {
  await start({
    rules: [
      { topic: 'orders', header: { urgent: 'yes' }, to: 'urgent', from: 'earliest' },
      { topic: 'orders', key: '{gateway}/*', to: 'commands', from: 'earliest' },
    ],
  })
  send('g7/a', { value: '1' })
  send('g7/a', { value: '2', headers: { urgent: 'yes' } })
  send('else', { value: '3' })
  send('g7/a', { value: '4' })
  expect(await arrived(2)).toEqual(['a=1', 'a=4'])
  expect(await gateway.texts('urgent')).toEqual(['g7/a=2'])
})

it('one topic that is missing does not hold up the others', async () => {
  await start({ rules: [{ topic: 'missing' }, ...rules] })
  send('g7/a')
  expect(await arrived(1)).toEqual(['a=v'])
  const [missing] = gateway.downlink.topics
  expect(missing!.trouble).toContain('there is no such topic')
  central.open.broker.topics.create({ name: 'missing', partitions: 1 })
  await vi.waitFor(() => expect(missing!.trouble).toBe(undefined), 5000)
})

it('a topic that cannot be looked at holds up none of less priority, whatever its backlog was', async () => {
  central.open.broker.topics.create({ name: 'low', partitions: 1 })
  const low = { topic: 'low', to: 'commands', from: 'earliest' }
  await start({ rules: [low, { ...rules[0], priority: 'high' }] })
  await vi.waitFor(() => expect(positionOf(0, 'low')).toBeDefined())
  const high = gateway.downlink.topics.find(({ name }) => name === 'orders')!
  await vi.waitFor(() => expect(high.inlets).toHaveLength(2))
  high.inlets[0]!.hasMore = true
  high.failed('unreachable', performance.now() + 3_600_000)
  for (let round = 0; round < 3; round++) {
    send('g7/a', { value: `${round}` }, 'low')
    await arrived(round + 1)
  }
})

it('while a topic of more priority has a backlog, the others wait', async () => {
  central.open.broker.topics.create({ name: 'low', partitions: 1 })
  const big = 'x'.repeat(20_000)
  for (let round = 0; round < 40; round++) {
    send('g7/a', { value: `l${round}${big}` }, 'low')
    send('g7/a', { value: `h${round}${big}` })
  }
  const to = 'commands'
  await start({
    rules: [
      { topic: 'low', to, from: 'earliest' },
      { topic: 'orders', to, priority: 'high', from: 'earliest' },
    ],
    settings: { 'num.partitions': 1 },
  })
  const order = (await arrived(80)).map(text => text.split('=')[1]![0])
  // one fetch for both may be under way when the first backlog is seen
  expect(order.lastIndexOf('h')).toBeLessThan(50)
})

/** The gateway again, from a backup of when it had taken `next` records of partition 0. */
const restore = async (next: number, options: Partial<DownlinkGatewayOptions> = {}): Promise<void> => {
  const { view: before, under } = gateway
  const { logId } = under.log
  const [topic, position] = [before.topic('orders')!, before.position('orders', 0)!]
  await gateway.stop()
  await start({
    logId: 'fedcba98'.repeat(4),
    restored: view => [
      view.putTopic('orders', { ...topic, logId }),
      view.putPosition('orders', 0, { ...position, next, taken: next }),
      view.putPosition('orders', 1, before.position('orders', 1)!),
    ],
    ...options,
  })
}

it('a restored log does not take again what the log before it has taken since the backup', async () => {
  await start()
  for (const value of ['1', '2', '3']) send('g7/a', { value })
  await arrived(3)
  await gateway.stop()
  send('g7/a', { value: 'while it was away' })
  await restore(1)
  expect(await arrived(1)).toEqual(['a=while it was away'])
  expect(positionOf()).toMatchObject({ next: 4, lost: 0 })
  // and then it is its own
  send('g7/a', { value: 'later' })
  await restart()
  expect(await arrived(2)).toEqual(['a=while it was away', 'a=later'])
})

it.each([
  ['latest', ['a=later'], { next: 4, lost: 2 }],
  ['earliest', ['a=2', 'a=3', 'a=later'], { next: 4, lost: 0 }],
] as const)(
  'where nobody says what the log before it has taken, a restored log does as with a new topic: %s',
  async (from, wanted, position) => {
    const own = { rules: [{ ...rules[0], from }] }
    await start(own)
    await vi.waitFor(() => expect(positionOf()).toBeDefined())
    for (const value of ['1', '2', '3']) send('g7/a', { value })
    await arrived(3)
    await gateway.stop()
    const group = takenGroupOf(gateway.under.log.logId)
    await vi.waitFor(() => expect([...central.open.groups.committedOffsets(group)]).not.toEqual([]))
    await central.open.groups.delete([group])
    await restore(1, own)
    await vi.waitFor(() => expect(gateway.view.topic('orders')?.logId).toBe(gateway.under.log.logId))
    send('g7/a', { value: 'later' })
    expect(await arrived(wanted.length)).toEqual(wanted)
    expect(positionOf()).toMatchObject(position)
  },
)

it('who may not commit offsets reads on, and it is said', async () => {
  await start()
  vi.spyOn(central.open.groups, 'commit').mockRejectedValue(new BrokerError('notAuthorized', 'denied'))
  send('g7/a')
  await arrived(1)
  await vi.waitFor(() => expect(gateway.downlink.taken.trouble).toContain('brooklet.downlink.'), 5000)
})

it('a batch that unpacks to more than an eighth of memory.budget stops its partition, until it is given up', async () => {
  const partition = central.open.broker.topics.get('orders').partitions[0]!
  const plain = encodeBatch([{ timestampMs: Date.now(), key: Buffer.from('g7/a'), value: Buffer.alloc(12 << 20) }])
  const bomb = await compressBatch(plain, 'gzip')
  central.log.append([{ partition, batch: bomb }])
  send('g7/a', { value: 'behind it' })
  send('g7/b', { value: 'beside it' }, 'orders', 1)
  await start({ settings: { 'uplink.retry.backoff.max.ms': 20 } })
  expect(await arrived(1)).toEqual(['b=beside it'])
  const inlet = gateway.downlink.topics[0]!.inlets[0]!
  await vi.waitFor(() => expect(inlet.unreadable).toEqual({ first: 0, last: 0 }))
  expect(inlet.trouble).toContain('the batch of offsets 0 to 0 cannot be read')
  const skip = { topic: 'orders', partition: 0, first: 0, last: 0 }
  expect(await gateway.downlink.skip({ ...skip, last: 1 })).toContain('is 0 to 0, not 0 to 1')
  expect(await gateway.downlink.skip({ ...skip, partition: 7 })).toContain('does not come down')
  await vi.waitFor(async () => expect(await gateway.downlink.skip(skip)).toBe(undefined))
  // the fetch that waits for partition 1 is answered, and the next asks for both
  send('g7/b', { value: 'more' }, 'orders', 1)
  expect((await arrived(3)).toSorted()).toEqual(['a=behind it', 'b=beside it', 'b=more'])
  expect(positionOf()).toMatchObject({ next: 2, taken: 1, lost: 1 })
  expect(await gateway.downlink.skip(skip)).toContain('nothing of it is known')
})

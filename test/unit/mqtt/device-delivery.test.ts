import type { Packet } from 'mqtt-packet'
import { afterEach, expect, it, vi } from 'vitest'
import { parseDeliver } from '../../../src/config/deliver.ts'
import { BrokerError } from '../../../src/core/errors.ts'
import type { DeliveryPlace } from '../../../src/state/downlink.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { RawMqttClient } from '../../support/mqtt-client.ts'
import { MqttServer, type MqttServerOptions } from '../../support/mqtt-server.ts'

// deliver rules with `ack: device`

let server: MqttServer
const clients: RawMqttClient[] = []

const rule = { topic: 'commands', mqtt: 'devices/{key}/commands', ack: 'device', report: 'results' }

const start = async (
  options: MqttServerOptions & { readonly rule?: object | readonly object[] } = {},
): Promise<void> => {
  const parsed = parseDeliver([options.rule ?? rule].flat())
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems))
  server = await MqttServer.start({ ...options, settings: { deliver: parsed.value, 'num.partitions': 1 } })
  if (options.log === undefined) server.open.broker.topics.ensure('commands')
}

const restart = async (own: object | readonly object[] = rule): Promise<void> => {
  const { log } = server
  await server.stop()
  await start({ log, rule: own })
}

const connect = async (clientId: string, options: object = {}): Promise<RawMqttClient> => {
  const client = await RawMqttClient.connect(server.port, { clientId, clean: false, ...options })
  clients.push(client)
  return client
}

const subscribe = async (client: RawMqttClient, topic: string, qos: 0 | 1 | 2 = 1): Promise<void> => {
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] })
  await client.waitFor(({ cmd }) => cmd === 'suback')
}

const leave = async (client: RawMqttClient, clientId: string): Promise<void> => {
  client.send({ cmd: 'disconnect' })
  await client.waitClosed()
  await vi.waitFor(() => expect(server.front.clients().map(one => one.clientId)).not.toContain(clientId))
}

const command = (key: string, value: string, headers: Readonly<Record<string, string>> = {}): void => {
  const encoded = Object.entries(headers).map(([name, text]) => ({ key: name, value: Buffer.from(text) }))
  const record = { timestampMs: 0, key: Buffer.from(key), value: Buffer.from(value), headers: encoded }
  const partition = server.open.broker.topics.get('commands').partitions[0]!
  server.log.append([{ partition, batch: encodeBatch([record]) }])
}

type Publish = Packet & { cmd: 'publish' }
const publishes = (client: RawMqttClient): Publish[] =>
  client.packets.filter((packet): packet is Publish => packet.cmd === 'publish')
const values = (client: RawMqttClient): string[] => publishes(client).map(({ payload }) => payload.toString())

/** Waits for the publish with this number, counted from 0, and acknowledges it. */
const acknowledge = async (client: RawMqttClient, index: number, reasonCode = 0): Promise<void> => {
  await client.waitCount('publish', index + 1)
  client.send({ cmd: 'puback', messageId: publishes(client)[index]!.messageId!, reasonCode } as Packet)
}

/** What was reported so far. */
const reports = async (count: number): Promise<Record<string, unknown>[]> => {
  await vi.waitFor(async () => expect((await server.records('results')).length).toBeGreaterThanOrEqual(count), 5000)
  const found = await server.records('results')
  return found.map(({ key, value }) => ({ key: key?.toString(), ...JSON.parse(value!.toString()) }))
}

const pending = (): string | undefined => /brooklet_device_deliveries_pending (\d+)/.exec(server.metrics.text())?.[1]

/** Longer than it takes to notice that somebody has come. */
const quiet = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 400))

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server.stop()
})

it('a record is done once the device has acknowledged it, and the result is reported', async () => {
  await start()
  const device = await connect('d1', { version: 5 })
  await subscribe(device, 'devices/d1/commands')
  command('d1', 'on', {
    'central.topic': 'orders',
    'central.partition': '3',
    'central.offset': '42',
    'central.key': 'g7/d1',
  })
  await device.waitCount('publish', 1)
  await quiet()
  expect(await server.records('results')).toEqual([])
  expect(pending()).toBe('1')
  await acknowledge(device, 0)
  expect(await reports(1)).toEqual([
    {
      key: 'g7/d1',
      result: 'delivered',
      topic: 'orders',
      partition: 3,
      offset: 42,
      gateway: 'gw-1',
      time: expect.stringMatching(/^20.*Z$/),
    },
  ])
  expect(pending()).toBe('0')
  await restart()
  const again = await connect('d1', { version: 5 })
  await quiet()
  expect(values(again)).toEqual([])
})

it('waits for a device that was never here, over a restart; those of other devices go past it', async () => {
  await start()
  const here = await connect('d2')
  await subscribe(here, 'devices/d2/commands')
  command('d1', '1')
  command('d2', '2')
  command('d1', '3')
  command('d2', '4')
  await acknowledge(here, 0)
  await acknowledge(here, 1)
  expect((await reports(2)).map(({ offset }) => offset)).toEqual([1, 3])
  await restart()
  expect(await connect('d2').then(quiet)).toBe(undefined)
  expect(pending()).toBe('2')
  const late = await connect('d1')
  await subscribe(late, 'devices/d1/commands')
  await acknowledge(late, 0)
  await acknowledge(late, 1)
  expect(values(late)).toEqual(['1', '3'])
  expect((await reports(4)).map(({ offset }) => offset)).toEqual([1, 3, 0, 2])
  await restart()
  await quiet()
  expect(pending()).toBe('0')
})

it('waits for a device whose session is absent, and gives it one record at a time, in order', async () => {
  await start()
  const before = await connect('d1')
  await subscribe(before, 'devices/#')
  await leave(before, 'd1')
  for (const value of ['1', '2', '3']) command('d1', value)
  await quiet()
  const after = await connect('d1')
  await after.waitCount('publish', 1)
  await quiet()
  expect(values(after)).toEqual(['1'])
  for (const index of [0, 1, 2]) await acknowledge(after, index)
  expect(values(after)).toEqual(['1', '2', '3'])
  expect((await reports(3)).map(({ result }) => result)).toEqual(['delivered', 'delivered', 'delivered'])
})

it('a device that goes without an answer gets it again; one with a new session, too', async () => {
  await start()
  const first = await connect('d1', { clean: true })
  await subscribe(first, 'devices/d1/commands')
  command('d1', 'on')
  await first.waitCount('publish', 1)
  first.destroy()
  const second = await connect('d1', { clean: true })
  await subscribe(second, 'devices/d1/commands')
  await acknowledge(second, 0)
  expect((await reports(1))[0]).toMatchObject({ result: 'delivered' })
})

it('who subscribes with QoS 0 does not count, nor gets it more than once', async () => {
  await start()
  const watcher = await connect('w', { clean: true })
  await subscribe(watcher, '#', 0)
  command('d1', 'on')
  await quiet()
  expect([values(watcher), pending()]).toEqual([[], '1'])
  const device = await connect('d1')
  await subscribe(device, 'devices/d1/commands')
  await acknowledge(device, 0)
  expect((await reports(1))[0]).toMatchObject({ result: 'delivered' })
  expect(values(watcher)).toEqual(['on'])
})

it('all who took it have to answer', async () => {
  await start()
  const [one, other] = [await connect('d1'), await connect('d2')]
  for (const client of [one, other]) await subscribe(client, 'devices/#')
  command('d1', 'on')
  await acknowledge(one, 0)
  await quiet()
  expect(pending()).toBe('1')
  await acknowledge(other, 0)
  expect((await reports(1))[0]).toMatchObject({ result: 'delivered' })
})

it('what the device refuses is reported with its reason', async () => {
  await start()
  const device = await connect('d1', { version: 5 })
  await subscribe(device, 'devices/d1/commands')
  command('d1', 'on')
  command('d1', 'off')
  await acknowledge(device, 0, 0x97)
  await acknowledge(device, 1)
  expect(await reports(2)).toMatchObject([
    { result: 'refused', reason: 'the device answered with reason code 0x97', offset: 0 },
    { result: 'delivered', offset: 1 },
  ])
})

it('what expires before the device has it is not delivered, and reported', async () => {
  await start()
  const before = await connect('d2')
  await subscribe(before, 'devices/d2/commands')
  await leave(before, 'd2')
  command('d1', 'nobody', { 'mqtt.message.expiry': '1' })
  command('d2', 'absent', { 'mqtt.message.expiry': '1' })
  command('d2', 'lives on')
  const expired = await reports(2)
  expect(expired.map(({ offset, result }) => `${offset} ${result}`).toSorted()).toEqual(['0 expired', '1 expired'])
  const after = await connect('d2')
  await acknowledge(after, 0)
  expect(values(after)).toEqual(['lives on'])
})

it('a record that gives no MQTT topic is refused, and holds nothing up', async () => {
  await start()
  const device = await connect('d1')
  await subscribe(device, 'devices/#')
  command('a/#', 'wild')
  command('d1', 'on')
  await acknowledge(device, 0)
  expect(await reports(2)).toMatchObject([
    { result: 'refused', reason: 'it gives no MQTT topic', offset: 0 },
    { result: 'delivered', offset: 1 },
  ])
})

it('a log without room holds up what is written, not the devices; nothing is lost', async () => {
  await start()
  const device = await connect('d1')
  await subscribe(device, 'devices/d1/commands')
  command('d1', '1')
  command('d1', '2')
  await device.waitCount('publish', 1)
  server.log.full = true
  await acknowledge(device, 0)
  await acknowledge(device, 1)
  await quiet()
  server.log.full = false
  expect((await reports(2)).map(({ offset }) => offset)).toEqual([0, 1])
})

it('what is done and finds no room in the log is not delivered again when the topic cannot be read for a moment', async () => {
  await start()
  const other = await connect('d2')
  await subscribe(other, 'devices/d2/commands')
  command('d1', '1')
  command('d2', '2')
  await acknowledge(other, 0)
  await reports(1)
  await restart()
  const device = await connect('d1')
  await subscribe(device, 'devices/d1/commands')
  await device.waitCount('publish', 1)
  server.log.held = true
  command('d1', '3')
  server.log.full = true
  await acknowledge(device, 0)
  await vi.waitFor(() => expect(pending()).toBe('0'))
  const { broker } = server.open
  const read = vi.spyOn(broker, 'read').mockRejectedValueOnce(new BrokerError('storageFailed', 'for a moment'))
  server.log.release()
  await acknowledge(device, 1)
  expect(read).toHaveBeenCalled()
  server.log.full = false
  expect((await reports(3)).map(({ offset }) => offset)).toEqual([1, 0, 2])
  expect(values(device)).toEqual(['1', '3'])
})

it('begins where the rule was before it waited for devices', async () => {
  const plain = { topic: rule.topic, mqtt: rule.mqtt }
  await start({ rule: plain })
  const before = await connect('d1')
  await subscribe(before, 'devices/d1/commands')
  command('d1', '1')
  await acknowledge(before, 0)
  await vi.waitFor(() => {
    const [committed] = [...server.open.groups.committedOffsets('brooklet.deliver.commands')]
    expect(committed?.offset).toBe(1)
  })
  await server.front.close()
  command('d1', '2')
  await restart()
  const after = await connect('d1')
  await acknowledge(after, 0)
  expect(values(after)).toEqual(['2'])
})

it('its state goes with its topic', async () => {
  await start()
  command('d1', '1')
  await vi.waitFor(() => expect(pending()).toBe('1'))
  server.open.broker.topics.delete('commands')
  server.open.broker.topics.ensure('commands')
  const device = await connect('d1')
  await subscribe(device, 'devices/d1/commands')
  command('d1', 'anew')
  await acknowledge(device, 0)
  expect(values(device)).toEqual(['anew'])
  await vi.waitFor(() => expect(pending()).toBe('0'))
})

it('with QoS 2 an exchange goes on over a restart: the device has each record once', async () => {
  const exactly = { ...rule, qos: 2 }
  await start({ rule: exactly })
  const before = await connect('d1')
  await subscribe(before, 'devices/d1/commands', 2)
  command('d1', '1')
  command('d1', '2')
  await before.waitCount('publish', 1)
  const { messageId } = publishes(before)[0]!
  await restart(exactly)
  const after = await connect('d1')
  await after.waitCount('publish', 1)
  // the same exchange, which the device may have answered in the moment of the crash
  expect(publishes(after)[0]).toMatchObject({ messageId, dup: true })
  after.send({ cmd: 'pubrec', messageId: messageId! })
  await after.waitFor(packet => packet.cmd === 'pubrel' && packet.messageId === messageId)
  await after.waitCount('publish', 2)
  expect(values(after)).toEqual(['1', '2'])
  const second = publishes(after)[1]!.messageId!
  after.send({ cmd: 'pubrec', messageId: second })
  expect((await reports(2)).map(({ offset, result }) => [offset, result])).toEqual([
    [0, 'delivered'],
    [1, 'delivered'],
  ])
  // PUBCOMP never came: nothing but PUBREL is repeated
  await restart(exactly)
  const last = await connect('d1')
  await last.waitCount('pubrel', 1)
  await quiet()
  expect(values(last)).toEqual([])
  expect(await server.records('results')).toHaveLength(2)
})

it('with QoS 2 a record whose session has ended over a restart goes to the next one', async () => {
  const exactly = { ...rule, qos: 2 }
  await start({ rule: exactly })
  const before = await connect('d1')
  await subscribe(before, 'devices/d1/commands', 2)
  command('d1', '1')
  await before.waitCount('publish', 1)
  await restart(exactly)
  const after = await connect('d1', { clean: true })
  await subscribe(after, 'devices/d1/commands', 2)
  await after.waitCount('publish', 1)
  after.send({ cmd: 'pubrec', messageId: publishes(after)[0]!.messageId! })
  expect(await reports(1)).toMatchObject([{ result: 'delivered' }])
})

const two = ['a', 'b'].map(name => ({ ...rule, name, mqtt: `${name}/{key}`, qos: 2 }))
const topics = (client: RawMqttClient): string[] => publishes(client).map(({ topic }) => topic)

it('with QoS 2 two rules for one topic each deliver the record, to one session too', async () => {
  await start({ rule: two })
  const device = await connect('d1')
  await subscribe(device, '#', 2)
  command('d1', '1')
  await device.waitCount('publish', 2)
  expect(topics(device).toSorted()).toEqual(['a/d1', 'b/d1'])
  for (const { messageId } of publishes(device)) device.send({ cmd: 'pubrec', messageId: messageId! })
  expect(await reports(2)).toMatchObject([{ result: 'delivered' }, { result: 'delivered' }])
})

it('with QoS 2 an exchange goes on as that of its rule, and counts for no other', async () => {
  await start({ rule: two })
  const before = await connect('d1')
  await subscribe(before, 'b/d1', 2)
  command('d1', '1')
  await before.waitCount('publish', 1)
  await restart(two)
  const after = await connect('d1')
  await after.waitCount('publish', 1)
  expect(topics(after)).toEqual(['b/d1'])
  after.send({ cmd: 'pubrec', messageId: publishes(after)[0]!.messageId! })
  expect(await reports(1)).toHaveLength(1)
  await quiet()
  expect(topics(after)).toEqual(['b/d1'])
  expect(await server.records('results')).toHaveLength(1)
  expect(pending()).toBe('1')
})

it('with QoS 2 exchanges of two rules with one session go on as what each was', async () => {
  await start({ rule: two })
  const before = await connect('d1')
  await subscribe(before, '#', 2)
  command('d1', '1')
  await before.waitCount('publish', 2)
  const ids = publishes(before).map(({ topic, messageId }) => [topic, messageId])
  await restart(two)
  const after = await connect('d1')
  await after.waitCount('publish', 2)
  expect(publishes(after).map(({ topic, messageId }) => [topic, messageId])).toEqual(ids)
  for (const { messageId } of publishes(after)) after.send({ cmd: 'pubrec', messageId: messageId! })
  expect(await reports(2)).toMatchObject([{ result: 'delivered' }, { result: 'delivered' }])
  await quiet()
  expect(publishes(after)).toHaveLength(2)
})

it('what waits for devices that are away does not use up the memory that it takes to let them in', async () => {
  await start({ memoryBytes: 2 << 20 })
  const names = Array.from({ length: 40 }, (_, index) => `d${index}`)
  for (const name of names) {
    const device = await connect(name)
    await subscribe(device, `devices/${name}/commands`)
    await leave(device, name)
  }
  for (const name of names) command(name, `${name}${'x'.repeat(1 << 16)}`)
  await vi.waitFor(() => expect(pending()).toBe('40'))
  await quiet()
  expect(server.memory.usedBytes).toBeLessThan(1 << 20)
  for (const name of names) {
    const device = await connect(name)
    await acknowledge(device, 0)
  }
  expect(await reports(40)).toHaveLength(40)
})

const named = (name: string): object => ({ ...rule, name, mqtt: `${name}/{key}` })

it('rules are known by their names, not by their places', async () => {
  await start({ rule: [named('a'), named('b')] })
  const device = await connect('d1')
  await subscribe(device, 'a/d1')
  command('d1', '1')
  await acknowledge(device, 0)
  await reports(1)
  await restart([named('b'), named('a')])
  const after = await connect('d1')
  await subscribe(after, '#')
  await acknowledge(after, 0)
  expect(topics(after)).toEqual(['b/d1'])
  await quiet()
  expect(topics(after)).toEqual(['b/d1'])
  expect(await reports(2)).toHaveLength(2)
})

it('takes over what a rule was known by before it had a name', async () => {
  const state = (): DeliveryPlace => ({ rule: '', topicId: server.open.broker.topics.get('commands').id, partition: 0 })
  await start({ rule })
  command('d1', '1')
  command('d1', '2')
  const place = { ...state(), rule: 'brooklet.deliver.commands.2' }
  server.open.state.write([server.downlink.putDelivered(place, 1), server.downlink.putWaiting(place, 0, 0)])
  await restart([{ ...rule, topic: 'others' }, rule, named('b')])
  const device = await connect('d1')
  await subscribe(device, 'b/d1')
  await acknowledge(device, 0)
  await acknowledge(device, 1)
  expect(values(device)).toEqual(['1', '2'])
  expect(server.downlink.deliveries().map(({ rule: name }) => name)).toEqual([
    'brooklet.deliver.commands',
    'brooklet.deliver.commands:b',
  ])
})

it('takes it over as well when the log has room only later', async () => {
  await start()
  command('d1', '1')
  await vi.waitFor(() => expect(pending()).toBe('1'), 5000)
  server.log.full = true
  await restart([named('b')])
  const isHeldUp = () => server.lines.some(({ event }) => event.startsWith('deliver rule tries'))
  await vi.waitFor(() => expect(isHeldUp()).toBe(true), 5000)
  server.log.full = false
  const device = await connect('d1')
  await subscribe(device, 'b/d1')
  await acknowledge(device, 0)
  expect(values(device)).toEqual(['1'])
  expect(server.downlink.deliveries().map(place => place.rule)).toEqual(['brooklet.deliver.commands:b'])
})

it('what waits for devices of a rule that is gone is kept for a while, is listed, and then goes', async () => {
  await start({ rule: [rule, named('b')] })
  command('d1', '1')
  await vi.waitFor(() => expect(pending()).toBe('2'))
  const device = await connect('d1')
  await subscribe(device, 'b/d1')
  await acknowledge(device, 0)
  await reports(1)
  await restart([named('b')])
  const name = 'brooklet.deliver.commands'
  expect(server.front.formerRules()).toEqual([{ rule: name, pending: 1, droppedInSeconds: 7 * 86_400 }])
  expect(server.lines.some(({ event }) => event.startsWith('a deliver rule is gone'))).toBe(true)
  await restart([rule, named('b')])
  expect(server.front.formerRules()).toEqual([])
  expect(pending()).toBe('1')
  await restart([named('b')])
  server.log.logAge += 7 * 86_400
  await restart([named('b')])
  expect(server.front.formerRules()).toEqual([])
  expect(server.downlink.deliveries().map(place => place.rule)).toEqual([`${name}:b`])
  expect(server.lines.some(({ event }) => event.startsWith('what waited for devices'))).toBe(true)
})

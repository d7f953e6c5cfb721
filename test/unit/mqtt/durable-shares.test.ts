import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { payloads, Stage } from '../../conformance/stage.ts'
import { CrashingLog } from '../../support/crashing-log.ts'
import * as wire from '../../support/mqtt-wire.ts'
import { SimRandom } from '../../support/sim/random.ts'
import type { WireClient } from '../../support/wire-client.ts'

/** What a shared subscription has yet to deliver survives the end of the broker, as long as a member has a session. */

let stage: Stage
const shared = '$share/group/t/#'
/** Positions follow acknowledgements within this time. */
const advanceSeconds = 6

const log = (): CrashingLog => stage.server.log as CrashingLog
/** Nothing that was not durable stays. */
const crash = async (): Promise<void> => stage.restart(await log().afterCrash(new SimRandom(1)))
const member = async (clientId: string, qos: 1 | 2 = 2, properties: wire.Properties = {}): Promise<WireClient> => {
  const client = await stage.returning(clientId, properties)
  if (!client.connack!.sessionPresent) await client.subscribe(shared, qos)
  return client
}
let publishers = 0
const publish = async (qos: 1 | 2, ...numbers: readonly (number | string)[]): Promise<void> => {
  const publisher = await stage.client(`p ${++publishers}`)
  for (const number of numbers) await publisher.publish('t/x', String(number), qos)
  await publisher.disconnect()
}
/** Takes and acknowledges so many publishes. */
const accept = async (client: WireClient, count: number): Promise<string[]> => {
  const found: string[] = []
  while (found.length < count) found.push((await client.accept()).payload!)
  return found
}
const rest = async (client: WireClient): Promise<string[]> => payloads(await stage.untaken(client))
/** It gets this, and nothing more. */
const expectOnly = async (client: WireClient, ...wanted: readonly string[]): Promise<void> => {
  expect(await accept(client, wanted.length)).toEqual(wanted)
  expect(await rest(client)).toEqual([])
}
const positions = (): number => stage.server.shares.positions(shared).size

beforeEach(async () => {
  stage = await Stage.open({}, new CrashingLog())
})
afterEach(() => stage.end())

describe('after a crash', () => {
  it('what came while all were away goes to whoever comes, in order', async () => {
    const [one, two] = [await member('one'), await member('two')]
    await stage.lose(one, 'one')
    await stage.lose(two, 'two')
    await publish(1, 1, 2, 3)
    await publish(2, 4, 5)
    await crash()
    await publish(1, 6)
    expect(await accept(await member('two'), 6)).toEqual(['1', '2', '3', '4', '5', '6'])
    expect(await rest(await member('one'))).toEqual([])
  })

  it('QoS 1 that a member has not acknowledged goes to another; what was acknowledged is not repeated for ever', async () => {
    const one = await member('one')
    await publish(1, 1, 2, 3, 4)
    const ids: number[] = []
    for (let count = 0; count < 4; count++) ids.push((await one.take('publish')).id!)
    for (const id of [ids[0]!, ids[2]!]) one.send(wire.ack('puback', id))
    await one.ping()
    await stage.skip(advanceSeconds)
    await crash()
    const two = await stage.returning('two')
    await two.subscribe(shared, 1)
    expect(await accept(two, 2)).toEqual(['2', '4'])
    expect(await rest(two)).toEqual([])
    await stage.skip(advanceSeconds)
    await crash()
    expect(await rest(await member('one'))).toEqual([])
  })

  it('a QoS 2 exchange goes on with its member, and nobody else gets its publication', async () => {
    const [one, two] = [await member('one'), await member('two')]
    await publish(2, 1, 2)
    const first = await one.take('publish')
    const second = await two.take('publish')
    await crash()
    const again = await member('two')
    expect(await stage.untaken(again)).toMatchObject([{ id: second.id, dup: true, payload: second.payload }])
    again.send(wire.ack('pubrec', second.id!))
    await again.take('pubrel', second.id)
    const other = await member('one')
    expect(await stage.untaken(other)).toMatchObject([{ id: first.id, dup: true, payload: first.payload }])
  })

  it('QoS 2 that a member has received goes to nobody, before and after the position says so', async () => {
    const one = await member('one')
    await publish(2, 1, 2, 3)
    expect(await accept(one, 3)).toEqual(['1', '2', '3'])
    await one.ping()
    await crash()
    expect(await rest(await member('two'))).toEqual([])
    await member('one')
    await stage.skip(advanceSeconds)
    await crash()
    expect(await rest(await member('two'))).toEqual([])
    expect(await rest(await member('one'))).toEqual([])
  })

  it('QoS 2 that was sent to a session that has ended goes to nobody [MQTT-4.8.2-5]', async () => {
    const [one, two] = [await member('one'), await member('two')]
    await publish(2, 1, 2)
    await one.take('publish')
    await two.accept()
    await stage.lose(one, 'one')
    const clean = await stage.client('one')
    await clean.disconnect()
    await crash()
    expect(await rest(await member('two'))).toEqual([])
  })

  it('QoS 2 that was sent to a member without a session goes to nobody', async () => {
    const guest = await stage.client('guest')
    await guest.subscribe(shared, 2)
    const one = await member('one')
    await publish(2, 1, 2)
    await guest.take('publish')
    await one.accept()
    await crash()
    expect(await rest(await member('one'))).toEqual([])
    await crash()
    expect(stage.server.outbound.windows('guest')).toEqual([])
    expect(await rest(await member('one'))).toEqual([])
  })

  it('QoS 2 that a member without a session was sent while no other had one goes to nobody', async () => {
    const guest = await stage.client('guest')
    await guest.subscribe(shared, 2)
    const one = await member('one')
    await publish(2, 1, 2)
    await Promise.all([guest.accept(), one.accept()])
    await one.unsubscribe(shared)
    await publish(2, 3)
    expect(await guest.take('publish')).toMatchObject({ payload: '3' })
    await one.subscribe(shared, 2)
    await publish(2, 4)
    await crash()
    // whose turn 4 was does not matter here
    expect(await rest(await member('one'))).not.toContain('3')
  })

  it('what a member was sent in vain is read again when its session ends', async () => {
    const one = await member('one', 1)
    await publish(1, 1, 2, 3)
    for (let count = 0; count < 3; count++) await one.take('publish')
    const two = await member('two', 1)
    await stage.lose(one, 'one')
    await stage.client('one')
    expect(await accept(two, 3)).toEqual(['1', '2', '3'])
  })

  it('what has left the log meanwhile is counted', async () => {
    await stage.lose(await member('one'), 'one')
    await publish(1, 1, 2, 3)
    const { broker } = stage.server.open
    for (const partition of broker.topics.get('t').partitions)
      await broker.deleteRecordsBefore(partition, broker.offsets(partition).logEnd)
    await publish(1, 4)
    await crash()
    expect(await accept(await member('one'), 1)).toEqual(['4'])
    expect(stage.server.metrics.count('mqttDropped', 'left the log before it was read')).toBe(3)
  })

  it('of a topic that was deleted nothing is left', async () => {
    await stage.lose(await member('one'), 'one')
    await publish(1, 1, 2)
    const { topics } = stage.server.open.broker
    topics.delete('t')
    await topics.durable()
    expect(positions()).toBe(0)
    await publish(1, 3)
    await crash()
    await expectOnly(await member('one'), '3')
  })
})

describe('positions', () => {
  it('end with the last member that has a session; a later one begins anew', async () => {
    const one = await member('one')
    const guest = await stage.client('guest')
    await guest.subscribe(shared, 1)
    await publish(1, 1, 2)
    expect(positions()).toBe(1)
    await stage.lose(guest, 'guest')
    await one.unsubscribe(shared)
    expect(positions()).toBe(0)
    await publish(1, 3)
    await one.subscribe(shared, 1)
    await publish(1, 4)
    await crash()
    await expectOnly(await member('one'), '4')
  })

  it('end with the session of the last member', async () => {
    await stage.lose(await member('one'), 'one')
    await publish(1, 1, 2)
    const clean = await stage.client('one')
    await clean.disconnect()
    await crash()
    expect(positions()).toBe(0)
    expect(await rest(await member('one'))).toEqual([])
  })

  it('stay when the only member subscribes again', async () => {
    await stage.lose(await member('one'), 'one')
    await publish(1, 1, 2)
    const again = await stage.returning('one', { receiveMaximum: 1 })
    await again.subscribe(shared, 1)
    expect(await accept(again, 2)).toEqual(['1', '2'])
  })

  it('go when nothing came for some time, and come again', async () => {
    const one = await member('one', 1)
    await publish(1, 1)
    await accept(one, 1)
    await stage.skip(3 * advanceSeconds)
    expect(positions()).toBe(0)
    await publish(1, 2)
    await crash()
    await expectOnly(await member('one'), '2')
  })
})

describe('while the broker runs', () => {
  it('a member that does not keep up gets no more than it takes, and others the rest', async () => {
    const slow = await member('slow', 1, { receiveMaximum: 1 })
    await publish(1, ...Array.from({ length: 50 }, (_, index) => index + 1))
    await slow.take('publish')
    const quick = await member('quick', 1)
    await stage.lose(slow, 'slow')
    expect(await accept(quick, 49)).toEqual(Array.from({ length: 49 }, (_, index) => String(index + 2)))
  })

  it('members that come back together share what has waited', async () => {
    await stage.lose(await member('one', 1), 'one')
    await stage.lose(await member('two', 1), 'two')
    await publish(1, ...Array.from({ length: 40 }, (_, index) => index + 1))
    const one = await member('one', 1, { receiveMaximum: 5 })
    const two = await member('two', 1, { receiveMaximum: 5 })
    const shares = await Promise.all([accept(one, 5), accept(two, 5)])
    while (shares.flat().length < 40)
      for (const [index, client] of [one, two].entries()) shares[index]!.push(...(await acceptAll(client)))
    expect(shares.flat().sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 40 }, (_, index) => String(index + 1)),
    )
    for (const { length } of shares) expect(length).toBeGreaterThan(5)
  })
})

/** Accepts what is here, with QoS 1. */
async function acceptAll(client: WireClient): Promise<string[]> {
  const found = (await client.ping()).filter(({ type }) => type === 'publish')
  for (const { id } of found) client.send(wire.ack('puback', id!))
  return found.map(({ payload }) => payload!)
}

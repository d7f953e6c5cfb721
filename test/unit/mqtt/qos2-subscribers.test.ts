import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Stage } from '../../conformance/stage.ts'
import { CrashingLog } from '../../support/crashing-log.ts'
import * as wire from '../../support/mqtt-wire.ts'
import { SimRandom } from '../../support/sim/random.ts'
import type { WireClient } from '../../support/wire-client.ts'

/** QoS 2 to a subscriber with a session is exactly once, whatever happens to the broker in the middle of an exchange. */

let stage: Stage
let subscriber: WireClient

const log = (): CrashingLog => stage.server.log as CrashingLog
/** Nothing that was not durable stays. */
const crash = async (): Promise<void> => stage.restart(await log().afterCrash(new SimRandom(1)))
const back = async (properties: wire.Properties = {}): Promise<WireClient> => {
  subscriber = await stage.returning('s', properties)
  expect(subscriber.connack!.sessionPresent).toBe(true)
  return subscriber
}
const publish = async (...payloads: readonly string[]): Promise<void> => {
  const publisher = await stage.client(`p ${payloads.join()}`)
  for (const payload of payloads) await publisher.publish('t', payload, 2)
  await publisher.disconnect()
}
const pubrec = (id: number): void => subscriber.send(wire.ack('pubrec', id))
const pubcomp = (id: number): void => subscriber.send(wire.ack('pubcomp', id))
/** Everything that comes until nothing more does, as text. */
const rest = async (): Promise<string[]> =>
  (await stage.untaken(subscriber)).map(({ type, id, dup, payload }) =>
    type === 'publish' ? `publish ${id}${dup ? ' dup' : ''} ${payload}` : `${type} ${id}`,
  )

beforeEach(async () => {
  stage = await Stage.open({}, new CrashingLog())
  subscriber = await stage.returning('s')
  await subscriber.subscribe('t', 2)
})
afterEach(() => stage.end())

describe('an exchange goes on after a crash', () => {
  it('before PUBREC: with the same packet id and DUP, in order', async () => {
    await publish('1', '2')
    const ids = [(await subscriber.take('publish')).id, (await subscriber.take('publish')).id]
    await crash()
    await back()
    expect(await rest()).toEqual([`publish ${ids[0]} dup 1`, `publish ${ids[1]} dup 2`])
  })

  it('after PUBREC: with PUBREL, and nothing of it comes as a new one', async () => {
    await publish('1')
    const { id } = await subscriber.take('publish')
    pubrec(id!)
    await subscriber.take('pubrel', id)
    await crash()
    await back()
    expect(await rest()).toEqual([`pubrel ${id}`])
    pubcomp(id!)
    await publish('2')
    const next = await subscriber.accept()
    expect([next.payload, next.dup]).toEqual(['2', false])
    expect(await rest()).toEqual([])
  })

  it('after PUBCOMP: at most with PUBREL, and what was missed since comes', async () => {
    await publish('1', '2', '3')
    for (let count = 0; count < 3; count++) await subscriber.accept()
    await stage.untaken(subscriber)
    await crash()
    await publish('4')
    await back()
    const { payload } = await subscriber.accept()
    expect(payload).toBe('4')
    expect((await rest()).filter(one => one.startsWith('publish'))).toEqual([])
  })

  it('where packets were acknowledged out of order, and twice', async () => {
    await publish('1', '2', '3')
    const ids: number[] = []
    for (let count = 0; count < 3; count++) ids.push((await subscriber.take('publish')).id!)
    for (const id of [ids[2]!, ids[1]!]) {
      pubrec(id)
      await subscriber.take('pubrel', id)
    }
    pubcomp(ids[2]!)
    await stage.untaken(subscriber)
    for (let crashes = 0; crashes < 3; crashes++) {
      await crash()
      await back({ receiveMaximum: 3 })
      expect((await rest()).sort()).toEqual([`publish ${ids[0]} dup 1`, `pubrel ${ids[1]}`, `pubrel ${ids[2]}`])
    }
    for (const id of ids) pubrec(id)
    await subscriber.take('pubrel', ids[0])
    for (const id of ids) pubcomp(id)
    await stage.untaken(subscriber)
    await crash()
    await back()
    expect((await rest()).filter(one => one.startsWith('publish'))).toEqual([])
  })

  it('between those with QoS 1, which may come again', async () => {
    const publisher = await stage.client('p')
    await publisher.publish('t', 'one', 1)
    await publisher.publish('t', 'two', 2)
    await subscriber.take('publish')
    const { id } = await subscriber.take('publish')
    pubrec(id!)
    await subscriber.take('pubrel', id)
    await crash()
    await back()
    const found = await rest()
    expect(found.filter(one => one.includes('two'))).toEqual([])
    expect(found).toContain(`pubrel ${id}`)
    expect(found.filter(one => one.includes('one'))).toHaveLength(1)
  })

  it('of a publication that has left the log, with PUBREL, in case that the client has it', async () => {
    await publish('1')
    const { id } = await subscriber.take('publish')
    const { broker } = stage.server.open
    for (const partition of broker.topics.get('t').partitions)
      await broker.deleteRecordsBefore(partition, broker.offsets(partition).logEnd)
    await crash()
    await back()
    expect(await rest()).toEqual([`pubrel ${id}`])
    expect(stage.server.metrics.count('mqttDropped', 'left the log before it was read')).toBe(1)
  })

  it('but not into a new session, which waits until the log has room for the end of the one before', async () => {
    await publish('1')
    await publish('2')
    await stage.lose(subscriber, 's')
    log().full = true
    const client = await stage.open()
    const connected = client.connect({ clientId: 's', properties: { sessionExpiry: 3600 } })
    await stage.client('other').then(other => other.ping())
    expect(client.connack).toBeUndefined()
    log().full = false
    await stage.skip(1)
    await connected
    await client.subscribe('t', 2)
    await publish('3')
    await stage.untaken(client)
    await crash()
    await back()
    expect(await rest()).toEqual(['publish 1 dup 3'])
  })

  it('of a shared subscription, with the same packet id', async () => {
    await subscriber.unsubscribe('t')
    await subscriber.subscribe('$share/group/t', 2)
    await publish('1', '2')
    const first = await subscriber.take('publish')
    const second = await subscriber.take('publish')
    pubrec(first.id!)
    await subscriber.take('pubrel', first.id)
    await crash()
    await back()
    expect((await rest()).sort()).toEqual([`publish ${second.id} dup 2`, `pubrel ${first.id}`])
  })

  it('whose publication stood nowhere in the log, with PUBREL', async () => {
    await subscriber.subscribe('$local/t', 2)
    const publisher = await stage.client('p')
    await publisher.publish('$local/t', '1', 2)
    const { id } = await subscriber.take('publish')
    pubrec(id!)
    await crash()
    await back()
    expect(await rest()).toEqual([`pubrel ${id}`])
  })
})

describe('the log comes first', () => {
  it('PUBLISH waits for its packet id', async () => {
    await stage.lose(subscriber, 's')
    await publish('1')
    log().held = true
    await back()
    expect((await subscriber.ping()).map(({ type }) => type)).toEqual([])
    log().release()
    expect((await subscriber.take('publish')).payload).toBe('1')
  })

  it('PUBREL waits for PUBREC', async () => {
    await publish('1')
    const { id } = await subscriber.take('publish')
    log().held = true
    pubrec(id!)
    expect(await subscriber.ping()).toEqual([])
    log().release()
    await subscriber.take('pubrel', id)
  })

  it('a packet id that was given out and not sent goes out after the next CONNECT, without DUP', async () => {
    await stage.lose(subscriber, 's')
    await publish('1')
    log().held = true
    await back()
    await subscriber.ping()
    await stage.lose(subscriber, 's')
    await back()
    expect(await subscriber.ping()).toEqual([])
    log().release()
    expect(await subscriber.take('publish')).toMatchObject({ payload: '1', dup: false })
    expect(await rest()).toEqual([])
  })
})

it('a session that ends leaves nothing of it in the log', async () => {
  await publish('1')
  await subscriber.take('publish')
  await stage.lose(subscriber, 's')
  const clean = await stage.client('s')
  await clean.disconnect()
  await crash()
  const after = await stage.returning('s')
  expect(after.connack!.sessionPresent).toBe(false)
  expect(await stage.untaken(after)).toEqual([])
})

it('windows that are done with are removed', async () => {
  const windows = (): number => stage.server.outbound.windows('s').length
  for (let round = 0; round < 5; round++) {
    await publish('1', '2')
    for (let count = 0; count < 2; count++) await subscriber.accept()
  }
  expect(windows()).toBeGreaterThan(0)
  await stage.skip(15)
  expect(windows()).toBe(0)
})

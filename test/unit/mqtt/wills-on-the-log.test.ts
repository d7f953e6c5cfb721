import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { payloads, Stage } from '../../conformance/stage.ts'
import { CrashingLog } from '../../support/crashing-log.ts'
import { type Connect, connect, type Properties } from '../../support/mqtt-wire.ts'
import { SimRandom } from '../../support/sim/random.ts'
import type { WireClient } from '../../support/wire-client.ts'

/** Wills survive the broker: each is published once, unless its client comes back in time or said goodbye. */

let stage: Stage

const log = (): CrashingLog => stage.server.log as CrashingLog
const crash = async (): Promise<void> => stage.restart(await log().afterCrash(new SimRandom(1)))
const willOf = (payload: string, delay = 0, more: Properties = {}): NonNullable<Connect['will']> => ({
  topic: 'wills/d',
  payload,
  qos: 1,
  retain: true,
  properties: { willDelay: delay, ...more },
})
const device = (will = willOf('lost'), options: Omit<Connect, 'clientId'> = {}): Promise<WireClient> =>
  stage.client('d', { will, keepAlive: 20, ...options })
/** What a subscriber that comes now finds, and gets as time goes by. */
const seen = async (...skips: readonly number[]): Promise<string[][]> => {
  const watcher = await stage.client('watcher')
  await watcher.subscribe('wills/#', 1)
  const found = [payloads(await stage.untaken(watcher))]
  for (const seconds of skips) {
    await stage.skip(seconds)
    found.push(payloads(await stage.untaken(watcher)))
  }
  await watcher.disconnect()
  return found
}

beforeEach(async () => {
  stage = await Stage.open({}, new CrashingLog())
})
afterEach(() => stage.end())

describe('a client that was connected when the broker died', () => {
  it('has one and a half keep alive intervals to come back, then its will is published, retained, with its properties', async () => {
    const more = { contentType: 'text/plain', user: [['b', '1'] as const, ['a', '2'] as const, ['b', '3'] as const] }
    await device(willOf('lost', 0, more as Properties))
    await crash()
    expect(await seen(29, 2)).toEqual([[], [], ['lost']])
    await crash()
    const watcher = await stage.client('watcher')
    await watcher.subscribe('wills/#', 1)
    expect(await watcher.take('publish')).toMatchObject({ payload: 'lost', retain: true, properties: more })
    // once is enough
    expect(await seen(3600)).toEqual([['lost'], []])
  })

  it('and came back in time has nothing published', async () => {
    await device()
    await crash()
    await device(willOf('other'))
    expect(await seen(25, 0)).toEqual([[], [], []])
  })

  it('has its delay after that', async () => {
    await device(willOf('late', 20), { properties: { sessionExpiry: 600 } })
    await crash()
    expect(await seen(45, 10)).toEqual([[], [], ['late']])
  })

  it('has its will published when its session ends, whatever its delay', async () => {
    await device(willOf('late', 1000), { properties: { sessionExpiry: 60 } })
    await crash()
    expect(await seen(55, 10)).toEqual([[], [], ['late']])
  })

  it('and said goodbye has none', async () => {
    await (await device()).disconnect()
    await crash()
    expect(await seen(3600)).toEqual([[], []])
  })

  it('through two deaths in a row', async () => {
    await device()
    await crash()
    await stage.skip(20)
    await crash()
    expect(await seen(25, 10)).toEqual([[], [], ['lost']])
  })
})

it('a will that waits for its delay goes on waiting, by log age', async () => {
  const client = await device(willOf('late', 100), { properties: { sessionExpiry: 600 } })
  await stage.lose(client, 'd')
  await stage.skip(70)
  await crash()
  expect(await seen(25, 10)).toEqual([[], [], ['late']])
})

it('a will that was published is not published again', async () => {
  const client = await device()
  await stage.lose(client, 'd')
  expect(await seen()).toEqual([['lost']])
  const watcher = await stage.returning('w')
  await watcher.subscribe('wills/#', 1 + 32)
  await crash()
  await stage.skip(3600)
  expect(payloads(await stage.untaken(await stage.returning('w')))).toEqual([])
})

it('the will of a connection that took the client id over stays', async () => {
  await device(willOf('first', 100), { properties: { sessionExpiry: 600 } })
  await device(willOf('second', 0), { clean: false, properties: { sessionExpiry: 600 } })
  await crash()
  expect(await seen(31)).toEqual([[], ['second']])
})

it('CONNACK waits until the will is in the log', async () => {
  log().held = true
  const client = await stage.open()
  const connected = client.connect({ clientId: 'd', will: willOf('lost') })
  await stage.client('other').then(other => other.ping())
  expect(client.connack).toBeUndefined()
  log().release()
  expect((await connected).reason).toBe(0)
})

describe('a CONNECT that breaks off while its will is being synced', () => {
  const breakOff = async (): Promise<void> => {
    log().held = true
    const client = await stage.open()
    client.send(connect({ clientId: 'd', will: willOf('broken off'), keepAlive: 20 }))
    await stage.client('other').then(other => other.ping())
    // longer than a CONNECT may take
    await stage.skip(11)
    await client.closed()
    log().release()
    await stage.client('one more').then(other => other.ping())
  }

  it('leaves the will of the present connection in the log', async () => {
    await device()
    await breakOff()
    await crash()
    expect(await seen(29, 2)).toEqual([[], [], ['lost']])
  })

  it('leaves the will that waits for its delay in the log', async () => {
    await stage.lose(await device(willOf('late', 100), { properties: { sessionExpiry: 600 } }), 'd')
    await breakOff()
    await crash()
    expect(await seen(80, 10)).toEqual([[], [], ['late']])
  })

  it('leaves nothing where there was none', async () => {
    await breakOff()
    await crash()
    expect(await seen(3600)).toEqual([[], []])
  })
})

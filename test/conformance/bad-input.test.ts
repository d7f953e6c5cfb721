import { expect } from 'vitest'
import * as wire from '../support/mqtt-wire.ts'
import { testCases } from './cases.ts'
import { payloads, type Stage } from './stage.ts'

/** Somebody who behaves is served as if nothing was. */
async function servesOthers(stage: Stage): Promise<void> {
  const good = await stage.client('good')
  await good.subscribe('good', 1)
  await good.publish('good', 'x', 1)
  expect((await good.accept()).payload).toBe('x')
  await good.disconnect()
}

const connections = 50

/** What the specification does not forbid in one packet, but no broker may fall for. */
testCases('bad input', [
  {
    name: 'slow loris: CONNECT byte by byte must be there in time, whatever comes meanwhile',
    async run(stage) {
      const clients = await Promise.all(Array.from({ length: connections }, () => stage.open()))
      // the broker has accepted all of them before
      await servesOthers(stage)
      const bytes = wire.connect({ clientId: 'slow', username: 'x'.repeat(200) })
      for (let second = 0; second < 12; second++) {
        for (const client of clients) if (!client.isClosed) client.send(bytes.subarray(second, second + 1))
        await stage.skip(1)
      }
      for (const client of clients) expect(await client.closed()).toEqual([])
      await servesOthers(stage)
    },
  },
  {
    name: 'a packet that is begun and never ended does not hold the keep alive off for ever',
    async run(stage) {
      const client = await stage.client('a', { keepAlive: 10 })
      client.send(wire.publish({ topic: 't', payload: 'x'.repeat(100) }).subarray(0, 50))
      await servesOthers(stage)
      await stage.skip(16)
      await stage.ends(client, 0x8d)
    },
  },
  {
    name: 'half-open connections end with their keep alive, and their wills are published',
    async run(stage) {
      const seen = await stage.client('seen')
      await seen.subscribe('wills/#', 1)
      for (let count = 0; count < connections; count++) {
        const client = await stage.client(`half ${count}`, { keepAlive: 10, will: { topic: 'wills/half' } })
        client.pause()
      }
      await stage.skip(16)
      for (let count = 0; count < connections; count++) expect((await seen.accept()).topic).toBe('wills/half')
      expect(stage.server.front.clients().map(({ clientId }) => clientId)).toEqual(['seen'])
    },
  },
  {
    name: 'of many who fight for one client id the last has it, and the session stays one',
    async run(stage) {
      const first = await stage.returning('wanted')
      await first.subscribe('t', 1)
      const clients = await Promise.all(Array.from({ length: connections }, () => stage.open()))
      for (const client of clients)
        client.send(wire.connect({ clientId: 'wanted', clean: false, properties: { sessionExpiry: 60 } }))
      await stage.ends(first, 0x8e)
      const last = await stage.returning('wanted')
      for (const client of clients) {
        const found = await client.closed()
        expect(found.filter(({ type }) => type === 'connack').every(({ sessionPresent }) => sessionPresent)).toBe(true)
        expect(found.at(-1)).toMatchObject({ type: 'disconnect', reason: 0x8e })
      }
      await last.publish('t', 'one copy', 1)
      expect(payloads(await stage.untaken(last))).toEqual(['one copy'])
    },
  },
  {
    name: 'a QoS 1 packet identifier that is used again before PUBACK is another publish',
    async run(stage) {
      const client = await stage.client('a')
      stage.server.log.held = true
      for (const payload of ['one', 'two', 'three']) client.send(wire.publish({ topic: 't', payload, qos: 1, id: 7 }))
      await client.ping()
      stage.server.log.release()
      for (let count = 0; count < 3; count++) expect((await client.take('puback', 7)).reason).toBe(0)
      const records = await stage.server.records('t')
      expect(records.map(({ value }) => value!.toString())).toEqual(['one', 'two', 'three'])
    },
  },
  {
    name: 'a QoS 2 packet identifier that is used again before PUBREL is the same publish, whatever it says',
    async run(stage) {
      const client = await stage.client('a')
      for (const payload of ['one', 'another']) {
        client.send(wire.publish({ topic: 't', payload, qos: 2, id: 7 }))
        await client.take('pubrec', 7)
      }
      client.send(wire.ack('pubrel', 7), wire.ack('pubrel', 7))
      await client.take('pubcomp', 7)
      await client.take('pubcomp', 7)
      expect((await stage.server.records('t')).map(({ value }) => value!.toString())).toEqual(['one'])
    },
  },
  {
    name: 'topics and filters of too many levels are refused, and end nothing but their connection',
    async run(stage) {
      const deep = Array.from({ length: 5000 }, () => 'x').join('/')
      const slashes = '/'.repeat(60_000)
      for (const topic of [deep, slashes]) {
        for (const bytes of [wire.publish({ topic, qos: 1, id: 1 }), wire.subscribe(1, [[`${topic}/#`, 1]])]) {
          const client = await stage.client('deep')
          client.send(bytes)
          const answer = await client.next()
          const reason = answer.reasons?.[0] ?? answer.reason!
          expect(reason).toBeGreaterThanOrEqual(0x80)
          client.destroy()
        }
      }
      await servesOthers(stage)
    },
  },
  {
    name: 'ten thousand topics from one client leave the memory as it was',
    async run(stage) {
      const client = await stage.client('a')
      const before = stage.server.memory.usedBytes
      for (let from = 0; from < 10_000; from += 500) {
        const numbers = Array.from({ length: 500 }, (_, index) => from + index)
        client.send(...numbers.map(n => wire.publish({ topic: `bomb/${n}/${'x'.repeat(200)}`, qos: 1, id: n + 1 })))
        for (const n of numbers) await client.take('puback', n + 1)
      }
      // what is remembered of topics is bounded by itself
      expect(stage.server.memory.usedBytes - before).toBeLessThan(8 << 20)
      client.destroy()
      await stage.gone('a')
      await servesOthers(stage)
    },
  },
  {
    name: 'floods of requests are answered, each, as long as their client reads',
    async run(stage) {
      const client = await stage.client('a')
      const filters = Array.from({ length: 2000 }, (_, index) => `f/${index % 50}`)
      for (const [index, filter] of filters.entries()) {
        const id = index + 1
        client.send(wire.subscribe(id, [[filter, 1]]), wire.unsubscribe(id, [filter]), wire.pingreq())
      }
      for (let id = 1; id <= filters.length; id++) {
        await client.take('suback', id)
        await client.take('unsuback', id)
        await client.take('pingresp')
      }
      expect(await client.ping()).toEqual([])
      await servesOthers(stage)
    },
  },
  {
    name: 'a flood whose client reads no answers is held back: others are served, memory stays bounded',
    async run(stage) {
      const client = await stage.client('deaf')
      await client.subscribe('echo/#', 1)
      client.pause()
      const good = await stage.client('healthy')
      const before = { used: stage.server.memory.usedBytes, rss: process.memoryUsage.rss() }
      const payload = 'x'.repeat(1000)
      for (let round = 0; round < 20; round++) {
        const ids = Array.from({ length: 500 }, (_, index) => index + 1)
        client.send(...ids.map(id => wire.publish({ topic: 'echo/x', payload, qos: 1, id })), wire.pingreq())
        // each is acknowledged, whatever the other does
        expect((await good.publish('good', String(round), 1))?.reason).toBe(0)
      }
      expect(stage.server.memory.usedBytes - before.used).toBeLessThan(16 << 20)
      expect(process.memoryUsage.rss() / before.rss).toBeLessThan(2)
      client.destroy()
      await stage.gone('deaf')
      await servesOthers(stage)
    },
  },
  {
    name: 'subscriptions beyond the limit of a client are refused, one by one, and those it has stay',
    async run(stage) {
      const client = await stage.client('a')
      const before = stage.server.memory.usedBytes
      const reasons: number[] = []
      for (let count = 0; count < 3000; count++) {
        const { reasons: answers } = await client.subscribe(`bomb/${count}/${'x'.repeat(100)}`, 1)
        reasons.push(...answers!)
      }
      expect(new Set(reasons.slice(0, 1000))).toEqual(new Set([1]))
      expect(new Set(reasons.slice(1000))).toEqual(new Set([0x97]))
      expect(stage.server.memory.usedBytes - before).toBeLessThan(2 << 20)
      await client.publish(`bomb/0/${'x'.repeat(100)}`, 'still', 1)
      expect((await client.accept()).payload).toBe('still')
      await servesOthers(stage)
    },
  },
  {
    name: 'the longest topic that a string can be is one topic like others',
    async run(stage) {
      const topic = 'x'.repeat(65_535)
      const client = await stage.client('a')
      await client.subscribe(topic, 1)
      const answer = await client.publish(topic, 'long', 1)
      expect(answer?.reason).toBe(0)
      expect(await client.accept()).toMatchObject({ topic, payload: 'long' })
      await servesOthers(stage)
    },
  },
])

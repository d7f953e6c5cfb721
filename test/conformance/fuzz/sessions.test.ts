import { afterEach, expect, test } from 'vitest'
import { CrashingLog } from '../../support/crashing-log.ts'
import * as wire from '../../support/mqtt-wire.ts'
import { SimRandom } from '../../support/sim/random.ts'
import type { WireClient } from '../../support/wire-client.ts'
import { Stage } from '../stage.ts'

/**
 * Random clients that lose their connections in the middle of exchanges and come back, held against what QoS 1 and 2 promise: at least
 * once and exactly once, each in the order of its publisher.
 */

const shared = '$share/workers/m/#'
const seeds = Number(process.env['SESSION_SEEDS'] ?? 3)
const topics = ['m/a', 'm/b', 'm/c'] as const
const publishesEach = 60
let stage: Stage

afterEach(() => stage.end())

/** A publisher that repeats what was not acknowledged when it comes back. */
class Publisher {
  readonly #id: string
  readonly #random: SimRandom
  #client: WireClient | undefined
  #sent = 0
  /** Not acknowledged to the end; `released` after PUBREC. */
  readonly #open = new Map<number, { readonly bytes: Buffer; readonly qos: number; released: boolean }>()

  constructor(id: string, random: SimRandom) {
    this.#id = id
    this.#random = random
  }

  get isDone(): boolean {
    return this.#sent === publishesEach && this.#open.size === 0
  }

  /** The connection has gone. */
  cut(): void {
    this.#client = undefined
  }

  /** One thing that it may do next. */
  async step(): Promise<void> {
    const client = (this.#client ??= await this.#connect())
    if (this.#random.chance(0.04)) {
      this.cut()
      return stage.lose(client, this.#id)
    }
    if (this.#sent < publishesEach && this.#open.size < 5) return this.#publish(client)
    const [id, { qos, released }] = [...this.#open][0]!
    if (qos === 1) await client.take('puback', id)
    else if (!released) {
      await client.take('pubrec', id)
      this.#open.get(id)!.released = true
      client.send(wire.ack('pubrel', id))
      return
    } else await client.take('pubcomp', id)
    this.#open.delete(id)
  }

  #publish(client: WireClient): void {
    const qos = this.#random.between(1, 2)
    const number = ++this.#sent
    const bytes = wire.publish({ topic: this.#random.pick(topics), payload: `${this.#id} ${number}`, qos, id: number })
    this.#open.set(number, { bytes, qos, released: false })
    client.send(bytes)
  }

  async #connect(): Promise<WireClient> {
    const client = await stage.returning(this.#id)
    for (const [id, { bytes, released }] of this.#open) {
      if (released) client.send(wire.ack('pubrel', id))
      else client.send(Buffer.concat([wire.byte(bytes[0]! | 0x08), bytes.subarray(1)]))
    }
    return client
  }
}

/** A subscriber that acknowledges when it likes. What it got is kept across its connections. */
class Subscriber {
  readonly id: string
  readonly got: wire.Received[] = []
  readonly #random: SimRandom
  #client: WireClient | undefined
  readonly #filter: string
  #untaken: wire.Received[] = []
  /** QoS 2 identifiers between PUBLISH and PUBREL. */
  readonly #held = new Set<number>()

  constructor(id: string, random: SimRandom, filter: string) {
    this.id = id
    this.#random = random
    this.#filter = filter
  }

  async step(): Promise<void> {
    const client = (this.#client ??= await this.#connect())
    if (this.#random.chance(0.05)) {
      this.cut()
      return stage.lose(client, this.id)
    }
    this.#untaken.push(...(await client.ping()))
    for (let count = this.#random.below(this.#untaken.length + 1); count > 0; count--) this.#answer(client)
  }

  /** The connection has gone. */
  cut(): void {
    this.#client = undefined
    this.#untaken = []
  }

  /** Until nothing more comes. */
  async drain(): Promise<void> {
    const client = (this.#client ??= await this.#connect())
    for (;;) {
      while (this.#untaken.length > 0) this.#answer(client)
      this.#untaken.push(...(await stage.untaken(client)))
      if (this.#untaken.length === 0) return
    }
  }

  #answer(client: WireClient): void {
    const { type, id, qos, dup } = this.#untaken[0]!
    const one = this.#untaken.shift()!
    if (type === 'pubrel') {
      this.#held.delete(id!)
      client.send(wire.ack('pubcomp', id!))
    } else if (type === 'publish' && qos === 1) {
      this.got.push(one)
      client.send(wire.ack('puback', id!))
    } else if (type === 'publish') {
      if (this.#held.has(id!)) expect(dup, 'an identifier in use means the same publish').toBe(true)
      else this.got.push(one)
      this.#held.add(id!)
      client.send(wire.ack('pubrec', id!))
    }
  }

  async #connect(): Promise<WireClient> {
    const client = await stage.returning(this.id, { receiveMaximum: this.#random.between(1, 8) })
    if (!client.connack!.sessionPresent) await client.subscribe(this.#filter, 2)
    return client
  }
}

const numbersOf = (packets: readonly wire.Received[], publisher: string): number[] =>
  packets.flatMap(({ payload }) => (payload!.startsWith(`${publisher} `) ? [Number(payload!.split(' ')[1])] : []))

const all = Array.from({ length: publishesEach }, (_, index) => index + 1)

interface Run {
  readonly publishers: readonly Publisher[]
  readonly subscribers: readonly Subscriber[]
}

/** Everything is published and taken; now and then something else happens. */
async function play(random: SimRandom, disturb: (run: Run) => Promise<boolean>, filter = 'm/#'): Promise<Run> {
  const publishers = ['p1', 'p2'].map(id => new Publisher(id, new SimRandom(random.below(2 ** 31))))
  const subscribers = ['s1', 's2', 's3'].map(id => new Subscriber(id, new SimRandom(random.below(2 ** 31)), filter))
  // all sessions are there before the first publish
  for (const one of subscribers) await one.step()
  while (publishers.some(one => !one.isDone)) {
    if (await disturb({ publishers, subscribers })) continue
    const waiting = publishers.filter(one => !one.isDone)
    if (random.chance(0.6)) await random.pick(waiting).step()
    else await random.pick(subscribers).step()
  }
  for (const one of subscribers) await one.drain()
  return { publishers, subscribers }
}

/** Nothing is missing, and what came first came in the order of its publisher, for each topic and QoS. */
function checkOrder({ subscribers }: Run): void {
  for (const { id: subscriber, got } of subscribers) {
    for (const id of ['p1', 'p2']) {
      expect([...new Set(numbersOf(got, id))].sort((a, b) => a - b)).toEqual(all)
      for (const topic of topics)
        for (const qos of [1, 2]) {
          const stream = got.filter(found => found.topic === topic && found.qos === qos)
          const first = [...new Set(numbersOf(stream, id))]
          expect(first, `${subscriber}, ${id}, ${topic}, QoS ${qos}`).toEqual([...first].sort((a, b) => a - b))
        }
    }
  }
}

/** Nothing is missing of a shared subscription, and no QoS 2 publish came to two members, or twice to one. */
function checkShared({ subscribers }: Run): void {
  const got = subscribers.flatMap(one => one.got)
  for (const id of ['p1', 'p2']) {
    expect([...new Set(numbersOf(got, id))].sort((a, b) => a - b)).toEqual(all)
    const twos = numbersOf(
      got.filter(({ qos }) => qos === 2),
      id,
    )
    expect(new Set(twos).size, `a QoS 2 publish of ${id} came twice`).toBe(twos.length)
  }
}

/** Members take from each other what one has given back: until all is here. */
async function drainShared({ subscribers }: Run): Promise<void> {
  const count = (): number =>
    ['p1', 'p2'].reduce(
      (sum, id) =>
        sum +
        new Set(
          numbersOf(
            subscribers.flatMap(one => one.got),
            id,
          ),
        ).size,
      0,
    )
  for (let round = 0; round < 200 && count() < 2 * publishesEach; round++)
    for (const one of subscribers) await one.drain()
  for (const one of subscribers) await one.drain()
}

/** No QoS 2 publish came as a new one twice. */
function checkOnce({ subscribers }: Run): void {
  for (const { id: subscriber, got } of subscribers) {
    const twos = got.filter(({ qos }) => qos === 2)
    for (const id of ['p1', 'p2']) {
      const numbers = numbersOf(twos, id)
      expect(new Set(numbers).size, `${subscriber} got a QoS 2 publish of ${id} twice`).toBe(numbers.length)
    }
  }
}

/** Now and then, in the middle of whatever goes on. */
const cutPower =
  (random: SimRandom) =>
  async ({ publishers, subscribers }: Run): Promise<boolean> => {
    if (!random.chance(0.02)) return false
    // what the device does not take any more has no effect that anybody sees
    stage.server.log.held = true
    for (let steps = random.below(4); steps > 0; steps--) await random.pick(subscribers).step()
    await stage.restart(await (stage.server.log as CrashingLog).afterCrash(random))
    for (const one of [...publishers, ...subscribers]) one.cut()
    return true
  }

for (let seed = 1; seed <= seeds; seed++) {
  test(`publishes reach every session as their QoS promises, seed ${seed}`, async () => {
    stage = await Stage.open()
    const run = await play(new SimRandom(seed), async () => false)
    checkOrder(run)
    checkOnce(run)
  })

  test(`publishes reach every session as their QoS promises while the power fails, seed ${seed}`, async () => {
    stage = await Stage.open({}, new CrashingLog())
    const random = new SimRandom(seed)
    const run = await play(random, cutPower(random))
    checkOrder(run)
    checkOnce(run)
  })

  test(`publishes reach one member of a share as their QoS promises while the power fails, seed ${seed}`, async () => {
    stage = await Stage.open({}, new CrashingLog())
    const random = new SimRandom(seed)
    const cut = cutPower(random)
    // positions are written now and then
    const disturb = async (run: Run): Promise<boolean> => {
      if (random.chance(0.02)) await stage.skip(6)
      return cut(run)
    }
    const run = await play(random, disturb, shared)
    await drainShared(run)
    checkShared(run)
  })
}

import { afterEach, expect, it } from 'vitest'
import { Stage } from '../../conformance/stage.ts'
import { CrashingLog } from '../../support/crashing-log.ts'
import type { Properties, Received } from '../../support/mqtt-wire.ts'
import { SimRandom } from '../../support/sim/random.ts'
import type { WireClient } from '../../support/wire-client.ts'

/** What comes out of the log is what was published: the same bytes that a subscriber got at once. */

const seeds = Number(process.env['PUBLISH_SEEDS'] ?? 3)
const publishes = 60
let stage: Stage

afterEach(() => stage.end())

const words = ['', 'a', 'ü', '\u{1f321}', 'x'.repeat(300), 'application/json', 'a/b', '%00', 'name=value;']

/** Some of all properties that a broker forwards. */
const someProperties = (random: SimRandom): Properties => ({
  ...(random.chance(0.5) && { payloadFormat: random.below(2) }),
  ...(random.chance(0.5) && { messageExpiry: random.between(1000, 2 ** 32 - 1) }),
  ...(random.chance(0.5) && { contentType: random.pick(words) }),
  ...(random.chance(0.5) && { responseTopic: random.pick(['r', 'response/ü', 'a/b/c']) }),
  ...(random.chance(0.5) && { correlationData: random.bytes(random.below(40)) }),
  ...(random.chance(0.7) && {
    user: Array.from({ length: random.below(6) }, () => [random.pick(words), random.pick(words)] as const),
  }),
})

/** The packet without what belongs to one delivery: DUP and packet identifier. */
const asPublished = (one: Received): object => ({ ...one, bytes: withoutId(one), dup: false, id: 0 })
const withoutId = ({ bytes, topic }: Received): string => {
  const copy = Buffer.from(bytes)
  let at = 1
  while (copy[at]! > 0x7f) at++
  copy.writeUInt16BE(0, at + 3 + Buffer.byteLength(topic!))
  copy[0]! &= 0xf7
  return copy.toString('hex')
}

const subscribe = async (clientId: string): Promise<WireClient> => {
  const client = await stage.returning(clientId)
  // QoS 2, Retain As Published
  await client.subscribe('p/#', 0x02 | 0x08, { subscriptionId: [7] })
  await client.subscribe('p/+/q', 0x01, { subscriptionId: [300_000] })
  return client
}

const collect = async (client: WireClient, count: number): Promise<Received[]> => {
  const found: Received[] = []
  while (found.length < count) found.push(await client.accept())
  return found
}

for (let seed = 1; seed <= seeds; seed++) {
  it(`after a restart and while the client was here, seed ${seed}`, async () => {
    stage = await Stage.open({}, new CrashingLog())
    const random = new SimRandom(seed)
    const live = await subscribe('live')
    await stage.lose(await subscribe('away'), 'away')
    const publisher = await stage.client('publisher')
    for (let number = 1; number <= publishes; number++)
      await publisher.publish(random.pick(['p/1', 'p/1/q']), random.pick(words), random.between(1, 2), {
        retain: random.chance(0.3),
        properties: someProperties(random),
      })
    const atOnce = await collect(live, publishes)
    await stage.restart(await (stage.server.log as CrashingLog).afterCrash(random))
    const later = await collect(await stage.returning('away'), publishes)
    for (const topic of ['p/1', 'p/1/q']) {
      const of = (packets: readonly Received[]): object[] => packets.filter(one => one.topic === topic).map(asPublished)
      expect(of(later)).toEqual(of(atOnce))
    }
  })
}

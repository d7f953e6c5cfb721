import { afterEach, expect, it } from 'vitest'
import { Gateway } from '../support/gateway.ts'
import { SimRandom } from '../support/sim/random.ts'
import { type Actor, CommittingGroup, mqttActor, type Promised, producerActor, readNumbers } from './actors.ts'

const cycles = Number(process.env['KILL_CYCLES'] ?? 10)
const seed = Number(process.env['SEED'] ?? 1)

let gateway: Gateway | undefined
afterEach(async () => {
  await gateway?.dispose()
})

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Every acknowledged record is there, in order; once, unless the protocol may repeat it. */
const checkPromise = ({ name, key, acked, repeats }: Promised, numbers: readonly number[]): void => {
  const where = `${name}, key ${key}`
  const present = new Set(numbers)
  let missing = 1
  while (missing <= acked && present.has(missing)) missing++
  expect(missing, `${where}: the first of ${acked} acknowledged records that is missing`).toBe(acked + 1)
  if (!repeats) expect(numbers.length, `${where}: no record stands there twice`).toBe(present.size)
  let highest = 0
  for (const number of numbers) {
    // a repetition begins anew at what was not acknowledged, it never leaves one out
    expect(number, `${where}: in order`).toBeLessThanOrEqual(highest + 1)
    highest = Math.max(highest, number)
  }
}

it(`keeps every promise through ${cycles} kill -9 under load`, { timeout: 60_000 + cycles * 10_000 }, async () => {
  const random = new SimRandom(seed)
  const running = (gateway = await Gateway.start({ settings: { 'group.initial.rebalance.delay.ms': '0' } }))
  // clients come back to where they were
  const { mqtt, kafka, http } = running.addresses
  const listeners = {
    'mqtt.listen': `mqtt://${mqtt}`,
    'kafka.listen': `plaintext://${kafka}`,
    'http.listen': `http://${http}`,
  }
  const actors: Actor[] = await Promise.all([
    mqttActor(running.mqttUrl, 1, 20),
    mqttActor(running.mqttUrl, 2, 1),
    producerActor(kafka, false),
    producerActor(kafka, true),
  ])
  const group = new CommittingGroup(kafka, 'plain')
  await group.start()

  for (let cycle = 1; cycle <= cycles; cycle++) {
    await pause(random.between(50, 1500))
    await running.kill()
    const committed = new Map(group.committed)
    await running.restart({ settings: listeners })
    for (const [partition, offset] of await group.fetch()) {
      const what = `cycle ${cycle}: the committed offset of partition ${partition} does not go back`
      expect(offset >= (committed.get(partition) ?? -1n), what).toBe(true)
    }
  }
  await Promise.all(actors.map(actor => actor.finish()))
  await group.stop()
  const promised = actors.flatMap(actor => actor.promised)
  for (const topic of new Set(promised.map(each => each.topic))) {
    const numbers = await readNumbers(kafka, topic)
    for (const each of promised) if (each.topic === topic) checkPromise(each, numbers.get(each.key) ?? [])
  }
  expect(
    promised.every(({ acked }) => acked > cycles),
    'there was load',
  ).toBe(true)
  expect(group.committed.size, 'offsets were committed').toBeGreaterThan(0)
})

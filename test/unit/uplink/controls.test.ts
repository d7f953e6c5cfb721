import { beforeEach, expect, it } from 'vitest'
import { defaultSettings, type Settings } from '../../../src/config/settings.ts'
import { openUplink } from '../../../src/open-uplink.ts'
import { sleep } from '../../../src/platform/clock.ts'
import { OffsetMapView } from '../../../src/state/offset-map.ts'
import { UplinkView } from '../../../src/state/uplink.ts'
import type { Uplink } from '../../../src/uplink/uplink.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { isTransactional } from '../../../src/wire/kafka/record-batch.ts'
import { allRecords, decompressRecords } from '../../../src/wire/kafka/records.ts'
import { type MemoryBroker, openMemoryBroker } from '../../support/memory-broker.ts'
import { CentralCluster } from '../../support/sim/central-cluster.ts'
import { SimMachine } from '../../support/sim/machine.ts'
import { SimRandom } from '../../support/sim/random.ts'

let machine: SimMachine
let central: CentralCluster
let settings: Settings
let under: MemoryBroker
let uplink: Uplink
let view: UplinkView

/** A gateway over what an earlier one of the test has left in its log. */
const start = async (): Promise<void> => {
  const { platform, clock } = machine
  view = new UplinkView()
  const offsetMap = new OffsetMapView()
  const log = under?.log
  under = await openMemoryBroker({ clock, frontViews: [view, offsetMap], ...(log === undefined ? {} : { log }) })
  const { broker, state } = under.open
  const clockQuality = () => 'synchronised' as const
  uplink = openUplink({
    ...platform,
    broker,
    state,
    view,
    offsetMap,
    settings,
    gatewayId: 'g7',
    incarnation: 'now',
    clockQuality,
  })!
  uplink.start()
}

const write = async (value: string): Promise<void> => {
  const { broker } = under.open
  const topic = broker.topics.find('t') ?? broker.topics.create({ name: 't', partitions: 1 })
  await broker.produce(topic, 0, encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from(value) }]), {
    zstd: true,
  })
}

const sent = (): number | undefined => uplink.upstreamThrough('t', 0)
/** In steps: the compression of positions is real, and takes real time. */
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await sleep(machine.clock, 10)
}
const later = async (): Promise<void> => {
  for (let left = 1_000; left > 0; left--) await sleep(machine.clock, 100)
}
const requests = (): number => [...central.served.values()].reduce((sum, count) => sum + count, 0)

beforeEach(() => {
  machine = new SimMachine(7)
  central = new CentralCluster(new SimRandom(8), 'tv2')
  central.attach(machine.clock, machine.network)
  settings = {
    ...defaultSettings,
    'uplink.bootstrap.servers': central.bootstrap,
    'uplink.compression.type': 'none',
  }
  under = undefined as unknown as MemoryBroker
})

const during = (work: () => Promise<void>) => () => machine.clock.run(work())

it(
  'a paused uplink asks the central cluster nothing, also after a restart, until it is resumed',
  during(async () => {
    await start()
    await write('a')
    await until(() => sent() === 1)
    expect([uplink.state, sent()]).toEqual(['connected', 1])
    await uplink.pause()
    const before = requests()
    await write('b')
    await later()
    expect([uplink.state, sent(), requests()]).toEqual(['paused', 1, before])
    await uplink.stop()
    await start()
    await later()
    expect([uplink.state, sent(), requests()]).toEqual(['paused', 1, before])
    await uplink.resume()
    await until(() => sent() === 2)
    expect([uplink.state, sent()]).toEqual(['connected', 2])
    await uplink.stop()
  }),
)

it(
  'a pause ends the wait for the next attempt, and so does its end',
  during(async () => {
    settings = { ...settings, 'uplink.bootstrap.servers': [{ host: 'nowhere', port: 1 }] }
    await start()
    await until(() => uplink.state === 'waiting')
    expect(uplink.retryAtMs).toBeGreaterThan(machine.clock.nowMs)
    await uplink.pause()
    await sleep(machine.clock, 0)
    expect([uplink.state, uplink.retryAtMs]).toEqual(['paused', undefined])
    await uplink.resume()
    await until(() => uplink.state === 'waiting' && uplink.retryAtMs !== undefined)
    expect(uplink.retryAtMs).toBeGreaterThan(machine.clock.nowMs)
    await uplink.stop()
  }),
)

it(
  'what is fenced stays so, whoever pauses and resumes it',
  during(async () => {
    await start()
    under.open.state.write([view.putFenced(under.open.broker.logId, 'a clone has sent')])
    await uplink.pause()
    expect([uplink.state, uplink.lastError]).toEqual(['fenced', 'a clone has sent'])
    await uplink.stop()
    await later()
    const before = requests()
    await start()
    await uplink.resume()
    await later()
    expect([uplink.state, requests()]).toEqual(['fenced', before])
    await uplink.stop()
  }),
)

it(
  'who may have transactions again has them after a while, and whose right is taken goes on at once without',
  during(async () => {
    central.withoutTransactions = errorCodes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    await start()
    await write('a')
    await until(() => sent() === 1)
    expect(uplink.delivery?.kind).toBe('read-back')
    central.withoutTransactions = 0
    await write('b')
    await until(() => sent() === 2)
    expect(uplink.delivery?.kind).toBe('read-back')
    await sleep(machine.clock, 10 * 60_000)
    await write('c')
    await until(() => uplink.delivery?.kind === 'transactions')
    expect(sent()).toBe(3)
    central.withoutTransactions = errorCodes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    central.refusal = batch => (isTransactional(batch) ? errorCodes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED : 0)
    const sinceMs = machine.clock.nowMs
    await write('d')
    await until(() => sent() === 4)
    // not as a batch that is refused, which waits 30 s
    expect(machine.clock.nowMs - sinceMs).toBeLessThan(10_000)
    await uplink.stop()
    expect(await centralValues()).toEqual(['a', 'b', 'c', 'd'])
  }),
)

const poison = 'uplink of poison'
const refusedBatch = () => uplink.lanes.find('t', 0)?.trouble?.batch
const centralValues = async (): Promise<string[]> => {
  const batches = central.topics.get('t')?.partitions[0]?.committed() ?? []
  const records = await Promise.all(batches.map(async batch => allRecords(await decompressRecords(batch, 1 << 20))))
  return records.flat().map(({ value }) => String(value))
}

it(
  'of merged batches the one that is refused is found and skipped, and nothing else',
  during(async () => {
    central.refusal = batch => (batch.includes(poison) ? errorCodes.INVALID_RECORD : 0)
    await start()
    for (const value of ['a', poison, 'b']) await write(value)
    const skip = { topic: 't', partition: 0, first: 1, last: 1 }
    expect(await uplink.skip(skip)).toContain('is not refused')
    await until(() => refusedBatch() !== undefined)
    expect([refusedBatch(), await centralValues()]).toEqual([{ first: 1, last: 1 }, ['a']])
    expect(await uplink.skip({ ...skip, last: 2 })).toContain('what is refused is 1 to 1, not 1 to 2')
    expect(await uplink.skip(skip)).toBeUndefined()
    await until(() => sent() === 3)
    await later()
    expect(await centralValues()).toEqual(['a', 'b'])
    expect([...uplink.skipped()]).toMatchObject([{ topic: 't', partition: 0, first: 1, last: 1 }])
    await uplink.stop()
  }),
)

it(
  'what was skipped is not tried again after a restart, also when nothing came behind it',
  during(async () => {
    central.refusal = batch => (batch.includes(poison) ? errorCodes.INVALID_RECORD : 0)
    await start()
    await write(poison)
    await until(() => refusedBatch() !== undefined)
    expect(await uplink.skip({ topic: 't', partition: 0, first: 0, last: 0 })).toBeUndefined()
    await uplink.stop()
    await start()
    await later()
    expect([uplink.state, sent(), refusedBatch()]).toEqual(['connected', 1, undefined])
    await write('b')
    await until(() => sent() === 2)
    await later()
    expect(await centralValues()).toEqual(['b'])
    const [audited] = (await uplink.audit()).partitions.values()
    expect(audited).toMatchObject({ unexplained: [], uplink: { sent: 1, acknowledged: 1, notSent: { skipped: 1 } } })
    await uplink.stop()
  }),
)

const largestBatch = (bytes: number) => (batch: Buffer) => (batch.length > bytes ? errorCodes.MESSAGE_TOO_LARGE : 0)

it(
  'what is too large only together goes up in parts, also out of one stored batch',
  during(async () => {
    central.refusal = largestBatch(400)
    await start()
    const values = Array.from({ length: 60 }, (_, index) => `value ${index}`)
    const { broker } = under.open
    const topic = broker.topics.create({ name: 't', partitions: 1 })
    const records = values.slice(0, 30).map(value => ({ timestampMs: 1, key: null, value: Buffer.from(value) }))
    await broker.produce(topic, 0, encodeBatch(records), { zstd: true })
    for (const value of values.slice(30)) await write(value)
    const refused: unknown[] = []
    await until(() => {
      refused.push(...[...uplink.lanes.all()].flatMap(({ trouble }) => trouble ?? []))
      return sent() === values.length
    })
    await later()
    expect(await centralValues()).toEqual(values)
    expect(refused).toEqual([])
    await uplink.stop()
  }),
)

it(
  'a record that is too large alone is found among others, and refused',
  during(async () => {
    central.refusal = largestBatch(400)
    await start()
    await write('before')
    await write('x'.repeat(1_000))
    await write('behind')
    await until(() => refusedBatch() !== undefined)
    expect([refusedBatch(), await centralValues()]).toEqual([{ first: 1, last: 1 }, ['before']])
    expect(await uplink.skip({ topic: 't', partition: 0, first: 1, last: 1 })).toBeUndefined()
    await until(() => sent() === 3)
    await later()
    expect(await centralValues()).toEqual(['before', 'behind'])
    await uplink.stop()
  }),
)

it(
  'what is skipped above a log start that nothing was sent below does not stop the gateway',
  during(async () => {
    central.refusal = batch => (batch.includes(poison) ? errorCodes.INVALID_RECORD : 0)
    await start()
    await uplink.pause()
    for (const value of ['a', 'b', poison]) await write(value)
    const { broker } = under.open
    const [id] = broker.topics.get('t').partitions
    await until(() => broker.offsets(id!).highWatermark === 3)
    await broker.deleteRecordsBefore(id!, 2)
    await uplink.resume()
    await until(() => refusedBatch() !== undefined)
    const skip = { topic: 't', partition: 0, first: 2, last: 2 }
    expect([refusedBatch(), await uplink.skip(skip)]).toEqual([{ first: 2, last: 2 }, undefined])
    await uplink.pause()
    await uplink.resume()
    await write('c')
    await until(() => sent() === 4)
    await uplink.stop()
    await start()
    await write('d')
    await until(() => sent() === 5)
    await later()
    expect(await centralValues()).toEqual(['c', 'd'])
    const [audited] = (await uplink.audit()).partitions.values()
    expect(audited).toMatchObject({ unexplained: [], uplink: { sent: 2, notSent: { skipped: 1, removed: 2 } } })
    await uplink.stop()
  }),
)

import { beforeEach, expect, it, vi } from 'vitest'
import { defaultSettings, type Settings } from '../../../src/config/settings.ts'
import { openUplink } from '../../../src/open-uplink.ts'
import { sleep } from '../../../src/platform/clock.ts'
import { OffsetMapView } from '../../../src/state/offset-map.ts'
import { UplinkView } from '../../../src/state/uplink.ts'
import type { Uplink } from '../../../src/uplink/uplink.ts'
import { encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { errorCodes } from '../../../src/wire/kafka/error-codes.ts'
import { seal } from '../../../src/wire/kafka/record-batch.ts'
import { type MemoryBroker, openMemoryBroker } from '../../support/memory-broker.ts'
import { CentralCluster } from '../../support/sim/central-cluster.ts'
import { SimMachine } from '../../support/sim/machine.ts'
import { SimRandom } from '../../support/sim/random.ts'

// the audit that reads back what stands upstream, and what it finds there

let machine: SimMachine
let central: CentralCluster
let under: MemoryBroker
let uplink: Uplink

const start = async (more: Partial<Settings> = {}): Promise<void> => {
  const { platform, clock } = machine
  const settings = {
    ...defaultSettings,
    'uplink.bootstrap.servers': central.bootstrap,
    'uplink.compression.type': 'none' as const,
    'uplink.linger.ms': 0,
    ...more,
  }
  const view = new UplinkView()
  const offsetMap = new OffsetMapView()
  under = await openMemoryBroker({ clock, frontViews: [view, offsetMap], settings })
  const { broker, state } = under.open
  broker.topics.create({ name: 't', partitions: 1 })
  const own = { gatewayId: 'g7', incarnation: 'now', clockQuality: () => 'synchronised' as const }
  uplink = openUplink({ ...platform, broker, state, view, offsetMap, settings, ...own })!
  uplink.start()
}
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await sleep(machine.clock, 1)
}
/** Each is a round of its own. */
const send = async (...values: string[]): Promise<void> => {
  const { broker } = under.open
  for (const value of values) {
    const batch = encodeBatch([{ timestampMs: 1, key: Buffer.from('key'), value: Buffer.from(value) }])
    const { nextOffset } = await broker.produce(broker.topics.get('t'), 0, batch, { zstd: true })
    await until(() => uplink.upstreamThrough('t', 0) === nextOffset)
  }
}
const audited = async () => {
  const told: [number, number][] = []
  const { error, partitions } = await uplink.deepAudit((read, inAll) => told.push([read, inAll]))
  const [found] = partitions.values()
  return { error, told, notes: found!.notes, unexplained: found!.unexplained, losses: found!.losses }
}
/** Batches of records upstream, as they stand there. */
const stored = () => central.partition('t', 0)!.committed()

const during = (work: () => Promise<void>) => () => machine.clock.run(work())

beforeEach(() => {
  machine = new SimMachine(7)
  central = new CentralCluster(new SimRandom(8), 'tv2')
  central.attach(machine.clock, machine.network)
})

const headers = ['none', 'gateway', 'full'] as const

it.each(headers)('all is there: headers %s', async kind => {
  await machine.clock.run(
    (async () => {
      await start({ 'uplink.headers': kind })
      await send('a', 'b', 'b', 'c')
      const { told, ...found } = await audited()
      expect(found).toEqual({ error: null, notes: [], unexplained: [], losses: [] })
      expect(told.at(-1)).toEqual([4, 4])
      await uplink.stop()
    })(),
  )
})

it.each(headers)(
  'a record that is not there any more is missing, and one that was changed is found: headers %s',
  async kind => {
    await machine.clock.run(
      (async () => {
        await start({ 'uplink.headers': kind })
        await send('first', 'second', 'third')
        const [, second] = stored()
        central.partition('t', 0)!.compact(batch => batch === second)
        const missing = await audited()
        expect(missing.losses).toMatchObject([
          { records: 1, text: expect.stringContaining('2 of 3 records can be read, 1 are missing') },
        ])
        expect(missing.losses[0]!.text.includes('the first is offset 1 here')).toBe(true)
        const [, third] = stored()
        third!.write('THIRD', third!.indexOf('third'))
        seal(third!)
        const { unexplained } = await audited()
        expect(unexplained.length).toBeGreaterThan(missing.unexplained.length - 1)
        if (kind === 'full')
          expect(unexplained).toContainEqual(expect.stringContaining('1 records are not as they are here'))
        await uplink.stop()
      })(),
    )
  },
)

it(
  'one that stands there twice is found, and what others write there is not taken for it',
  during(async () => {
    central.withoutTransactions = errorCodes.INVALID_REQUEST
    await start()
    await send('a', 'b')
    const foreign = encodeBatch([{ timestampMs: 1, key: null, value: Buffer.from('foreign') }])
    central.partition('t', 0)!.append(Buffer.from(foreign))
    await send('c')
    expect(await audited()).toMatchObject({ unexplained: [], losses: [] })
    const again = Buffer.from(stored()[0]!)
    again.writeBigInt64BE(0n, 0)
    again.writeBigInt64BE(-1n, 43)
    again.writeInt16BE(-1, 51)
    again.writeInt32BE(-1, 53)
    seal(again)
    central.partition('t', 0)!.append(again)
    await send('d')
    const { unexplained } = await audited()
    expect(unexplained).toEqual([expect.stringContaining('1 records stand there twice, or not in their order')])
    await uplink.stop()
  }),
)

it(
  'who is told how far it is may end it',
  during(async () => {
    await start()
    await send('a')
    const enough = new Error('enough')
    await expect(
      uplink.deepAudit(() => {
        throw enough
      }),
    ).rejects.toBe(enough)
    expect(under.memory.usedBytes).toBe(0)
    await uplink.stop()
  }),
)

/** One round of many records. */
const sendAtOnce = async (count: number): Promise<void> => {
  const { broker } = under.open
  const values = Array.from({ length: count }, (_, index) => `${index} ${'x'.repeat(90)}`)
  const batch = encodeBatch(values.map(value => ({ timestampMs: 1, key: null, value: Buffer.from(value) })))
  const { nextOffset } = await broker.produce(broker.topics.get('t'), 0, batch, { zstd: true })
  await until(() => uplink.upstreamThrough('t', 0) === nextOffset)
}

it(
  'a record that is missing is not looked for again with each that is there',
  during(async () => {
    await start({ 'uplink.headers': 'full' })
    await send('first')
    for (let round = 0; round < 8; round++) await sendAtOnce(1000)
    const [first] = stored()
    central.partition('t', 0)!.compact(batch => batch === first)
    const read = vi.spyOn(under.open.broker, 'read')
    const { losses } = await audited()
    expect(losses).toMatchObject([{ records: 1, text: expect.stringContaining('the first is offset 0 here') }])
    expect(read.mock.calls.length).toBeLessThan(100)
    await uplink.stop()
  }),
)

it(
  'devices have their turn while much is compared',
  during(async () => {
    await start({ 'uplink.headers': 'full' })
    await sendAtOnce(5000)
    const afterIo = vi.spyOn(machine.clock, 'afterIo')
    expect(await audited()).toMatchObject({ unexplained: [], losses: [] })
    expect(afterIo.mock.calls.length).toBeGreaterThanOrEqual(10)
    await uplink.stop()
  }),
)

import { beforeEach, expect, it } from 'vitest'
import { defaultSettings } from '../../../src/config/settings.ts'
import { toCentral, toLocal } from '../../../src/core/offset-syncs.ts'
import { openUplink } from '../../../src/open-uplink.ts'
import { sleep } from '../../../src/platform/clock.ts'
import { OffsetMapView } from '../../../src/state/offset-map.ts'
import { UplinkView } from '../../../src/state/uplink.ts'
import type { Uplink } from '../../../src/uplink/uplink.ts'
import { uplinkOffsets } from '../../../src/uplink/uplink-status.ts'
import { compressBatch, encodeBatch } from '../../../src/wire/kafka/batch-encoding.ts'
import { type MemoryBroker, openMemoryBroker } from '../../support/memory-broker.ts'
import { CentralCluster } from '../../support/sim/central-cluster.ts'
import { SimMachine } from '../../support/sim/machine.ts'
import { SimRandom } from '../../support/sim/random.ts'

// what rounds tell of where offsets stand upstream, and that it outlives a restart

let machine: SimMachine
let central: CentralCluster
let under: MemoryBroker | undefined
let uplink: Uplink
let offsetMap: OffsetMapView

const start = async (): Promise<void> => {
  const { platform, clock } = machine
  const view = new UplinkView()
  offsetMap = new OffsetMapView()
  const log = under?.log
  under = await openMemoryBroker({ clock, frontViews: [view, offsetMap], ...(log !== undefined && { log }) })
  const { broker, state } = under.open
  const settings = {
    ...defaultSettings,
    'uplink.bootstrap.servers': central.bootstrap,
    'uplink.compression.type': 'none' as const,
  }
  const own = { gatewayId: 'g7', incarnation: 'now', clockQuality: () => 'synchronised' as const }
  uplink = openUplink({ ...platform, broker, state, view, offsetMap, settings, ...own })!
  uplink.start()
}

/** One round of so many records. */
const round = async (count: number): Promise<void> => {
  const { broker } = under!.open
  const topic = broker.topics.find('t') ?? broker.topics.create({ name: 't', partitions: 1 })
  const records = Array.from({ length: count }, () => ({ timestampMs: 1, key: null, value: Buffer.from('a') }))
  const { nextOffset } = await broker.produce(topic, 0, encodeBatch(records), { zstd: true })
  while (uplink.upstreamThrough('t', 0) !== nextOffset) await sleep(machine.clock, 10)
}

it('a round that had to leave offsets out is not one to one', () =>
  machine.clock.run(
    (async () => {
      await start()
      await round(2)
      await uplink.pause()
      const { broker } = under!.open
      const topic = broker.topics.get('t')
      const record = { timestampMs: 1, key: null, value: Buffer.from('a') }
      for (let count = 0; count < 3; count++) await broker.produce(topic, 0, encodeBatch([record]), { zstd: true })
      await broker.whenDurable(broker.openGroup)
      await broker.deleteRecordsBefore(topic.partitions[0]!, 4)
      await uplink.resume()
      while (uplink.upstreamThrough('t', 0) !== 5) await sleep(machine.clock, 10)
      const map = mapNow()
      const [before, last] = map.syncs
      expect([before!.next, last!.next, last!.run]).toEqual([2, 5, null])
      const [from, end] = [before!.central[0], last!.central[0]]
      // of what is gone nothing is there, and the next is not passed over
      expect([2, 3, 4, 5].map(local => toCentral(map, local).get(0)!.offset)).toEqual([from, from, from, end])
      await uplink.stop()
    })(),
  ))

const mapNow = () => uplinkOffsets(uplink, 't')![0]!

beforeEach(async () => {
  // the codec is loaded at its first use, and no virtual clock waits for that
  await compressBatch(encodeBatch([{ timestampMs: 1, key: null, value: null }]), 'zstd')
  machine = new SimMachine(7)
  central = new CentralCluster(new SimRandom(8), 'tv2')
  central.attach(machine.clock, machine.network)
  under = undefined
})

it('every offset of the rounds is exact there and back, also after a restart, until the topic goes', () =>
  machine.clock.run(
    (async () => {
      await start()
      for (const count of [3, 4, 5]) await round(count)
      const map = mapNow()
      // a marker stands behind each round
      expect(map.syncs).toEqual([
        { next: 3, central: { 0: 3 }, run: { partition: 0, count: 3 } },
        { next: 7, central: { 0: 8 }, run: { partition: 0, count: 4 } },
        { next: 12, central: { 0: 14 }, run: { partition: 0, count: 5 } },
      ])
      expect(map).toMatchObject({ topic: 't', partition: 0, target: 't', first: { 0: 0 } })
      expect(toCentral(map, 5).get(0)).toEqual({ offset: 6, atMost: 6 })
      expect(toLocal(map, { 0: 6 })).toEqual({ offset: 5, atMost: 5 })
      await uplink.stop()
      await start()
      expect(mapNow()).toEqual(map)
      await round(1)
      expect(mapNow().syncs.at(-1)).toEqual({ next: 13, central: { 0: 16 }, run: { partition: 0, count: 1 } })
      expect(uplinkOffsets(uplink, 'unknown')).toBeUndefined()
      under!.open.broker.topics.delete('t')
      expect([...offsetMap.entries()]).toEqual([])
      await round(2)
      expect(mapNow()).toMatchObject({ syncs: [{ next: 2 }] })
      await uplink.stop()
    })(),
  ))

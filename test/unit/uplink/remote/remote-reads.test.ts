import { describe, expect, it } from 'vitest'
import type { RemoteRead } from '../../../../src/broker/remote-log.ts'
import { defaultSettings, type Settings } from '../../../../src/config/settings.ts'
import { openRemoteReads, openUplink } from '../../../../src/open-uplink.ts'
import { sleep } from '../../../../src/platform/clock.ts'
import { OffsetMapView } from '../../../../src/state/offset-map.ts'
import type { Topic } from '../../../../src/state/topics.ts'
import { UplinkView } from '../../../../src/state/uplink.ts'
import { originHeaders, originOf } from '../../../../src/uplink/origin-headers.ts'
import type { RemoteReads } from '../../../../src/uplink/remote/remote-reads.ts'
import type { Uplink } from '../../../../src/uplink/uplink.ts'
import { BatchBuilder } from '../../../../src/wire/kafka/batch-builder.ts'
import { encodeBatch, encodeHeaders, type NewRecord } from '../../../../src/wire/kafka/batch-encoding.ts'
import { allRecords, decompressRecords, type LogRecord } from '../../../../src/wire/kafka/records.ts'
import { type MemoryBroker, openMemoryBroker } from '../../../support/memory-broker.ts'
import { CentralCluster } from '../../../support/sim/central-cluster.ts'
import { SimMachine } from '../../../support/sim/machine.ts'
import { SimRandom } from '../../../support/sim/random.ts'

/** A gateway whose topic `t` goes up to a simulated cluster, with what it published as the model. */
class Stage {
  readonly random: SimRandom
  readonly machine: SimMachine
  readonly central: CentralCluster
  readonly published: Required<NewRecord>[][] = []
  under!: MemoryBroker
  uplink!: Uplink
  remote!: RemoteReads
  topic!: Topic

  constructor(seed: number) {
    this.random = new SimRandom(seed)
    this.machine = new SimMachine(seed)
    this.central = new CentralCluster(new SimRandom(seed + 1), 'tv2')
    this.central.attach(this.machine.clock, this.machine.network)
  }

  async start(settings: Partial<Settings> = {}, partitions = 1, memoryBytes = 64 << 20): Promise<void> {
    const [view, offsetMap] = [new UplinkView(), new OffsetMapView()]
    const { clock } = this.machine
    this.under = await openMemoryBroker({ clock, frontViews: [view, offsetMap], memoryBytes })
    const { broker, state } = this.under.open
    const parts = {
      ...{ settings: { ...defaultSettings, 'uplink.bootstrap.servers': this.central.bootstrap, ...settings } },
      ...{ gatewayId: 'g7', incarnation: 'now', clockQuality: () => 'unknown' as const },
    }
    const full = { ...parts.settings, 'uplink.headers': 'full', 'remote.read': true, ...settings } as const
    const all = { ...parts, ...this.machine.platform, settings: full, broker, state, view, offsetMap }
    this.uplink = openUplink(all)!
    this.remote = openRemoteReads({ ...this.machine.platform, broker, state, view, settings: full }, this.uplink)!
    this.topic = broker.topics.find('t') ?? broker.topics.create({ name: 't', partitions, configs: new Map() })
    for (let index = 0; index < partitions; index++) this.published[index] ??= []
    this.uplink.start()
  }

  get end(): number {
    return this.published[0]!.length
  }

  async publish(count: number, index = 0): Promise<void> {
    const { broker } = this.under.open
    const all = this.published[index]!
    const records = Array.from({ length: count }, (_, at) => ({
      timestampMs: 1_700_000_000_000 + all.length + at,
      key: this.random.chance(0.2) ? null : Buffer.from(`device-${this.random.below(5)}`),
      value: this.random.chance(0.1)
        ? null
        : Buffer.from(`${index}/${all.length + at} ${'x'.repeat(this.random.below(300))}`),
      headers: this.random.chance(0.3)
        ? [
            { key: 'site', value: Buffer.from('a') },
            { key: 'gateway.offset', value: Buffer.from(`${this.random.below(50)}`) },
          ]
        : [],
    }))
    all.push(...records)
    await broker.produce(this.topic, index, encodeBatch(records), { zstd: true })
  }

  /** What has left the log. */
  evict(offset: number, index = 0): void {
    this.under.log.advanceLogStart(this.topic.partitions[index]!, offset)
  }

  logStart(index = 0): number {
    return this.under.open.broker.offsets(this.topic.partitions[index]!).logStart
  }

  async sent(index = 0): Promise<void> {
    const { lanes } = this.uplink
    const { broker } = this.under.open
    await this.until(() => broker.offsets(this.topic.partitions[index]!).highWatermark >= this.published[index]!.length)
    await this.until(() => lanes.lag(lanes.find('t', index)!) === 0)
  }

  async until(isSo: () => boolean): Promise<void> {
    for (let left = 100_000; !isSo(); left--) {
      if (left === 0) throw new Error('it does not come to pass')
      await sleep(this.machine.clock, 10)
    }
  }

  /** What a consumer gets that begins at the offset; `gone`: there is none. */
  async consume(from: number, index = 0): Promise<readonly LogRecord[] | 'gone'> {
    const { broker } = this.under.open
    const id = this.topic.partitions[index]!
    const found: LogRecord[] = []
    let next = from
    while (next < broker.offsets(id).highWatermark) {
      let batches: readonly Buffer[]
      if (next >= this.logStart(index)) batches = (await broker.read(id, next, 1)).batches
      else {
        const read = this.remote.read(this.topic, index, next, this.random.pick([1, 1000, 1 << 20]))
        if (read.kind === 'gone') return 'gone'
        if (read.kind === 'awaited') {
          await broker.waitForAdvance([id], 500).advanced
          continue
        }
        ;({ batches } = read)
      }
      for (const batch of batches) {
        const records = allRecords(await decompressRecords(batch, 1 << 24))
        found.push(...records.filter(({ offset }) => offset >= next))
        next = Math.max(next, batch.readInt32BE(4) + batch.readInt32BE(23) + 1)
      }
    }
    return found
  }

  /** Offsets that stand upstream by name, as another reader sees it. */
  async upstream(index = 0): Promise<number[]> {
    const offsets: number[] = []
    for (const batch of this.central.partition('t', index)!.committed())
      for (const { headers } of allRecords(await decompressRecords(batch, 1 << 24))) {
        const origin = originOf(headers)
        if (origin?.logId === this.under.log.logId && origin.partition === index) offsets.push(origin.offset)
      }
    return offsets
  }

  /** Somebody else writes into the target: plain records, and those of another log. */
  disturb(index = 0): void {
    const partition = this.central.partition('t', index)
    if (partition === undefined) return
    const add = originHeaders({
      ...{
        gateway: 'other',
        logId: 'f'.repeat(32),
        incarnation: 'x',
        topic: 't',
        topicId: this.topic.id,
        partition: index,
      },
    })
    const builder = new BatchBuilder()
    for (let left = 1 + this.random.below(3); left > 0; left--) {
      const headers = encodeHeaders([])
      builder.append(5, null, Buffer.from('foreign'), 0, 7, this.random.chance(0.5) ? add(headers, left) : headers)
    }
    partition.append(Buffer.from(builder.finish(0, -1)))
  }

  expected(offsets: Iterable<number>, index = 0): object[] {
    return [...offsets].map(offset => ({ offset, ...this.published[index]![offset] }))
  }

  async end_(): Promise<void> {
    this.remote.stop()
    await this.uplink.stop()
  }
}

const on = (seed: number, work: (stage: Stage) => Promise<void>) => () => {
  const stage = new Stage(seed)
  return stage.machine.clock.run(work(stage).then(() => stage.end_()))
}
const from = (first: number, end: number): number[] => Array.from({ length: end - first }, (_, at) => first + at)
const start = (stage: Stage, index = 0) => stage.remote.totalStart(stage.topic, index, 60_000)

describe('records that have left the log are read from the central cluster', () => {
  it(
    'all of them, as they were published',
    on(1, async stage => {
      await stage.start()
      for (let round = 0; round < 20; round++) await stage.publish(10)
      await stage.sent()
      stage.evict(190)
      expect(await start(stage)).toBe(0)
      expect(await stage.consume(0)).toEqual(stage.expected(from(0, 200)))
      expect(await stage.consume(57)).toEqual(stage.expected(from(57, 200)))
    }),
  )

  it.each(from(10, 22))('whatever others write, links do and evictions take before it was sent (seed %i)', seed => {
    const stage = new Stage(seed)
    const { random, central, machine } = stage
    const work = async (): Promise<void> => {
      const partitions = 1 + random.below(3)
      await stage.start({ 'uplink.linger.ms': 0, 'uplink.batch.size': 2048 }, partitions, random.pick([8, 64]) << 20)
      let isBad = false
      central.fate = () =>
        isBad && random.chance(0.03) ? random.pick(['lost', 'cut', 'cutAfter', 'unheard'] as const) : 'served'
      for (let step = 0; step < 40; step++) {
        const index = random.below(partitions)
        isBad = random.chance(0.3)
        await stage.publish(1 + random.below(20), index)
        if (random.chance(0.5)) stage.disturb(index)
        if (random.chance(0.6)) await sleep(machine.clock, random.below(3000))
        const id = stage.topic.partitions[index]!
        const { logStart, highWatermark } = stage.under.open.broker.offsets(id)
        if (random.chance(0.2)) stage.evict(logStart + random.below(highWatermark - logStart + 1), index)
      }
      isBad = random.chance(0.3)
      for (let index = 0; index < partitions; index++) {
        await stage.sent(index)
        const begin = await start(stage, index)
        const first = begin ?? (await start(stage, index))!
        const got = await stage.consume(first, index)
        // a transaction may have ended only just now
        const upstream = await stage.upstream(index)
        const local = from(stage.logStart(index), stage.published[index]!.length)
        const there = [...new Set([...upstream, ...local])].sort((one, other) => one - other)
        expect(first).toBeLessThanOrEqual(Math.min(...there))
        expect(got === 'gone' ? got : got.map(({ offset }) => offset)).toEqual(there)
        expect(got).toEqual(stage.expected(there, index))
        const some = random.below(stage.published[index]!.length)
        expect(await stage.consume(some, index)).toEqual(
          stage.expected(
            there.filter(offset => offset >= some),
            index,
          ),
        )
      }
      await stage.end_()
    }
    return machine.clock.run(work())
  })

  it(
    'from the first that is left there, and none before it',
    on(2, async stage => {
      await stage.start({ 'uplink.linger.ms': 0 })
      for (let round = 0; round < 20; round++) {
        await stage.publish(10)
        await stage.sent()
      }
      stage.evict(200)
      const partition = stage.central.partition('t', 0)!
      expect(await stage.consume(100)).toEqual(stage.expected(from(100, 200)))
      partition.evict(Math.floor(partition.end / 2))
      const [first] = await stage.upstream()
      await sleep(stage.machine.clock, 20_000)
      expect(first).toBeGreaterThan(50)
      expect(await start(stage)).toBe(first)
      expect(await stage.consume(first!)).toEqual(stage.expected(from(first!, 200)))
      expect(await stage.consume(first! - 1)).toBe('gone')
      partition.evict(partition.end)
      await sleep(stage.machine.clock, 20_000)
      expect(await start(stage)).toBe(200)
    }),
  )

  it(
    'a consumer that was overtaken by deletion there hears of it',
    on(3, async stage => {
      await stage.start({ 'uplink.linger.ms': 0 })
      for (let round = 0; round < 10; round++) {
        await stage.publish(10)
        await stage.sent()
      }
      stage.evict(100)
      const partition = stage.central.partition('t', 0)!
      partition.evict(partition.end - 20)
      const [first] = await stage.upstream()
      expect(await stage.consume(5)).toBe('gone')
      expect(await start(stage)).toBe(first)
    }),
  )

  it(
    'while the link is cut they are waited for, and nobody is sent elsewhere',
    on(4, async stage => {
      await stage.start()
      await stage.publish(50)
      await stage.sent()
      stage.evict(50)
      let isCut = true
      stage.central.fate = () => (isCut ? 'cut' : 'served')
      for (let attempt = 0; attempt < 20; attempt++) {
        expect(stage.remote.read(stage.topic, 0, 7, 1000)).toEqual({ kind: 'awaited' })
        await sleep(stage.machine.clock, 1000)
      }
      expect(await stage.remote.totalStart(stage.topic, 0, 3000)).toBeUndefined()
      const { problem } = stage.remote.status(stage.uplink.lanes.find('t', 0)!)
      expect(problem).toContain('connection to central')
      isCut = false
      expect(await stage.consume(7)).toEqual(stage.expected(from(7, 50)))
      expect(stage.remote.status(stage.uplink.lanes.find('t', 0)!)).toEqual({ start: 0, problem: null })
    }),
  )

  it(
    'a round of which nobody heard the end is no hole',
    on(9, async stage => {
      await stage.start()
      await stage.publish(50)
      await stage.sent()
      let isCut = false
      stage.central.fate = api => {
        if (isCut) return 'cut'
        isCut = api === 'EndTxn'
        return isCut ? 'cutAfter' : 'served'
      }
      await stage.publish(20)
      await stage.until(() => isCut)
      stage.evict(70)
      await stage.until(() => stage.uplink.state === 'waiting')
      expect(stage.uplink.upstreamThrough('t', 0)).toBe(50)
      expect(stage.remote.read(stage.topic, 0, 55, 1000)).toEqual({ kind: 'awaited' })
      await stage.uplink.pause()
      expect(stage.remote.read(stage.topic, 0, 55, 1000)).toEqual({ kind: 'awaited' })
      await stage.uplink.resume()
      stage.central.fate = () => 'served'
      expect(await stage.consume(45)).toEqual(stage.expected(from(45, 70)))
    }),
  )

  it(
    'what leaves the log on its way up is no hole',
    on(10, async stage => {
      await stage.start()
      await stage.publish(50)
      await stage.sent()
      let read: RemoteRead | undefined
      stage.central.fate = api => {
        if (api === 'EndTxn' && read === undefined) {
          stage.evict(70)
          expect([stage.uplink.state, stage.uplink.upstreamThrough('t', 0)]).toEqual(['connected', 50])
          read = stage.remote.read(stage.topic, 0, 55, 1000)
        }
        return 'served'
      }
      await stage.publish(20)
      await stage.sent()
      expect(read).toEqual({ kind: 'awaited' })
      expect(await stage.consume(45)).toEqual(stage.expected(from(45, 70)))
      await stage.uplink.pause()
      await stage.publish(10)
      await stage.until(() => stage.under.open.broker.offsets(stage.topic.partitions[0]!).highWatermark === 80)
      stage.evict(80)
      expect(stage.remote.read(stage.topic, 0, 75, 1000)).toMatchObject({ kind: 'batches' })
    }),
  )

  it(
    'what was deleted here does not come back',
    on(8, async stage => {
      await stage.start()
      await stage.publish(50)
      await stage.sent()
      await stage.remote.deleteBefore(stage.topic, 0, 20)
      stage.evict(40)
      await stage.remote.deleteBefore(stage.topic, 0, 10)
      expect(await start(stage)).toBe(20)
      expect(await stage.consume(19)).toBe('gone')
      expect(await stage.consume(20)).toEqual(stage.expected(from(20, 50)))
    }),
  )

  it(
    'only what went up with its name',
    on(5, async stage => {
      await stage.start({ 'uplink.headers': 'gateway' })
      await stage.publish(30)
      await stage.sent()
      stage.evict(30)
      expect(await start(stage)).toBe(30)
      expect(await stage.consume(3)).toBe('gone')
      const { problem } = stage.remote.status(stage.uplink.lanes.find('t', 0)!)
      expect(problem).toContain('uplink.headers=full')
    }),
  )

  it(
    'not where they stand in several partitions',
    on(6, async stage => {
      stage.central.createTopic('t', 3)
      await stage.start()
      for (let round = 0; round < 5; round++) await stage.publish(20)
      await stage.sent()
      stage.evict(90)
      expect(await start(stage)).toBe(90)
      const { start: first, problem } = stage.remote.status(stage.uplink.lanes.find('t', 0)!)
      expect([first, problem]).toEqual([90, expect.stringMatching(/^its records stand in [23] partitions of t$/)])
    }),
  )

  it(
    'many readers share a bounded memory, which is given back when they have gone',
    on(7, async stage => {
      await stage.start({}, 6, 8 << 20)
      const before = stage.under.memory.usedBytes
      for (let index = 0; index < 6; index++) for (let round = 0; round < 40; round++) await stage.publish(20, index)
      for (let index = 0; index < 6; index++) {
        await stage.sent(index)
        stage.evict(800, index)
      }
      let mostBytes = 0
      const watch = async (): Promise<void> => {
        for (let left = 500; left > 0; left--) {
          mostBytes = Math.max(mostBytes, stage.under.memory.usedBytes)
          await sleep(stage.machine.clock, 20)
        }
      }
      const watching = watch()
      const consumers = Array.from({ length: 12 }, (_, at) => stage.consume(at * 10, at % 6))
      for (const [at, records] of (await Promise.all(consumers)).entries())
        expect(records).toEqual(stage.expected(from(at * 10, 800), at % 6))
      await watching
      expect(mostBytes).toBeLessThan(3 << 20)
      await sleep(stage.machine.clock, 60_000)
      expect(stage.under.memory.usedBytes).toBe(before)
    }),
  )
})

import { expect, it } from 'vitest'
import { type OpenBroker, openBroker } from '../../src/broker/open-broker.ts'
import { defaultSettings, settingKeys } from '../../src/config/settings.ts'
import { BrokerError } from '../../src/core/errors.ts'
import { MemoryBudget } from '../../src/core/memory-budget.ts'
import { Metrics } from '../../src/core/metrics.ts'
import { sleep } from '../../src/platform/clock.ts'
import type { Log } from '../../src/storage/log.ts'
import { openCommitLog } from '../../src/storage/open-commit-log.ts'
import { encodeBatch } from '../../src/wire/kafka/batch-encoding.ts'
import { allRecords, openRecords } from '../../src/wire/kafka/records.ts'
import { tinyLog } from '../support/sim/log-run.ts'
import { SimMachine } from '../support/sim/machine.ts'
import { SimRandom } from '../support/sim/random.ts'
import { seedsOf } from './seeds.ts'

const KiB = 1024
const partitions = 2
const inFlight = 5
const retriable = ['memoryFull', 'spaceAwaited', 'storageFull', 'storageFailed', 'shuttingDown']

interface Sent {
  readonly sequence: number
  readonly count: number
  offset: number | undefined
}

/** One partition of an idempotent client: everything it sent, in order; what is not acked is the end of it. */
interface Stream {
  readonly producerId: number
  readonly partition: number
  readonly sent: Sent[]
  acked: number
}

/** Clients that repeat what was not acked, over a gateway that crashes under them. */
class IdempotenceRun {
  readonly machine: SimMachine
  readonly random: SimRandom
  readonly streams: Stream[] = []
  readonly ids = new Set<number>()
  #open!: OpenBroker
  log!: Log

  constructor(seed: number) {
    this.machine = new SimMachine(seed)
    this.random = new SimRandom(seed + 1)
  }

  async start(): Promise<void> {
    const { platform } = this.machine
    await platform.files.makeDirectory('/data')
    const store = await platform.openCheckpointStore('/data/views', 1024 * KiB)
    const metrics = new Metrics()
    const memory = new MemoryBudget(64 * 1024 * KiB)
    const sizes = { budgetBytes: 64 * 64 * KiB, slotBytes: 64 * KiB }
    this.log = await openCommitLog({ ...platform, checkpoints: store }, tinyLog({ ...sizes, memory, metrics }))
    const settings = { ...defaultSettings, 'num.partitions': partitions }
    const loaded = { settings, origins: new Map(settingKeys.map(key => [key, 'default' as const])) }
    this.#open = await openBroker({ platform, loaded, log: this.log, store, memory, metrics, frontViews: [] })
    this.#open.broker.topics.ensure('t')
    await this.#open.broker.topics.durable()
    // what no answer came to is sent again, in order; so is some of what was answered
    for (const stream of this.streams) {
      const from = Math.max(0, stream.sent.length - inFlight, stream.acked - this.random.below(3))
      for (const batch of stream.sent.slice(Math.min(from, stream.acked))) await this.#store(stream, batch)
    }
  }

  async steps(count: number): Promise<void> {
    for (let step = 0; step < count; step++) {
      const choice = this.random.below(100)
      if (choice < 3 || this.streams.length === 0) await this.#newProducer()
      else if (choice < 80) await this.#send(this.random.pick(this.streams))
      else if (choice < 90) await this.#repeat(this.random.pick(this.streams))
      else await sleep(this.machine.clock, this.random.pick([0, 1, 30]))
    }
  }

  /** Everything that was acked is where the answer said, each batch once, in order. */
  async check(): Promise<void> {
    const { broker } = this.#open
    const topic = broker.topics.get('t')
    for (const stream of this.streams) {
      const id = topic.partitions[stream.partition]!
      const found: { sequence: number; offset: number }[] = []
      const { logStart, highWatermark } = broker.offsets(id)
      for (let offset = logStart; offset < highWatermark; ) {
        const { batches, nextOffset } = await broker.read(id, offset, 64 * KiB)
        for (const record of batches.flatMap(batch => allRecords(openRecords(batch)))) {
          const [producerId, sequence] = record.value!.toString().split(':').map(Number)
          if (producerId === stream.producerId) found.push({ sequence: sequence!, offset: record.offset })
        }
        offset = nextOffset
      }
      expect(found.map(({ sequence }) => sequence)).toEqual(found.map((_, index) => index))
      for (const { sequence, offset } of stream.sent.slice(0, stream.acked)) {
        expect(found[sequence]).toEqual({ sequence, offset })
      }
    }
  }

  async close(): Promise<void> {
    await this.#open.state.checkpointAll()
    await this.log.close()
  }

  async #newProducer(): Promise<void> {
    const producerId = await this.#open.broker.newProducerId()
    expect(this.ids).not.toContain(producerId)
    this.ids.add(producerId)
    this.streams.push({ producerId, partition: this.random.below(partitions), sent: [], acked: 0 })
  }

  async #send(stream: Stream): Promise<void> {
    if (stream.sent.length - stream.acked >= inFlight) return sleep(this.machine.clock, 1)
    const last = stream.sent.at(-1)
    const batch: Sent = {
      sequence: last === undefined ? 0 : last.sequence + last.count,
      count: this.random.between(1, 4),
      offset: undefined,
    }
    stream.sent.push(batch)
    await this.#store(stream, batch)
  }

  /** A client whose request timed out sends it again, and all that came after it. */
  async #repeat(stream: Stream): Promise<void> {
    const from = Math.max(0, stream.sent.length - 1 - this.random.below(inFlight))
    for (const batch of stream.sent.slice(from)) await this.#store(stream, batch)
  }

  async #store(stream: Stream, batch: Sent): Promise<void> {
    const { broker } = this.#open
    const { producerId, partition } = stream
    const value = (index: number): Buffer =>
      Buffer.from(`${producerId}:${batch.sequence + index}:${'x'.repeat(this.random.below(500))}`)
    const records = Array.from({ length: batch.count }, (_, index) => ({
      timestampMs: this.machine.clock.wallMs(),
      key: null,
      value: value(index),
    }))
    const producer = { producerId, producerEpoch: 0, baseSequence: batch.sequence }
    for (;;) {
      try {
        const bytes = encodeBatch(records, { producer })
        const { baseOffset, group } = await broker.produce(broker.topics.get('t'), partition, bytes, { zstd: true })
        batch.offset ??= baseOffset
        const { log } = this
        const acked = (): void => {
          if (log !== this.log) return
          expect(baseOffset).toBe(stream.acked > stream.sent.indexOf(batch) ? batch.offset : baseOffset)
          batch.offset = baseOffset
          stream.acked = Math.max(stream.acked, stream.sent.indexOf(batch) + 1)
        }
        if (group === undefined) acked()
        else broker.whenDurable(group).then(acked, () => undefined)
        return
      } catch (error) {
        if (!(error instanceof BrokerError) || !retriable.includes(error.kind)) throw error
        await sleep(this.machine.clock, 20)
      }
    }
  }
}

it.each(seedsOf(6))('idempotent producers lose and double nothing over crashes: seed %i', async seed => {
  const run = new IdempotenceRun(seed)
  const { machine, random } = run
  for (let life = 0; life < 8; life++) {
    await machine.clock.run(run.start())
    const work = run.steps(400)
    const crashMs = random.below(4) === 0 ? 3_600_000 : random.below(1500)
    await machine.clock.run(Promise.race([work, sleep(machine.clock, crashMs)]))
    if (random.chance(0.2)) await machine.clock.run(work.then(() => run.close()))
    machine.crash(random.pick(['power', 'kill'] as const))
    if (random.chance(0.1)) machine.dropCheckpoints()
  }
  await machine.clock.run(run.start().then(() => run.log.whenDurable(run.log.openGroup)))
  await machine.clock.run(run.check())
  expect(run.streams.reduce((sum, { acked }) => sum + acked, 0)).toBeGreaterThan(200)
})

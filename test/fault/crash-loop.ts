import { expect } from 'vitest'
import { Gateway, type GatewayOptions } from '../support/gateway.ts'
import { SimRandom } from '../support/sim/random.ts'
import { Load } from './load.ts'
import { checkPromises } from './promises.ts'

export interface CrashLoop {
  readonly seed: number
  readonly cycles: number
  readonly gateway?: GatewayOptions
  /** Whether the log is full, so that data is evicted, cleaned and compacted all the time; else it keeps everything. */
  readonly isFull: boolean
  /** Ends the process, in whatever way; its data directory can be used again afterwards. */
  readonly crash: (gateway: Gateway, seed: number) => Promise<unknown>
}

/** What went on while it crashed. */
export interface CrashLoopReport {
  acknowledged: number
  evictedRecords: number
  cleanings: number
  compactedRecords: number
}

/** 64 MiB are the least that a gateway takes: some 45 MiB of log. */
const fullSettings = { 'disk.budget': '64MiB', 'num.partitions': '1' }

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/**
 * Clients publish, read and commit while the gateway crashes again and again; in the end whatever it promised is compared with what it
 * has. Rejects with the promise that it broke, and with the seed.
 */
export const surviveCrashes = async (loop: CrashLoop): Promise<CrashLoopReport> => {
  const settings = {
    ...(loop.isFull && fullSettings),
    ...loop.gateway?.settings,
  }
  // clients come back to where they were
  const gateway = await Gateway.start({ ...loop.gateway, settings, keepsAddresses: true })
  let load: Load | undefined
  try {
    load = await Load.start(gateway.addresses, loop.isFull)
    return await crashUnderLoad(gateway, load, loop)
  } catch (error) {
    load?.abandon()
    const life = `SEED=${loop.seed}, ${loop.cycles} cycles; the last process wrote:\n${gateway.stderr.slice(-4000)}`
    throw new Error(`${(error as Error).message}\n${life}`, { cause: error })
  } finally {
    await gateway.dispose()
  }
}

const crashUnderLoad = async (gateway: Gateway, load: Load, { seed, cycles, crash }: CrashLoop) => {
  const random = new SimRandom(seed)
  const { addresses } = gateway
  const report: CrashLoopReport = { acknowledged: 0, evictedRecords: 0, cleanings: 0, compactedRecords: 0 }
  for (let cycle = 1; cycle <= cycles; cycle++) {
    await pause(random.between(50, 1500))
    await addCounters(report, gateway)
    await crash(gateway, random.below(2 ** 32))
    const committed = new Map(load.group.committed)
    await gateway.restart()
    for (const [partition, offset] of await load.group.fetch()) {
      const what = `cycle ${cycle}: the committed offset of partition ${partition} does not go back`
      expect(offset >= (committed.get(partition) ?? -1n), what).toBe(true)
    }
  }
  await load.finish()
  await untilQuiet(gateway)
  await addCounters(report, gateway)
  await checkPromises(load, addresses)
  for (const { name, acked } of load.promised) expect(acked, `${name}: there was load`).toBeGreaterThan(cycles)
  expect(load.group.committed.size, 'offsets were committed').toBeGreaterThan(0)
  report.acknowledged = load.promised.reduce((sum, { acked }) => sum + acked, 0)
  return report
}

/** Counters of the storage engine, in this process of the gateway. */
const countersOf = async (gateway: Gateway): Promise<Omit<CrashLoopReport, 'acknowledged'>> => ({
  evictedRecords: await gateway.metric('storage_evicted_records_total'),
  cleanings: await gateway.metric('storage_cleanings_total'),
  compactedRecords: await gateway.metric('storage_compacted_records_total'),
})

const addCounters = async (report: CrashLoopReport, gateway: Gateway): Promise<void> => {
  const { evictedRecords, cleanings, compactedRecords } = await countersOf(gateway)
  report.evictedRecords += evictedRecords
  report.cleanings += cleanings
  report.compactedRecords += compactedRecords
}

/** The room that the last appends have asked for is made: nothing goes any more while the log is read. */
const untilQuiet = async (gateway: Gateway): Promise<void> => {
  let before = ''
  for (let now = JSON.stringify(await countersOf(gateway)); now !== before; ) {
    before = now
    await pause(1000)
    now = JSON.stringify(await countersOf(gateway))
  }
}

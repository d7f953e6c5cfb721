// What cleaning costs appends, on the storage engine alone. `without`: every segment dies as a whole, nothing is copied. `while cleaning`: half of
// each segment stays while the other half goes at once, so that the cleaner copies half a byte for each one appended, all the time. `static`: half
// of the log was written between the rest once and stays for ever, the rest goes round.
// Short: --runs=1 --seconds=4 --slots=48. Options: --slot=4 --slots=64 --seconds=20 --runs=3 --batch=16 --in-flight=4 --directory=/path (MiB, slots, seconds a phase, KiB an append)
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { enginePlatform, loadEngine } from './support/engine.mjs'
import { median, table } from './support/machine.mjs'

const MiB = 1024 * 1024
const [short, long, fixed] = [32, 33, 34]
/** Never looked at, never evicted. */
const kept = {
  minDirtyRatio: 1,
  minDirtyBytes: 0,
  minLagMs: 0,
  maxLagMs: Number.POSITIVE_INFINITY,
  deleteRetentionMs: 0,
  alsoDeletes: false,
  limitOffset: () => 0,
}

const openLog = async (engine, directory, { slot, slots }) => {
  const metrics = new engine.Metrics()
  const platform = enginePlatform(engine)
  const memory = new engine.MemoryBudget(256 * MiB)
  const retention = { ms: -1, bytes: -1 }
  const sizes = {
    budgetBytes: slot * slots * MiB,
    slotBytes: slot * MiB,
    commitMaxBytes: MiB / 2,
    maxMessageBytes: MiB,
  }
  const log = await engine.openCommitLog(platform, {
    directory,
    ...sizes,
    reserve: true,
    align: 'auto',
    retention,
    memory,
    metrics,
  })
  for (const partition of [short, long, fixed]) log.openPartition(partition)
  const rest = { ms: -1, class: 'normal', readThrough: () => Number.MAX_SAFE_INTEGER }
  log.setRetention(short, { ...rest, bytes: 2 * slot * MiB })
  log.setRetention(long, { ...rest, bytes: (slot * slots * MiB) / 2 })
  log.setCompaction(fixed, kept)
  return { log, metrics }
}

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/** Appends batches to the partitions in turn, some in flight; ack times in ms, waits for room included. */
const load = async (log, batch, partitions, inFlight, isDone) => {
  const acks = []
  let next = 0
  let bytes = 0
  const appendOne = async () => {
    const startedMs = performance.now()
    const partition = partitions[next++ % partitions.length]
    for (;;) {
      try {
        await log.whenDurable(log.append([{ partition, batch }]).group)
        break
      } catch (error) {
        if (!['spaceAwaited', 'storageFull', 'memoryFull'].includes(error.kind)) throw error
        await sleep(1)
      }
    }
    acks.push(performance.now() - startedMs)
    bytes += batch.length
  }
  const startedMs = performance.now()
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (!isDone(bytes)) await appendOne()
    }),
  )
  const seconds = (performance.now() - startedMs) / 1000
  acks.sort((one, other) => one - other)
  return {
    bytes,
    MiBPerSecond: bytes / MiB / seconds,
    p50Ms: acks[acks.length >> 1],
    p99Ms: acks[Math.floor(acks.length * 0.99)],
  }
}

const counted = metrics => ({
  log: metrics.count('storageGroupBytes'),
  cleaning: metrics.count('storageCleaningBytes'),
  runs: metrics.count('storageCleanings'),
  victims: metrics.count('storageCleanedSegments'),
})

const during = async (metrics, work) => {
  const before = counted(metrics)
  const figures = await work()
  const after = counted(metrics)
  const logBytes = after.log - before.log
  const cleaningBytes = after.cleaning - before.cleaning
  const cleaned = { runs: after.runs - before.runs, victims: after.victims - before.victims }
  return { ...figures, logBytes, cleaningBytes, ...cleaned, amplification: (logBytes + cleaningBytes) / logBytes }
}

const runOnce = async (engine, options) => {
  const { slot, slots, seconds, inFlight } = options
  const directory = await mkdtemp(join(options.directory, 'brooklet-cleaning-'))
  const batch = engine.encodeBatch(
    Array.from({ length: options.batch }, (_, index) => ({
      timestampMs: index,
      key: Buffer.from(`${index}`),
      value: Buffer.alloc(1000, 120),
    })),
  )
  const { log, metrics } = await openLog(engine, directory, { slot, slots })
  try {
    const lapBytes = slot * slots * MiB
    const forTime = () => {
      const endMs = performance.now() + seconds * 1000
      return () => performance.now() > endMs
    }
    // fresh slots are slower: once round first
    await load(log, batch, [short], inFlight, bytes => bytes > 1.2 * lapBytes)
    const without = await during(metrics, () => load(log, batch, [short], inFlight, forTime()))
    await load(log, batch, [short, long], inFlight, bytes => bytes > 1.2 * lapBytes)
    const cleaning = await during(metrics, () => load(log, batch, [short, long], inFlight, forTime()))
    log.advanceLogStart(long, log.offsets(long).logEnd)
    const filling = 0.45 * lapBytes
    const static_ = await during(metrics, async () => {
      await load(log, batch, [short, fixed], inFlight, bytes => bytes > 2 * filling)
      return load(log, batch, [short], inFlight, bytes => bytes > 3 * lapBytes)
    })
    return { without, cleaning, static: static_ }
  } finally {
    await log.close()
    await rm(directory, { recursive: true })
  }
}

export default async options => {
  const given = {
    slot: Number(options.slot ?? 4),
    slots: Number(options.slots ?? 64),
    seconds: Number(options.seconds ?? 20),
    batch: Number(options.batch ?? 16),
    inFlight: Number(options['in-flight'] ?? 4),
    directory: options.directory ?? tmpdir(),
  }
  const engine = await loadEngine()
  const runs = []
  for (let run = 0; run < Number(options.runs ?? 3); run++) runs.push(await runOnce(engine, given))
  const of = (phase, field) => median(runs.map(run => run[phase][field]))
  const rows = [
    ['without', 'without'],
    ['while cleaning', 'cleaning'],
    ['static half, 3 laps', 'static'],
  ].map(([name, phase]) => ({
    phase: name,
    'MiB/s': of(phase, 'MiBPerSecond').toFixed(1),
    'p50 ms': of(phase, 'p50Ms').toFixed(2),
    'p99 ms': of(phase, 'p99Ms').toFixed(2),
    'cold segments': of(phase, 'runs'),
    'log MiB': (of(phase, 'logBytes') / MiB).toFixed(0),
    'cleaning MiB': (of(phase, 'cleaningBytes') / MiB).toFixed(0),
    amplification: of(phase, 'amplification').toFixed(2),
  }))
  const ratios = {
    throughput: median(runs.map(run => run.static.MiBPerSecond / run.without.MiBPerSecond)),
    worstThroughput: median(runs.map(run => run.cleaning.MiBPerSecond / run.without.MiBPerSecond)),
    p99: median(runs.map(run => run.static.p99Ms / run.without.p99Ms)),
    staticAmplification: of('static', 'amplification'),
  }
  process.stdout.write(`${table(rows)}\n`)
  const checks = [
    { name: 'with a static half: throughput over that without', value: ratios.throughput, atLeast: 0.7 },
    { name: 'with a static half: p99 ack over that without', value: ratios.p99, atMost: 3 },
    { name: 'with a static half: amplification', value: ratios.staticAmplification, atMost: 1.5 },
  ]
  return { options: given, runs, ratios, checks }
}

// Reads of what no memory holds, on the storage engine alone, without the page cache (the slots are dropped from it before each phase). `together`: 64
// partitions, all in the same segments, by one consumer that asks for all of them in turn (as a fetch does) and by 64 that each read one. `alone`: one
// of them, and partitions that stand in every 4th and 16th block or so. Beside it the same files read from front to back by reads of the same size.
// On an ext4 of its own behind a loop device (root; else in the directory given). Device bytes are those that the kernel counts for this process, its
// own readahead included; the indexes of the segments are left out of the blocks.
// Short: --runs=1 --megabytes=128. Options: --megabytes=256 --batch=4 --runs=3 --directory=/path (MiB of log, KiB a batch)
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { enginePlatform, loadEngine } from './support/engine.mjs'
import { mountLoop } from './support/loop-device.mjs'
import { median, table } from './support/machine.mjs'

const bars = { share: 0.4, alone: 1.2 }
const MiB = 1024 * 1024
const blockBytes = 64 * 1024
/** What the block cache reads at once. */
const readBytes = 256 * 1024
/** Of a Kafka fetch, a partition. */
const fetchBytes = MiB
const first = 64
const crowd = Array.from({ length: 64 }, (_, index) => first + index)
/** Partitions with a batch in every so many KiB of log. */
const sparse = new Map([
  [first + 64, 256],
  [first + 65, 1024],
])

const slotFiles = directory =>
  readdirSync(join(directory, 'log'))
    .filter(name => name.endsWith('.slot'))
    .map(name => join(directory, 'log', name))

/** Takes the files out of the page cache. */
const dropFromCache = directory => {
  for (const file of slotFiles(directory)) {
    execFileSync('dd', [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { stdio: 'ignore' })
  }
}

/** What this process read: from devices, and in calls (the page cache included). */
const readCounts = () => {
  const text = readFileSync('/proc/self/io', 'utf8')
  const of = name => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1])
  return { device: of('read_bytes'), calls: of('rchar') }
}

/** MiB a second. */
const timed = async work => {
  const before = { ms: performance.now(), ...readCounts() }
  const bytes = await work()
  const seconds = (performance.now() - before.ms) / 1000
  const after = readCounts()
  return { bytes, rate: bytes / MiB / seconds, device: after.device - before.device, calls: after.calls - before.calls }
}

const sequential = directory => {
  const buffer = Buffer.allocUnsafe(readBytes)
  let bytes = 0
  for (const file of slotFiles(directory)) {
    const descriptor = openSync(file, 'r')
    for (let count = 1; count > 0; bytes += count) count = readSync(descriptor, buffer, 0, readBytes, null)
    closeSync(descriptor)
  }
  return bytes
}

const optionsOf = (engine, directory, bytes) => ({
  directory,
  budgetBytes: Math.ceil(bytes / MiB) * MiB + 8 * 16 * MiB,
  slotBytes: 16 * MiB,
  reserve: false,
  commitMaxBytes: 512 * 1024,
  maxMessageBytes: MiB,
  align: 'auto',
  retention: { ms: -1, bytes: -1 },
  memory: new engine.MemoryBudget(160 * MiB),
  metrics: new engine.Metrics(),
})

const fill = async (engine, platform, directory, bytes, batchBytes) => {
  const log = await engine.openCommitLog(platform, optionsOf(engine, directory, bytes))
  const value = Buffer.alloc(120, 120)
  const count = Math.max(1, Math.round(batchBytes / 130))
  const batch = engine.encodeBatch(Array.from({ length: count }, () => ({ timestampMs: 0, key: null, value })))
  for (const partition of [...crowd, ...sparse.keys()]) log.openPartition(partition)
  const due = new Map([...sparse.keys()].map(partition => [partition, 0]))
  let stored = 0
  while (stored < bytes) {
    const batches = crowd.map(partition => ({ partition, batch }))
    stored += crowd.length * batch.length
    for (const [partition, everyKiB] of sparse) {
      if (stored < due.get(partition)) continue
      batches.push({ partition, batch })
      due.set(partition, stored + everyKiB * 1024)
    }
    let group = 0
    for (const one of batches) group = log.append([one]).group
    await log.whenDurable(group)
  }
  await log.close()
}

/** The log as a start finds it, and its reader. */
const openReader = async (engine, platform, directory, bytes) => {
  const options = optionsOf(engine, directory, bytes)
  const recovered = await engine.recoverLog(platform, options)
  const { tail, cache, indexLoader, logs, pool } = recovered
  const load = span => indexLoader.blocks(span)
  const reader = new engine.BatchReader(tail, cache, load, (_log, first, last) => {
    throw new Error(`offsets ${first} to ${last} are lost`)
  })
  return { reader, logs, close: () => pool.close() }
}

const readAll = async ({ reader, logs }, partitions) => {
  const places = partitions.map(partition => ({ log: logs.get(partition), offset: 0 }))
  let bytes = 0
  for (let left = places; left.length > 0; left = left.filter(({ log, offset }) => offset < log.highWatermark)) {
    for (const place of left) {
      const { batches, nextOffset } = await reader.readDurable(place.log, place.offset, fetchBytes, place.log.logEnd)
      for (const batch of batches) bytes += batch.length
      place.offset = nextOffset
    }
  }
  return bytes
}

/** Blocks in which batches of the partition begin, and the indexes of their segments, which are read too. */
const blocksOf = async (log, indexLoader) => {
  let [blocks, indexBytes] = [0, 0]
  for (const span of log.spans) {
    blocks += (await indexLoader.blocks(span)).count
    indexBytes += span.segment.footerBytes
  }
  return { blocks, indexBytes }
}

const runOnce = async (engine, options) => {
  const directory = await mkdtemp(join(options.directory, 'bench-cold-'))
  const platform = enginePlatform(engine)
  try {
    await fill(engine, platform, directory, options.bytes, options.batchBytes)
    const phase = async (name, work) => {
      const opened = await openReader(engine, platform, directory, options.bytes)
      dropFromCache(directory)
      const found = await timed(() => work(opened))
      await opened.close()
      return { phase: name, ...found }
    }
    const before = await phase('from front to back', () => sequential(directory))
    const together = [
      await phase('64 partitions, one consumer', opened => readAll(opened, crowd)),
      await phase('64 partitions, 64 consumers', async opened => {
        const read = await Promise.all(crowd.map(partition => readAll(opened, [partition])))
        return read.reduce((sum, bytes) => sum + bytes, 0)
      }),
    ]
    const after = await phase('from front to back', () => sequential(directory))
    const alone = []
    for (const partition of [first, ...sparse.keys()]) {
      const counted = await countBlocks(engine, platform, directory, options, partition)
      alone.push({ ...(await phase(`one alone`, opened => readAll(opened, [partition]))), ...counted })
    }
    return { sequential: [before, after], together, alone }
  } finally {
    await rm(directory, { recursive: true })
  }
}

const countBlocks = async (engine, platform, directory, options, partition) => {
  const recovered = await engine.recoverLog(platform, optionsOf(engine, directory, options.bytes))
  const counted = await blocksOf(recovered.logs.get(partition), recovered.indexLoader)
  await recovered.pool.close()
  return counted
}

const blocksRead = ({ device, indexBytes }) => (device - indexBytes) / blockBytes

export default async options => {
  const given = {
    bytes: Number(options.megabytes ?? 256) * MiB,
    batchBytes: Number(options.batch ?? 4) * 1024,
    directory: options.directory ?? tmpdir(),
  }
  const engine = await loadEngine()
  // as the gateway, with the `memory.budget` that it has on such a machine
  engine.host.collectSeldom()
  const loop = mountLoop(Math.ceil(given.bytes / MiB) * 2 + 256, given.directory, true)
  if (typeof loop === 'string') process.stderr.write(`${loop}: measured in ${given.directory}\n`)
  const runs = []
  try {
    const directory = loop.directory ?? given.directory
    for (let run = 0; run < Number(options.runs ?? 3); run++) runs.push(await runOnce(engine, { ...given, directory }))
  } finally {
    loop.close?.()
  }
  const rates = runs.map(({ sequential }) => median(sequential.map(({ rate }) => rate)))
  const [one] = runs
  const rows = [
    {
      phase: 'from front to back',
      'MiB/s': median(rates),
      share: 1,
      'device / delivered': 1,
      'calls / delivered': 1,
      'blocks / needed': Number.NaN,
    },
    ...one.together.map(({ phase }, index) => ({
      phase,
      'MiB/s': median(runs.map(({ together }) => together[index].rate)),
      share: median(runs.map(({ together }, run) => together[index].rate / rates[run])),
      'device / delivered': median(runs.map(({ together }) => together[index].device / together[index].bytes)),
      'calls / delivered': median(runs.map(({ together }) => together[index].calls / together[index].bytes)),
      'blocks / needed': Number.NaN,
    })),
    ...one.alone.map(({ phase, blocks }, index) => ({
      phase: `${phase}, in ${blocks} of ${Math.round(given.bytes / blockBytes)} blocks`,
      'MiB/s': median(runs.map(({ alone }) => alone[index].rate)),
      share: Number.NaN,
      'device / delivered': median(runs.map(({ alone }) => alone[index].device / alone[index].bytes)),
      'calls / delivered': median(runs.map(({ alone }) => alone[index].calls / alone[index].bytes)),
      'blocks / needed': median(runs.map(({ alone }) => blocksRead(alone[index]) / alone[index].blocks)),
    })),
  ]
  process.stdout.write(`${table(rows)}\n`)
  const of = (start, column) => rows.flatMap(row => (row.phase.startsWith(start) ? [row[column]] : []))
  const checks = [
    { name: '64 together, share of the sequential rate', value: Math.min(...of('64', 'share')), atLeast: bars.share },
    {
      name: 'one alone, blocks over those that hold it',
      value: Math.max(...of('one', 'blocks / needed')),
      atMost: bars.alone,
    },
  ]
  return { options: given, rows, runs, checks }
}

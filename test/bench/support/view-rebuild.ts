// Writes records of every view into a log, or rebuilds the views from it, and prints one line of JSON. Bundled and run by rebuild.mjs as processes
// of their own. argv: fill|rebuild, directory, records of each large view, records of a batch.

import { partitionId } from '../../../src/core/brand.ts'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import { nodePlatform } from '../../../src/platform/node/platform.ts'
import { GroupsView } from '../../../src/state/groups.ts'
import { MqttInflightView } from '../../../src/state/mqtt-inflight.ts'
import { ProducersView } from '../../../src/state/producers.ts'
import { RetainedView } from '../../../src/state/retained.ts'
import { TopicsView } from '../../../src/state/topics.ts'
import type { StateChange, View } from '../../../src/state/view.ts'
import { ViewLog } from '../../../src/state/view-log.ts'
import { openCommitLog } from '../../../src/storage/open-commit-log.ts'

const MiB = 1 << 20
const [mode, directory = '', recordText = '0', batchText = '1'] = process.argv.slice(2)
const records = Number(recordText)
const perBatch = Number(batchText)
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => silent }
const platform = nodePlatform(silent)
const metrics = new Metrics()
const store = await platform.openCheckpointStore(`${directory}/views`, 64 * MiB)
const startedMs = performance.now()
const log = await openCommitLog(
  { ...platform, checkpoints: store },
  {
    directory: `${directory}/data`,
    budgetBytes: 4096 * MiB,
    reserve: false,
    commitMaxBytes: MiB,
    align: 'auto',
    maxMessageBytes: MiB,
    retention: { ms: -1, bytes: -1 },
    memory: new MemoryBudget(160 * MiB),
    metrics,
  },
)
const logMs = performance.now() - startedMs

const topics = new TopicsView()
const groups = new GroupsView()
const producers = new ProducersView(metrics, 86_400)
const retained = new RetainedView()
const inflight = new MqttInflightView()
const limits = { count: 1_000_000, bytes: 1 << 30 }

/** What a busy gateway writes: the same keys again and again. */
const changes: Readonly<Record<string, (index: number) => StateChange>> = {
  groups: index =>
    groups.putOffset(`group-${index % 50}`, `sensors-${((index / 50) % 20) | 0}`, index % 4, {
      offset: index,
      leaderEpoch: 3,
      metadata: '',
      logAge: index >> 10,
    }),
  retained: index =>
    retained.put(
      `site/hall-${index % 40}/sensor-${((index / 40) % 50) | 0}/state`,
      { payload: Buffer.from(`{"temperature":${index % 1000},"unit":"C"}`), qos: 1 },
      limits,
    )!,
  'mqtt-inflight': index => {
    const client = `device-${(index >> 1) % 500}`
    return index % 2 === 0 ? inflight.hold(client, index % 60_000) : inflight.release(client, (index - 1) % 60_000)
  },
  topics: index => {
    const number = index % 500
    return topics.put({
      name: `topic-${number}`,
      id: String(number).padStart(32, '0'),
      partitions: [0, 1, 2, 3].map(part => partitionId(1000 + number * 4 + part)),
      configs: new Map([['retention.ms', String(index)]]),
    })[1]!
  },
}
const views: Readonly<Record<string, View>> = { groups, retained, 'mqtt-inflight': inflight, topics }

const result: Record<string, unknown> = { logMs }
if (mode === 'fill') {
  const state = await ViewLog.open({ log, store, logger: silent, metrics }, [...Object.values(views), producers])
  for (const make of Object.values(changes)) {
    for (let index = 0; index < records; ) {
      const batch: StateChange[] = []
      for (; batch.length < perBatch && index < records; index++) batch.push(make(index))
      const group = state.write(batch)
      if (index % (perBatch * 256) === 0) await log.whenDurable(group)
    }
    await log.whenDurable(log.openGroup)
  }
} else {
  // one view after the other, as at a start, so that each has its own figure
  const rates: Record<string, number> = {}
  let total = 0
  for (const [name, view] of Object.entries(views)) {
    const beganMs = performance.now()
    await ViewLog.open({ log, store, logger: silent, metrics }, [view])
    const tookMs = performance.now() - beganMs
    total += tookMs
    const { logStart, logEnd } = log.offsets(view.partition)
    rates[name] = Math.round(((logEnd - logStart) * 1000) / tookMs)
    result['records'] = Number(result['records'] ?? 0) + logEnd - logStart
  }
  result['rates'] = rates
  result['rate'] = Math.round((Number(result['records']) * 1000) / total)
}
await log.close()
await store.close()
process.stdout.write(`${JSON.stringify(result)}\n`)

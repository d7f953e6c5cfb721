import { openBroker } from '../../../src/broker/open-broker.ts'
import type { LoadedSettings } from '../../../src/config/load.ts'
import { defaultSettings, settingKeys } from '../../../src/config/settings.ts'
import { MemoryBudget } from '../../../src/core/memory-budget.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import type { Clock } from '../../../src/platform/clock.ts'
import { nodeClock } from '../../../src/platform/node/clock.ts'
import { openThreadedCommitWriter } from '../../../src/platform/node/commit-writer.ts'
import { nodeFiles } from '../../../src/platform/node/files.ts'
import type { Platform } from '../../../src/platform/platform.ts'
import { MqttInflightView } from '../../../src/state/mqtt-inflight.ts'
import { RetainedView } from '../../../src/state/retained.ts'
import type { Log } from '../../../src/storage/log.ts'
import { openCommitLog } from '../../../src/storage/open-commit-log.ts'
import type { CommitLogOptions } from '../../../src/storage/options.ts'
import { isControl } from '../../../src/wire/kafka/record-batch.ts'
import { decompressRecords } from '../../../src/wire/kafka/records.ts'
import { silentLogger } from '../silent-logger.ts'
import { SimRandom } from '../sim/random.ts'

const KiB = 1024

/** Slots of a golden directory: so small that a few records fill several. */
export const goldenSizes = { slotBytes: 128 * KiB, budgetBytes: 4096 * KiB, commitMaxBytes: 16 * KiB } as const

/** Log and broker on a directory, without checkpoints: everything comes from the log. Same seed, same ids. */
export const openGolden = async (directory: string, seed: number) => {
  const metrics = new Metrics()
  const memory = new MemoryBudget(64 << 20)
  const store = {
    get: () => undefined,
    entries: () => [],
    write: async () => {},
    usedBytes: () => 0,
    close: async () => {},
  }
  // stands still for stamps and log age, so that these are the same each time
  const clock: Clock = { ...nodeClock, wallMs: () => 1_700_000_000_000, sinceBootMs: () => 1_000_000, bootId: 'golden' }
  const parts = {
    clock,
    files: nodeFiles,
    random: new SimRandom(seed),
    logger: silentLogger,
    openCommitWriter: openThreadedCommitWriter,
  }
  const options: CommitLogOptions = {
    directory,
    ...goldenSizes,
    reserve: false,
    maxMessageBytes: 32 * KiB,
    align: 'auto',
    retention: { ms: -1, bytes: -1 },
    memory,
    metrics,
  }
  const log = await openCommitLog({ ...parts, checkpoints: store }, options)
  const loaded: LoadedSettings = {
    settings: { ...defaultSettings, 'max.message.bytes': 32 * KiB },
    origins: new Map(settingKeys.map(key => [key, 'default'])),
  }
  const retained = new RetainedView()
  const inflight = new MqttInflightView()
  // the broker needs neither network nor files
  const platform = parts as unknown as Platform
  const open = await openBroker({ platform, loaded, log, store, memory, metrics, frontViews: [retained, inflight] })
  const close = async (): Promise<void> => {
    open.stop()
    await log.close()
  }
  return { ...open, log, metrics, retained, inflight, close }
}

export type GoldenLog = Awaited<ReturnType<typeof openGolden>>

/** Every record of a partition, as far as it can be read: `offset key value`. */
const recordsOf = async (log: Log, partition: Parameters<Log['offsets']>[0]): Promise<string[]> => {
  const shown: string[] = []
  const { logStart, highWatermark } = log.offsets(partition)
  for (let offset = logStart; offset < highWatermark; ) {
    const { batches, nextOffset } = await log.read(partition, offset, 64 * KiB, highWatermark)
    for (const batch of batches) {
      if (isControl(batch)) continue
      const cursor = await decompressRecords(batch, 1 << 20)
      while (cursor.next()) {
        const { key, value, headers, timestampMs } = cursor.record()
        const text = value !== null && value.length > 100 ? `${value.length} bytes` : value
        const named = headers.map(header => `${header.key}=${header.value}`).join(' ')
        if (cursor.offset >= logStart) shown.push(`${cursor.offset} ${timestampMs} ${key} ${text} ${named}`.trim())
      }
    }
    offset = nextOffset
  }
  return shown
}

/** All that a gateway on this directory would show, in plain values. What a start itself adds (partition 0) is left out. */
export const contentOf = async ({ log, broker, groups, retained, inflight }: GoldenLog) => {
  const topics: Record<string, unknown> = {}
  for (const { name, id, partitions, configs } of broker.topics.all()) {
    const content: unknown[] = []
    for (const partition of partitions) {
      const { logStart, highWatermark } = log.offsets(partition)
      const epochs = log.leaderEpochs(partition).map(({ epoch, startOffset }) => `${epoch} from ${startOffset}`)
      content.push({ id: partition, logStart, highWatermark, epochs, records: await recordsOf(log, partition) })
    }
    topics[name] = { id, configs: Object.fromEntries(configs), partitions: content }
  }
  return {
    logId: log.logId,
    topics,
    committed: [...groups.committedOffsets('billing')].map(({ topic, partition, offset, metadata }) => ({
      topic,
      partition,
      offset,
      metadata,
    })),
    retained: retained
      .topics()
      .sort()
      .map(topic => `${topic} ${retained.get(topic)?.payload}`),
    inflight: [...inflight.entries()].map(({ key }) => key.toString('hex')),
    gaps: log.gaps().map(({ partition, first, last, reason }) => `${partition} ${first} to ${last} ${reason}`),
  }
}

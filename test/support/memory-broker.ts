import { type BrokerOptions, type OpenBroker, openBroker } from '../../src/broker/open-broker.ts'
import type { LoadedSettings } from '../../src/config/load.ts'
import { defaultSettings, type Settings, settingKeys } from '../../src/config/settings.ts'
import { MemoryBudget } from '../../src/core/memory-budget.ts'
import { Metrics } from '../../src/core/metrics.ts'
import type { Clock } from '../../src/platform/clock.ts'
import type { Logger } from '../../src/platform/logger.ts'
import { nodeClock } from '../../src/platform/node/clock.ts'
import { nodeNetwork } from '../../src/platform/node/network.ts'
import { nodeRandom } from '../../src/platform/node/random.ts'
import type { Platform } from '../../src/platform/platform.ts'
import type { View } from '../../src/state/view.ts'
import { MemoryLog } from './memory-log.ts'

export interface MemoryBrokerOptions {
  readonly settings?: Partial<Settings>
  readonly memoryBytes?: number
  readonly clock?: Clock
  /** A log from an earlier broker: a restart. */
  readonly log?: MemoryLog
  readonly frontViews?: readonly View[]
  /** What goes up and how far it is; by default nothing does. */
  readonly upstream?: Pick<BrokerOptions, 'upstreamThrough' | 'isGivenUp' | 'staysHere'>
}

/** Log lines as a test looks at them. */
export interface LogLine {
  readonly level: string
  readonly fields: Record<string, unknown>
  readonly event: string
}

/** A real broker over a log in memory, with what a front is given beside it. */
export interface MemoryBroker {
  readonly log: MemoryLog
  readonly metrics: Metrics
  readonly memory: MemoryBudget
  /** What it and its front have logged. */
  readonly lines: LogLine[]
  readonly logger: Logger
  readonly clock: Clock
  readonly loaded: LoadedSettings
  readonly open: OpenBroker
}

export const openMemoryBroker = async (options: MemoryBrokerOptions = {}): Promise<MemoryBroker> => {
  const log = options.log ?? new MemoryLog()
  const metrics = new Metrics()
  const memory = new MemoryBudget(options.memoryBytes ?? 64 << 20)
  const lines: LogLine[] = []
  const logger = recordingLogger(lines)
  const clock = options.clock ?? nodeClock
  const loaded: LoadedSettings = {
    settings: { ...defaultSettings, ...options.settings },
    origins: new Map(settingKeys.map(key => [key, 'default'])),
  }
  // a log in memory needs no files
  const platform = { clock, logger, random: nodeRandom, network: nodeNetwork } as unknown as Platform
  const store = {
    get: () => undefined,
    entries: () => [],
    write: async () => {},
    usedBytes: () => 0,
    close: async () => {},
  }
  const frontViews = options.frontViews ?? []
  const parts = { platform, loaded, log, store, memory, metrics, frontViews }
  const open = await openBroker({ ...parts, ...options.upstream })
  return { log, metrics, memory, lines, logger, clock, loaded, open }
}

export const recordingLogger = (lines: LogLine[]): Logger => {
  const at = (level: string) => (fields: object, event: string) => {
    lines.push({ level, fields: fields as Record<string, unknown>, event })
  }
  const logger: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
  }
  return logger
}

import type { Settings } from './config/settings.ts'
import type { Metrics } from './core/metrics.ts'
import type { WearSummary } from './http/status.ts'
import type { CheckpointStore } from './platform/checkpoint-store.ts'
import { readNodeWriteCounts } from './platform/node/write-counts.ts'
import type { Platform } from './platform/platform.ts'
import type { CommitLinger } from './storage/commit-linger.ts'
import { WearBudget } from './storage/wear-budget.ts'
import { bytesPerDay, bytesPerEvent, cardYears } from './storage/wear-forecast.ts'
import { WearMeter, type WearTotals, wearKey } from './storage/wear-meter.ts'
import type { WearFigures } from './storage/wear-window.ts'

interface WearParts {
  readonly platform: Platform
  readonly settings: Settings
  readonly directory: string
  readonly linger: CommitLinger
  readonly logAge: () => number
  readonly store: CheckpointStore
  readonly metrics: Metrics
}

/** Begins to count what is written and to hold `wear.budget.per.day`. */
export const startWear = async (
  parts: WearParts,
): Promise<{ readonly meter: WearMeter; readonly summary: () => WearSummary }> => {
  const { platform, settings, directory, linger, logAge, store, metrics } = parts
  const budgetBytes = settings['wear.budget.per.day']
  const limits = { maxLingerMs: settings['commit.linger.max.ms'], bytesPerDay: budgetBytes }
  const budget =
    budgetBytes === Number.POSITIVE_INFINITY ? undefined : new WearBudget(linger, limits, platform.logger.child('wear'))
  const meter = new WearMeter({
    read: () => readNodeWriteCounts(directory),
    clock: platform.clock,
    logAge,
    metrics,
    // where nobody counts the device, the log itself is the best that is known
    onSample: (totals, nowMs) =>
      budget?.spent({ bytes: totals.deviceBytes ?? totals.logBytes, commits: totals.commits }, nowMs),
  })
  await meter.start(store.get(wearKey))
  const { totalBytes } = await platform.files.space(directory)
  const card = { bytes: settings['wear.card.bytes'] || totalBytes, cycles: settings['wear.card.cycles'] }
  const summary = (): WearSummary => {
    const { hour, day, totals } = meter
    const years = cardYears({ hour, day }, card)
    return {
      sinceStart: {
        deviceBytes: totals.deviceBytes ?? null,
        processBytes: totals.processBytes ?? null,
        logBytes: totals.logBytes,
        records: totals.records,
      },
      hour: ratesOf(hour),
      day: ratesOf(day),
      lingerMs: linger.ms,
      budgetBytesPerDay: budget === undefined ? null : budgetBytes,
      budgetExceeded: budget?.exceeded ?? false,
      card: { ...card, years: years === null ? null : Math.round(years * 10) / 10 },
    }
  }
  sampleWear(metrics, meter, summary)
  return { meter, summary }
}

const ratesOf = (figures: WearFigures): WearSummary['hour'] => ({
  seconds: Math.round(figures.seconds),
  deviceBytes: figures.deviceBytes ?? null,
  logBytes: figures.logBytes,
  records: figures.records,
  deviceBytesPerDay: bytesPerDay(figures),
  deviceBytesPerEvent: bytesPerEvent(figures),
})

/** Labels with a known figure only: what is unknown is absent, not 0. */
const known = (figures: Readonly<Record<string, number | null | undefined>>): ReadonlyMap<string, number> =>
  new Map(
    Object.entries(figures).filter((entry): entry is [string, number] => entry[1] !== null && entry[1] !== undefined),
  )

const sampleWear = (metrics: Metrics, meter: WearMeter, summary: () => WearSummary): void => {
  metrics.gauge('wearWrittenBytes', () => {
    const { deviceBytes, processBytes, logBytes }: WearTotals = meter.totals
    return known({ device: deviceBytes, process: processBytes, log: logBytes })
  })
  metrics.gauge('wearBytesPerDay', () => known({ hour: bytesPerDay(meter.hour), day: bytesPerDay(meter.day) }))
  metrics.gauge('wearBytesPerEvent', () => known({ hour: bytesPerEvent(meter.hour), day: bytesPerEvent(meter.day) }))
  metrics.gauge('wearLingerMs', () => summary().lingerMs)
  metrics.gauge('wearBudgetExceeded', () => Number(summary().budgetExceeded))
  metrics.gauge('wearCardYears', () => known({ '': summary().card.years }))
}

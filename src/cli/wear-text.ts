import type { ClockSummary } from '../broker/clock-quality.ts'
import type { WearRates, WearSummary } from '../http/status.ts'
import { sizeText } from './size-text.ts'

const perEvent = ({ deviceBytesPerEvent }: WearRates): string =>
  deviceBytesPerEvent === null ? '' : `, ${deviceBytesPerEvent} B an event`

/** `written 1.2 GiB/day of 2.0 GiB, 310 B an event  linger 5 ms  card of 29 GiB lasts 12 years`. What nobody counts is unknown. */
export const wearLine = ({ sinceStart, hour, day, lingerMs, card, ...budget }: WearSummary): string => {
  const rates = hour.deviceBytesPerDay === null ? day : hour
  const lingers = `linger ${lingerMs} ms${budget.budgetExceeded ? ', wear.budget.per.day EXCEEDED' : ''}`
  if (sinceStart.deviceBytes === null) return `written to the device: unknown  ${lingers}`
  if (rates.deviceBytesPerDay === null) return `written to the device: ${sizeText(sinceStart.deviceBytes)}  ${lingers}`
  const perDay = `${sizeText(rates.deviceBytesPerDay)}/day${budgetText(budget)}${perEvent(rates)}`
  return `written ${perDay}  ${lingers}  card of ${sizeText(card.bytes)} lasts ${yearsText(card.years)}`
}

const budgetText = ({ budgetBytesPerDay }: Pick<WearSummary, 'budgetBytesPerDay'>): string =>
  budgetBytesPerDay === null ? '' : ` of ${sizeText(budgetBytesPerDay)}`

const yearsText = (years: number | null): string => {
  if (years === null) return 'unknown'
  return years >= 100 ? 'over 100 years' : `${years} years`
}

/** `clock synchronised (chrony)`, `clock unknown`; with the newest jump when there was one. */
export const clockLine = ({ quality, source, steps }: ClockSummary): string => {
  const newest = steps.at(-1)
  const jump = newest === undefined ? '' : `  jumped by ${Math.round((newest.toMs - newest.fromMs) / 1000)} s`
  return `clock ${quality}${source === null ? '' : ` (${source})`}${jump}`
}

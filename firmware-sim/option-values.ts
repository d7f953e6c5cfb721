import type { TimedFault } from './scenario.ts'

/** The reading of one option's text: its value, or what is wrong with it and the nearest text that would do. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string; readonly nearest: string }

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const durationPattern = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/

/** `250ms`, `30s`, `1.5m`, `2h`, as milliseconds. */
export const parseDuration = (text: string): Parsed<number> => {
  const [, amount, unit] = durationPattern.exec(text) ?? []
  if (amount !== undefined && unit !== undefined) return { value: Number(amount) * (unitsMs[unit] ?? 1) }
  return { problem: 'is not a duration with its unit (ms, s, m, h)', nearest: nearestDuration(text) }
}

const nearestDuration = (text: string): string => `${/\d+(?:\.\d+)?/.exec(text)?.[0] ?? '10'}s`

/** `2%` or `0.02`, as a ratio from 0 to 1. */
export const parseRatio = (text: string): Parsed<number> => {
  const [, amount, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? []
  const ratio = Number(amount) / (percent === '%' ? 100 : 1)
  if (amount !== undefined && ratio <= 1) return { value: ratio }
  const isLarge = amount !== undefined && percent === '' && Number(amount) <= 100
  return {
    problem: 'is not a share from 0% to 100%',
    nearest: isLarge ? `${amount}%` : amount === undefined ? '2%' : '100%',
  }
}

/** A whole number between two bounds, both included. */
export const parseWhole = (text: string, low: number, high: number): Parsed<number> => {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= low && value <= high) return { value }
  const bounded = Math.min(high, Math.max(low, Math.round(value)))
  return {
    problem: `is not a whole number from ${low} to ${high}`,
    nearest: String(Number.isNaN(bounded) || text === '' ? low : bounded),
  }
}

/** A decimal number between two bounds, both included. */
export const parseNumber = (text: string, low: number, high: number): Parsed<number> => {
  const value = Number(text)
  if (text.trim() !== '' && value >= low && value <= high) return { value }
  const isUsable = text.trim() !== '' && !Number.isNaN(value)
  return {
    problem: `is not a number from ${low} to ${high}`,
    nearest: String(isUsable ? Math.min(high, Math.max(low, value)) : 1),
  }
}

/** `10s@30s`: for ten seconds, from the thirtieth second of the run. */
export const parseDrop = (text: string): Parsed<TimedFault> => {
  const [duration = '', start = '', ...rest] = text.split('@')
  const durationMs = parseDuration(duration)
  const startMs = parseDuration(start)
  if ('value' in durationMs && 'value' in startMs && rest.length === 0) {
    return { value: { kind: 'drop', durationMs: durationMs.value, startMs: startMs.value } }
  }
  const valid = (part: string, parsed: Parsed<number>, fallback: string) =>
    'value' in parsed ? part : part === '' ? fallback : parsed.nearest
  const nearest = `${valid(duration, durationMs, '10s')}@${valid(start, startMs, '30s')}`
  return { problem: 'is not DURATION@START of a drop', nearest }
}

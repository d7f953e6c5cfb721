import { type ConfigType, type Parsed, quoted, type ValueType, wrong } from './value-types.ts'

export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB

export const SECOND_MS = 1000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

/** Kafka's largest long, its way to say "no limit" where -1 is not used. */
export const LONG_MAX = '9223372036854775807'

export interface QuantityOptions {
  readonly min?: number
  readonly max?: number
  /** The number that stands for "no limit". The value is then `Infinity`; the word `unlimited` is taken as well. */
  readonly unlimited?: '-1' | typeof LONG_MAX
  readonly configType?: ConfigType
}

type Unit = readonly [suffix: string, factor: number]

// k, M, G and T are binary, as in the configuration of most servers; KB, MB ... are decimal
const byteUnits: readonly Unit[] = [
  ...['k', 'm', 'g', 't'].flatMap((letter, power): Unit[] => [
    [`${letter}ib`, 1024 ** (power + 1)],
    [letter, 1024 ** (power + 1)],
    [`${letter}b`, 1000 ** (power + 1)],
  ]),
  ['b', 1],
]

const timeUnits: readonly Unit[] = [
  ['ms', 1],
  ['s', SECOND_MS],
  ['m', MINUTE_MS],
  ['h', HOUR_MS],
  ['d', DAY_MS],
  ['w', 7 * DAY_MS],
]

/** A whole number without unit. */
export const integer = (options: QuantityOptions = {}): ValueType<number> =>
  quantity([], 'INT', 'a whole number', options, String)

/** Bytes: `1GiB`, `512MiB`, `10k` or a plain number. */
export const bytes = (options: QuantityOptions = {}): ValueType<number> =>
  quantity(byteUnits, 'LONG', 'bytes, such as `512MiB`, `10k` or `1048576`', options, formatBytes)

/** A time in milliseconds: `7d`, `5s`, `100ms` or a plain number of milliseconds. */
export const duration = (options: QuantityOptions = {}): ValueType<number> =>
  quantity(timeUnits, 'LONG', 'a time, such as `7d`, `5s`, `100ms` or `100` (milliseconds)', options, formatDuration)

/** A time whose plain number is seconds, as MQTT counts its keep alive; whole seconds, kept in milliseconds. */
export function seconds({ max = Number.MAX_SAFE_INTEGER }: { readonly max?: number } = {}): ValueType<number> {
  const shape = 'a time of whole seconds, such as `60`, `60s` or `5m`'
  const inMs = quantity(timeUnits, 'INT', shape, { max: max * SECOND_MS }, formatDuration)
  return {
    ...inMs,
    parse(text) {
      const parsed = inMs.parse(/^\s*\d+\s*$/.test(text) ? `${text.trim()}s` : text)
      const isWhole = !('value' in parsed) || parsed.value % SECOND_MS === 0
      return isWhole
        ? parsed
        : wrong(`${quoted(text)} is not ${shape.replaceAll('`', '')}`, String(Math.ceil(parsed.value / SECOND_MS)))
    },
    formatPlain: valueMs => String(valueMs / SECOND_MS),
  }
}

/** A number from 0 to 1. */
export const ratio: ValueType<number> = {
  configType: 'DOUBLE',
  shape: 'a number from 0 to 1',
  parse(text) {
    const value = /^\d*\.?\d+$/.test(text.trim()) ? Number(text) : Number.NaN
    if (value >= 0 && value <= 1) return { value }
    return wrong(`${quoted(text)} is not a number from 0 to 1`, value > 1 ? '1' : '0')
  },
  format: String,
  formatPlain: String,
}

/** `1073741824` as `1GiB`; exact, so that it can be parsed back. */
export const formatBytes = (value: number): string =>
  formatIn(value, [['GiB', GiB], ['MiB', MiB], ['KiB', KiB], ['', 1]]) // biome-ignore format: one line

/** `604800000` as `7d`; exact, so that it can be parsed back. */
export const formatDuration = (value: number): string =>
  formatIn(value, [['d', DAY_MS], ['h', HOUR_MS], ['m', MINUTE_MS], ['s', SECOND_MS], ['ms', 1]]) // biome-ignore format: one line

function formatIn(value: number, units: readonly Unit[]): string {
  if (value === 0) return '0'
  const [suffix, factor] = units.find(unit => value % unit[1] === 0) ?? ['', 1]
  return `${value / factor}${suffix}`
}

function quantity(
  units: readonly Unit[],
  configType: ConfigType,
  shape: string,
  options: QuantityOptions,
  format: (value: number) => string,
): ValueType<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER, unlimited } = options
  const limits = [
    min === 0 ? '' : `at least ${format(min)}`,
    max === Number.MAX_SAFE_INTEGER ? '' : `at most ${format(max)}`,
  ]
  const formatLimited = (value: number, show: (value: number) => string) =>
    value === Number.POSITIVE_INFINITY && unlimited !== undefined ? unlimited : show(value)
  return {
    configType: options.configType ?? configType,
    shape: [shape, ...limits, unlimited === undefined ? '' : `\`${unlimited}\` = no limit`].filter(Boolean).join('; '),
    parse(text): Parsed<number> {
      const written = text.trim().toLowerCase()
      if (unlimited !== undefined && (written === unlimited || written === 'unlimited')) {
        return { value: Number.POSITIVE_INFINITY }
      }
      const value = numberWithUnit(written, units)
      if (value === undefined) return wrong(`${quoted(text)} is not ${shape.replaceAll('`', '')}`)
      if (value < min) return wrong(`${quoted(text)} is too small, at least ${format(min)} is needed`, format(min))
      if (value > max) return wrong(`${quoted(text)} is too large, at most ${format(max)} is possible`, format(max))
      return { value }
    },
    format: value => formatLimited(value, format),
    formatPlain: value => formatLimited(value, String),
  }
}

/** Undefined when it is no number, the unit is unknown, or the result is not whole. */
function numberWithUnit(written: string, units: readonly Unit[]): number | undefined {
  const match = /^(-?\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(written)
  if (match === null) return undefined
  const [, digits = '', suffix = ''] = match
  const factor = suffix === '' ? 1 : units.find(unit => unit[0] === suffix)?.[1]
  if (factor === undefined) return undefined
  const value = Number(digits) * factor
  const rounded = Math.round(value)
  return Math.abs(value - rounded) < 1e-6 * factor || suffix !== '' ? rounded : undefined
}

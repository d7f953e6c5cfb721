import { bytes, formatBytes } from './quantities.ts'
import { parseText } from './routes.ts'
import { parseItems, TreeReader } from './tree.ts'
import { oneOf, type Parsed, quoted, type ValueProblem, type ValueType, wrong } from './value-types.ts'

/** The values of the topic config `retention.class`. */
export const retentionClasses = ['bulk', 'normal', 'critical'] as const
export type RetentionClass = (typeof retentionClasses)[number]

/** A time of the day in which the link costs money. It begins on the days named; one that ends before it begins goes on into the next day. */
export interface MeteredWindow {
  /** Minutes since midnight, local time. */
  readonly fromMinute: number
  readonly toMinute: number
  /** Names of the days, `mon` first. */
  readonly days: readonly Day[]
  /** Bytes a second in it; 0: nothing goes up, `Infinity`: as much as at other times. */
  readonly rate: number
  /** What may go up in it. */
  readonly classes: readonly RetentionClass[]
}

export const weekDays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
export type Day = (typeof weekDays)[number]

const hourMinutes = 60
const dayMinutes = 24 * hourMinutes
const maxWindows = 50
const forever = Number.POSITIVE_INFINITY

/** The setting `uplink.metered`: a YAML list, or the same as text. */
export const meteredWindows: ValueType<readonly MeteredWindow[]> = {
  configType: 'STRING',
  shape: 'a list of windows',
  parse: text => parseText(text, parseWindows),
  parseTree: parseWindows,
  format: formatWindows,
  formatPlain: formatWindows,
}

/** `08:00 to 18:00 mon-fri`, for people. */
export const windowName = ({ fromMinute, toMinute, days }: MeteredWindow): string =>
  `${formatTime(fromMinute)} to ${formatTime(toMinute)}${days.length === weekDays.length ? '' : ` ${formatDays(days)}`}`

export const formatTime = (minute: number): string =>
  `${twoDigits(Math.floor(minute / hourMinutes))}:${twoDigits(minute % hourMinutes)}`

const twoDigits = (value: number): string => String(value).padStart(2, '0')

function parseWindows(tree: unknown): Parsed<readonly MeteredWindow[]> {
  const parsed = parseItems(tree, readWindow)
  const tooMany = 'value' in parsed && parsed.value.length > maxWindows
  return tooMany ? wrong(`at most ${maxWindows} windows are possible`) : parsed
}

function readWindow(
  tree: unknown,
  place: string,
): { item: MeteredWindow | undefined; problems: readonly ValueProblem[] } {
  const reader = new TreeReader(tree, place, ['from', 'to', 'days', 'rate', 'classes'])
  const from = readTime(reader, 'from')
  const to = readTime(reader, 'to')
  const days = readDays(reader)
  const rateText = reader.text('rate', false)
  const rate = rateText === undefined ? forever : reader.take('rate', bytes().parse(rateText))
  const classes = readClasses(reader)
  if (from !== undefined && from === to) reader.fail('to', 'is where the window begins', '24:00')
  if (rate === forever && classes.length === retentionClasses.length)
    reader.fail('', 'the window changes nothing: give it a rate, or the classes that may use it')
  const isWhole = from !== undefined && to !== undefined && rate !== undefined
  const item =
    isWhole && reader.problems.length === 0 ? { fromMinute: from, toMinute: to, days, rate, classes } : undefined
  return { item, problems: reader.problems }
}

function readTime(reader: TreeReader, key: 'from' | 'to'): number | undefined {
  const text = reader.text(key, true)
  if (text === undefined) return undefined
  const [, hours, minutes] = /^(\d{1,2}):(\d{2})$/.exec(text.trim()) ?? []
  const minute = Number(hours) * hourMinutes + Number(minutes)
  if (Number(minutes) < hourMinutes && minute <= dayMinutes - (key === 'from' ? 1 : 0)) return minute
  reader.fail(key, `${quoted(text)} is not a time of the day, such as 18:30`)
  return undefined
}

function readDays(reader: TreeReader): readonly Day[] {
  const found = new Set<Day>()
  const { problems } = reader
  for (const text of reader.list('days', false) ?? weekDays) {
    const [first, last = first, ...more] = text
      .toLowerCase()
      .split('-')
      .map(one => one.trim())
    const [from, to] = [first, last].map(name => weekDays.indexOf(name as Day)) as [number, number]
    if (from < 0 || to < 0 || more.length > 0) {
      reader.fail('days', `${quoted(text)} is not a day or a span of days`, 'mon-fri')
      continue
    }
    const span = (to - from + weekDays.length) % weekDays.length
    for (let day = 0; day <= span; day++) found.add(weekDays[(from + day) % weekDays.length]!)
  }
  if (found.size === 0 && problems.length === 0) reader.fail('days', 'no day is named', 'mon-fri')
  return weekDays.filter(day => found.has(day))
}

function readClasses(reader: TreeReader): readonly RetentionClass[] {
  const named = reader.list('classes', false)
  if (named === undefined) return retentionClasses
  const classes = named.map(text => reader.take('classes', oneOf(retentionClasses).parse(text)))
  if (classes.length === 0) reader.fail('classes', 'is empty; where nothing is to go up, say rate: 0')
  return retentionClasses.filter(one => classes.includes(one))
}

/** `mon-fri` for days in a row, `mon,wed` for others. */
function formatDays(days: readonly Day[]): string {
  const [first, last] = [weekDays.indexOf(days[0]!), weekDays.indexOf(days.at(-1)!)]
  const isRow = days.length > 2 && last - first === days.length - 1
  return isRow ? `${days[0]}-${days.at(-1)}` : days.join(',')
}

function formatWindows(windows: readonly MeteredWindow[]): string {
  return JSON.stringify(
    windows.map(({ fromMinute, toMinute, days, rate, classes }) => ({
      from: formatTime(fromMinute),
      to: formatTime(toMinute),
      ...(days.length === weekDays.length ? {} : { days: formatDays(days) }),
      ...(rate === forever ? {} : { rate: formatBytes(rate) }),
      ...(classes.length === retentionClasses.length ? {} : { classes: classes.join(',') }),
    })),
  )
}

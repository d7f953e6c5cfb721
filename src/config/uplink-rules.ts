import { duration, formatDuration, integer, MINUTE_MS } from './quantities.ts'
import { parseText } from './routes.ts'
import { topicPatternSyntax } from './topic-pattern.ts'
import { parseItems, TreeReader } from './tree.ts'
import { oneOf, type Parsed, quoted, type ValueProblem, type ValueType, wrong } from './value-types.ts'

/** Highest first: of a lower one goes only what a higher one leaves room for. */
export const priorities = ['high', 'normal', 'low'] as const
export type Priority = (typeof priorities)[number]

const orders = ['oldest-first', 'newest-first'] as const
export type Order = (typeof orders)[number]

/** How topics go up. The first rule that matches a topic holds for it. */
export interface UplinkRule {
  /** Names; `*` stands for any characters. */
  readonly topics: readonly string[]
  readonly priority: Priority
  /** Whether the newest records of a backlog go before the older ones, which then fill up beside them. */
  readonly order: Order
  /** What is older is not sent; `Infinity`: everything is. By the life of the log. */
  readonly ttlMs: number
  /** Of what lies more than `lag` records behind the end goes one of so many per key; undefined: all. */
  readonly thin: { readonly oneOf: number; readonly lag: number } | undefined
}

/** What holds for a topic that no rule names. */
export const plainRule: UplinkRule = {
  topics: ['*'],
  priority: 'normal',
  order: 'oldest-first',
  ttlMs: Number.POSITIVE_INFINITY,
  thin: undefined,
}

const maxRules = 100
const thinLag = 10_000
/** Log age counts seconds. */
const ttl = duration({ min: MINUTE_MS })

/** The setting `uplink.rules`: a YAML list, or the same as text. */
export const uplinkRules: ValueType<readonly UplinkRule[]> = {
  configType: 'STRING',
  shape: 'a list of rules',
  parse: text => parseText(text, parseRules),
  parseTree: parseRules,
  format: formatRules,
  formatPlain: formatRules,
}

function parseRules(tree: unknown): Parsed<readonly UplinkRule[]> {
  const parsed = parseItems(tree, readRule)
  const tooMany = 'value' in parsed && parsed.value.length > maxRules
  return tooMany ? wrong(`at most ${maxRules} rules are possible`) : parsed
}

function readRule(tree: unknown, place: string): { item: UplinkRule | undefined; problems: readonly ValueProblem[] } {
  const reader = new TreeReader(tree, place, ['topics', 'priority', 'order', 'ttl', 'thin', 'thin.lag'])
  const topics = readTopics(reader)
  const priority = reader.take('priority', oneOf(priorities).parse(reader.text('priority', false) ?? 'normal'))
  const order = reader.take('order', oneOf(orders).parse(reader.text('order', false) ?? plainRule.order))
  const ttlText = reader.text('ttl', false)
  const ttlMs = ttlText === undefined ? plainRule.ttlMs : reader.take('ttl', ttl.parse(ttlText))
  const thin = readThin(reader)
  if (thin !== undefined && order === 'newest-first')
    reader.fail('thin', 'goes with order: oldest-first only', 'oldest-first')
  const isWhole = topics !== undefined && priority !== undefined && order !== undefined && ttlMs !== undefined
  const item = isWhole && reader.problems.length === 0 ? { topics, priority, order, ttlMs, thin } : undefined
  return { item, problems: reader.problems }
}

function readThin(reader: TreeReader): UplinkRule['thin'] {
  const text = reader.text('thin', false)
  const lagText = reader.text('thin.lag', false)
  const lag = lagText === undefined ? thinLag : reader.take('thin.lag', integer({ max: 1e9 }).parse(lagText))
  if (text === undefined) {
    if (lagText !== undefined) reader.fail('thin.lag', 'has no meaning without thin')
    return undefined
  }
  const oneOf = reader.take('thin', integer({ min: 2, max: 1e6 }).parse(text))
  return oneOf === undefined || lag === undefined ? undefined : { oneOf, lag }
}

function readTopics(reader: TreeReader): readonly string[] | undefined {
  const topics = reader.list('topics', true)
  for (const topic of topics ?? []) {
    if (!topicPatternSyntax.test(topic))
      reader.fail('topics', `${quoted(topic)} is not a topic name; \`*\` stands for any characters`)
  }
  return topics
}

function formatRules(rules: readonly UplinkRule[]): string {
  const written = rules.map(({ topics, priority, order, ttlMs, thin }) => ({
    topics,
    priority,
    ...(order === plainRule.order ? {} : { order }),
    ...(ttlMs === plainRule.ttlMs ? {} : { ttl: formatDuration(ttlMs) }),
    ...(thin === undefined ? {} : { thin: thin.oneOf, 'thin.lag': thin.lag }),
  }))
  return JSON.stringify(written)
}

import { duration, formatDuration } from './quantities.ts'
import { parseText } from './routes.ts'
import { parseTemplate, type Template } from './template.ts'
import { parseItems, TreeReader } from './tree.ts'
import { type Priority, priorities } from './uplink-rules.ts'
import { oneOf, type Parsed, quoted, type ValueProblem, type ValueType, wrong } from './value-types.ts'

/** From a topic of the central cluster to one here. Of the rules for one topic the first that fits a record takes it. */
export interface DownlinkRule {
  /** Topic of the central cluster. */
  readonly topic: string
  /** What the record's key must be; `{gateway}` is filled in, one `*` stands for any characters. Undefined: any key, or none. */
  readonly key: Template | undefined
  /** Headers that the record must have, with these values. */
  readonly headers: ReadonlyMap<string, Template>
  /** Topic here. */
  readonly to: string
  /** Age beyond which a record is not taken, nor delivered; Infinity: none. */
  readonly ttlMs: number
  /** While several topics have a backlog, those with a lower one wait. */
  readonly priority: Priority
  /** Where reading begins when the gateway first sees the topic. */
  readonly from: 'latest' | 'earliest'
  /** Topic here that is told of records which were not taken. */
  readonly report: string | undefined
}

/** Rules that a gateway may have; each costs a comparison per record that comes down. */
const MAX_DOWNLINK_RULES = 100

const topicName = /^[A-Za-z0-9._-]{1,249}$/

/** The setting `downlink`: a YAML list, or the same as text. */
export const downlink: ValueType<readonly DownlinkRule[]> = {
  configType: 'STRING',
  shape: 'a list of downlink rules',
  parse: text => parseText(text, parseDownlink),
  parseTree: parseDownlink,
  format: formatDownlink,
  formatPlain: formatDownlink,
}

export function parseDownlink(tree: unknown): Parsed<readonly DownlinkRule[]> {
  const parsed = parseItems(tree, readRule)
  const tooMany = 'value' in parsed && parsed.value.length > MAX_DOWNLINK_RULES
  return tooMany ? wrong(`at most ${MAX_DOWNLINK_RULES} downlink rules are possible`) : parsed
}

const keys = ['topic', 'key', 'header', 'to', 'ttl', 'priority', 'from', 'report']

function readRule(tree: unknown, place: string): { item: DownlinkRule | undefined; problems: readonly ValueProblem[] } {
  const reader = new TreeReader(tree, place, keys)
  const topic = readTopic(reader, 'topic', true)
  const to = readTopic(reader, 'to', false) ?? topic
  if (to?.startsWith('__'))
    reader.fail('to', 'names that begin with __ belong to the broker', to.replace(/^_+/, '') || 'commands')
  const rule = {
    key: readKey(reader),
    headers: readHeaders(reader),
    ttlMs: readTtl(reader),
    priority: reader.take('priority', oneOf(priorities).parse(reader.text('priority', false) ?? 'normal')) ?? 'normal',
    from: readFrom(reader),
    report: readTopic(reader, 'report', false),
  }
  const bad = reader.problems.length > 0 || topic === undefined || to === undefined
  return { item: bad ? undefined : { topic, to, ...rule }, problems: reader.problems }
}

function readTopic(reader: TreeReader, key: string, needed: boolean): string | undefined {
  const text = reader.text(key, needed)
  if (text !== undefined && !topicName.test(text)) reader.fail(key, `${quoted(text)} is not a topic name`)
  return text
}

function readKey(reader: TreeReader): Template | undefined {
  const text = reader.text('key', false)
  if (text === undefined) return undefined
  if (text.split('*').length > 2) reader.fail('key', `${quoted(text)} has more than one *`, '{gateway}/*')
  return reader.take('key', parseTemplate(text, ['gateway']))
}

function readHeaders(reader: TreeReader): ReadonlyMap<string, Template> {
  const headers = new Map<string, Template>()
  for (const [name, text] of reader.texts('header')) {
    const template = reader.take(`header.${name}`, parseTemplate(text, ['gateway']))
    if (template !== undefined) headers.set(name, template)
  }
  return headers
}

function readTtl(reader: TreeReader): number {
  const text = reader.text('ttl', false)
  if (text === undefined) return Number.POSITIVE_INFINITY
  return reader.take('ttl', duration({ min: 1000 }).parse(text)) ?? Number.POSITIVE_INFINITY
}

function readFrom(reader: TreeReader): 'latest' | 'earliest' {
  const text = reader.text('from', false) ?? 'latest'
  if (text === 'latest' || text === 'earliest') return text
  reader.fail('from', `${quoted(text)} is neither latest nor earliest`, 'latest')
  return 'latest'
}

function formatDownlink(rules: readonly DownlinkRule[]): string {
  return JSON.stringify(
    rules.map(({ topic, key, headers, to, ttlMs, priority, from, report }) => ({
      topic,
      ...(key === undefined ? {} : { key: key.text }),
      ...(headers.size > 0 ? { header: Object.fromEntries([...headers].map(([name, { text }]) => [name, text])) } : {}),
      to,
      ...(ttlMs === Number.POSITIVE_INFINITY ? {} : { ttl: formatDuration(ttlMs) }),
      ...(priority === 'normal' ? {} : { priority }),
      ...(from === 'latest' ? {} : { from }),
      ...(report === undefined ? {} : { report }),
    })),
  )
}

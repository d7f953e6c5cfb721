import type { GatewayOverview, TopicSummary } from '../http/status.ts'
import { sizeText } from './size-text.ts'
import { formatTable } from './table.ts'
import { clockLine, wearLine } from './wear-text.ts'

/** A gateway at one moment. */
export interface Sample {
  readonly atMs: number
  readonly gateway: GatewayOverview
  readonly topics: readonly TopicSummary[]
  readonly groups: readonly {
    readonly id: string
    readonly state: string
    readonly members: number
    /** Of the partitions where it has committed something; null when there are none, as kafka-consumer-groups shows `-`. */
    readonly lag: number | null
    /** Partitions that a member has and the group has committed nothing of: what they lag nobody knows. */
    readonly uncommitted: number
  }[]
  readonly clients: number
}

/** How much is shown: everything where there is no terminal. */
export interface ScreenRoom {
  readonly columns: number
  readonly rows: number
}

export const wholeRoom: ScreenRoom = { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY }

/** Topics and groups at most. */
export const maxRows = 15
/** Of a name, where columns are short. */
const leastNameColumns = 12
const columnGap = 2

/** Records a second since the sample before; a topic that was trimmed meanwhile counts as 0. */
const rateOf = (topic: TopicSummary, before: Sample | undefined, seconds: number): number => {
  const was = before?.topics.find(({ id }) => id === topic.id)?.records
  return was === undefined || seconds <= 0 ? 0 : Math.max(0, Math.round((topic.records - was) / seconds))
}

/** A column beside the name. */
interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => string | number
  /** The first to go on a narrow screen has the lowest. */
  readonly rank: number
}

type TopicRow = TopicSummary & { readonly rate: number }
type GroupRow = Sample['groups'][number]

const topicColumns: readonly Column<TopicRow>[] = [
  { title: 'PARTITIONS', cell: topic => topic.partitions, rank: 0 },
  { title: 'IN/S', cell: topic => topic.rate, rank: 3 },
  { title: 'RECORDS', cell: topic => topic.records, rank: 2 },
  { title: 'SIZE', cell: topic => sizeText(topic.sizeBytes), rank: 1 },
]

const groupColumns: readonly Column<GroupRow>[] = [
  { title: 'STATE', cell: group => group.state, rank: 2 },
  { title: 'MEMBERS', cell: group => group.members, rank: 1 },
  { title: 'LAG', cell: group => group.lag ?? '-', rank: 3 },
  { title: 'UNCOMMITTED', cell: group => group.uncommitted, rank: 0 },
]

/** As many columns as have room beside the name, and names cut to what is left. */
const fittedTable = <Row>(
  title: string,
  nameOf: (row: Row) => string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number,
): string[] => {
  const widthOf = ({ title, cell }: Column<Row>): number =>
    columnGap + rows.reduce((most, row) => Math.max(most, String(cell(row)).length), title.length)
  let shown = columns
  const beside = (): number => shown.reduce((sum, column) => sum + widthOf(column), 0)
  while (shown.length > 1 && leastNameColumns + beside() > width) {
    const least = Math.min(...shown.map(({ rank }) => rank))
    shown = shown.filter(({ rank }) => rank > least)
  }
  const nameColumns = Math.max(leastNameColumns, width - beside())
  const cells = rows.map(row => [cut(nameOf(row), nameColumns), ...shown.map(({ cell }) => cell(row))])
  return formatTable([title, ...shown.map(column => column.title)], cells)
    .trimEnd()
    .split('\n')
}

const cut = (text: string, columns: number): string =>
  text.length <= columns ? text : `${text.slice(0, columns - 3)}...`

/** Facts side by side, two spaces between them, in as many lines as it takes; a fact that is too long is broken between its words. */
const wrapped = (facts: string, width: number): string[] =>
  packed(
    facts.split('  ').flatMap(fact => (fact.length <= width ? [fact] : packed(fact.split(' '), width, ' '))),
    width,
    '  ',
  )

const packed = (parts: readonly string[], width: number, gap: string): string[] => {
  const lines: string[] = []
  for (const part of parts) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + gap.length + part.length <= width)
      lines[lines.length - 1] = last + gap + part
    else lines.push(part)
  }
  return lines
}

/** The gateway now, with rates since the sample before. */
export const topScreen = (now: Sample, before: Sample, { columns, rows }: ScreenRoom): string[] => {
  const { gateway } = now
  const seconds = (now.atMs - before.atMs) / 1000
  const topics = now.topics
    .map(topic => ({ ...topic, rate: rateOf(topic, before, seconds) }))
    .sort((a, b) => b.rate - a.rate || b.records - a.records)
  const rate = topics.reduce((sum, topic) => sum + topic.rate, 0)
  const used = gateway.disk.logBytes + gateway.disk.viewBytes
  const facts = [
    `${gateway.id}  version ${gateway.version}  up ${upText(gateway.uptimeMs)}`,
    `in ${rate}/s  MQTT clients ${now.clients}  memory ${sizeText(gateway.memory.residentBytes)}  ` +
      `disk ${sizeText(used)} of ${sizeText(gateway.disk.budgetBytes)}`,
    wearLine(gateway.wear),
    clockLine(gateway.clock),
  ].flatMap(line => wrapped(line, columns))
  const groups = fittedTable('GROUP', ({ id }) => id, groupColumns, now.groups, columns)
  // blank lines, the heading of the topics, a line for those that are left out, and the cursor's
  const room = Math.min(maxRows, Math.max(1, rows - facts.length - groups.length - 5))
  const topicLines = fittedTable('TOPIC', ({ name }) => name, topicColumns, topics.slice(0, room), columns)
  const more = topics.length > room ? [`(${topics.length - room} more topics)`] : []
  return [...facts, '', ...topicLines, ...more, '', ...groups]
}

const upText = (uptimeMs: number): string => {
  const minutes = Math.floor(uptimeMs / 60_000)
  if (minutes < 1) return `${Math.floor(uptimeMs / 1000)} s`
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d`
}

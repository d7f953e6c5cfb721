import type { AuditPartition, AuditReport, AuditUplink } from '../broker/audit-report.ts'
import type { Unsent } from '../state/uplink.ts'
import { ageText } from './age-text.ts'
import { plural } from './plural.ts'
import { formatTable } from './table.ts'

const none = '-'

/** Columns of the gateway's own numbers, and those of partitions that go up. */
const ownColumns: Readonly<Record<string, (row: AuditPartition) => string | number>> = {
  TOPIC: row => row.topic,
  PARTITION: row => row.partition,
  RECEIVED: row => row.received,
  STORED: row => row.stored,
  GONE: row => row.gone,
}
const uplinkColumns: Readonly<Record<string, (row: AuditUplink) => string | number>> = {
  SENT: row => row.sent,
  ACKNOWLEDGED: row => row.acknowledged ?? '?',
  WAITING: row => row.waiting,
  'NOT SENT': row => unsentText(row.notSent) || none,
  UPSTREAM: row => upstreamText(row),
}

/** `brooklet audit` for people: the numbers of each partition, the gaps, what is to be said of them, the verdict. */
export const auditLines = (report: AuditReport, gapTable: string): string => {
  const parts = [table(report), gapTable, remarks(report), mqttLine(report), verdictLine(report)]
  return parts.filter(part => part !== '').join('')
}

/** Partitions without a record say nothing. */
const table = ({ partitions, central }: AuditReport): string => {
  const rows = partitions.filter(({ received }) => received > 0)
  const heads = [...Object.keys(ownColumns), ...(central === null ? [] : Object.keys(uplinkColumns))]
  return formatTable(
    heads,
    rows.map(row => {
      const own = Object.values(ownColumns).map(cell => cell(row))
      if (central === null) return own
      return [...own, ...Object.values(uplinkColumns).map(cell => (row.uplink === null ? none : cell(row.uplink)))]
    }),
  )
}

const unsentText = (unsent: Unsent): string =>
  Object.entries(unsent)
    .map(([reason, offsets]) => `${offsets} ${reason}`)
    .join(', ')

/** Where the newest record stands. */
const upstreamText = ({ target, central }: AuditUplink): string => {
  const [first, ...others] = central
  if (first === undefined) return none
  if (others.length > 0) return `${target}, ${central.length} partitions`
  return `${target}/${first.partition} through ${first.last}`
}

const remarks = ({ partitions }: AuditReport): string => {
  const lines = (key: 'notes' | 'unexplained', word: string): string[] =>
    partitions.flatMap(row => row[key].map(text => `${word}: ${row.topic}/${row.partition}: ${text}\n`))
  const known = partitions.flatMap(row =>
    row.acknowledged.map(
      ({ text, by, agoSeconds }) =>
        `acknowledged: ${row.topic}/${row.partition}: ${text} (${by}, ${ageText(agoSeconds)} ago)\n`,
    ),
  )
  const all = [...lines('notes', 'note'), ...known, ...lines('unexplained', 'UNEXPLAINED')]
  return all.length === 0 ? '' : `\n${all.join('')}`
}

const mqttLine = ({ mqtt: { received, stored, refused } }: AuditReport): string =>
  received === 0 && stored === 0
    ? ''
    : `\nMQTT since the start: ${plural(received, 'publish')} received, ${plural(stored, 'record')} stored, ${refused} refused\n`

const counted = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`

const verdictLine = ({ verdict, central, partitions }: AuditReport): string => {
  const received = partitions.reduce((sum, row) => sum + row.received, 0)
  const of = `of ${plural(received, 'record')}`
  if (central === null) {
    const gone = partitions.reduce((sum, row) => sum + row.gone, 0)
    const here = counted(received - gone, 'is here', 'are here')
    return `\nexplained: ${of} ${here}, ${counted(gone, 'is gone', 'are gone')}; there is no uplink\n`
  }
  const up = partitions.flatMap(({ uplink }) => (uplink === null ? [] : [uplink]))
  const sum = (count: (row: AuditUplink) => number): number => up.reduce((total, row) => total + count(row), 0)
  const local = received - partitions.reduce((total, row) => total + (row.uplink === null ? 0 : row.received), 0)
  const never = sum(({ notSent }) => Object.values(notSent).reduce((total, offsets) => total + offsets, 0))
  const what = [
    counted(
      sum(({ sent }) => sent),
      'was sent up',
      'were sent up',
    ),
    counted(
      sum(({ waiting }) => waiting),
      'waits',
      'wait',
    ),
    ...(never === 0 ? [] : [`${counted(never, 'was', 'were')} not sent, for the reasons above`]),
    ...(local === 0 ? [] : [counted(local, 'stays here', 'stay here')]),
  ].join(', ')
  if (verdict === 'unexplained') {
    const differences = partitions.reduce((total, { unexplained }) => total + unexplained.length, 0)
    const isKnowable = partitions.some(({ losses }) => losses.length > 0)
    const advice = isKnowable ? 'what the central cluster has lost for good: brooklet audit acknowledge TOPIC\n' : ''
    return `\nUNEXPLAINED: ${plural(differences, 'difference')}; ${of} ${what}\n${advice}`
  }
  if (verdict === 'unchecked')
    return `\nUNCHECKED: the central cluster could not be asked: ${central.error}; ${of} ${what}\n`
  const known = partitions.reduce((total, { acknowledged }) => total + acknowledged.length, 0)
  const but = known === 0 ? '' : `, but for ${known === 1 ? 'a loss' : `${known} losses`} that somebody acknowledged`
  return `\nexplained: ${of} ${what}; the central cluster at ${central.bootstrap} agrees${but}\n`
}

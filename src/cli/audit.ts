import { Command } from 'commander'
import type { GapSummary, GatewayOverview } from '../http/status.ts'
import { ageText } from './age-text.ts'
import { acknowledgeCommand } from './audit-acknowledge.ts'
import { auditLines } from './audit-lines.ts'
import { requestAudit, requestDeepAudit } from './audit-request.ts'
import { auditedTopic } from './audited-topic.ts'
import { HttpClient } from './http-client.ts'
import { plural } from './plural.ts'
import { formatTable, printList } from './table.ts'

interface AuditFlags {
  readonly gaps?: boolean
  readonly deep?: boolean
  readonly topic?: string
  readonly http: string
  readonly json?: boolean
}

const gapColumns: Readonly<Record<string, (gap: GapSummary) => string | number>> = {
  TOPIC: gap => gap.topic ?? '(internal)',
  PARTITION: gap => gap.partition,
  FIRST: gap => gap.firstOffset,
  LAST: gap => gap.lastOffset,
  OFFSETS: gap => gap.records,
  REASON: gap => gap.reason,
  AGO: gap => ageText(gap.agoSeconds),
}

/** The gaps that are listed, and a line about those that are not any more. */
const readGaps = async (
  client: HttpClient,
  topic: string | undefined,
): Promise<{ gaps: readonly GapSummary[]; older: string }> => {
  const [all, { gaps: known }] = await Promise.all([
    client.get<GapSummary[]>('/api/v1/gaps'),
    client.get<GatewayOverview>('/api/v1/gateway'),
  ])
  const { count, records } = known.summed
  const older = `and ${plural(count, 'older gap')} with ${plural(records, 'offset')} in all, no longer listed (gaps.max)\n`
  return { gaps: all.filter(gap => topic === undefined || gap.topic === topic), older: count === 0 ? '' : older }
}

const listGaps = async ({ topic, http, json }: AuditFlags): Promise<void> => {
  const { gaps, older } = await readGaps(new HttpClient(http), topic)
  printList(gaps, gapColumns, json)
  // a list in JSON stays a list
  const output = json ? process.stderr : process.stdout
  output.write(older)
}

const audit = async ({ topic, http, json, deep }: AuditFlags): Promise<void> => {
  const client = new HttpClient(http)
  const whole = await (deep ? requestDeepAudit(client) : requestAudit(client))
  const report = topic === undefined ? whole : auditedTopic(whole, topic)
  const { gaps, older } = await readGaps(client, topic)
  if (json) process.stdout.write(`${JSON.stringify({ ...report, gaps }, null, 2)}\n`)
  else {
    const rows = gaps.map(gap => Object.values(gapColumns).map(cell => cell(gap)))
    const gapTable = gaps.length === 0 ? '' : `\nGaps:\n${formatTable(Object.keys(gapColumns), rows)}${older}`
    process.stdout.write(auditLines(report, gapTable))
  }
  if (report.verdict !== 'explained') process.exitCode = 1
}

/** `brooklet audit`: what became of every record, and whether the central cluster agrees. */
export const auditCommand = (): Command =>
  new Command('audit')
    .summary('what became of every record')
    .description(
      'what became of every record, compared with the central cluster; exit code 1 when something is unexplained',
    )
    .option('--gaps', 'only list the records that retention, the disk budget or damage took, or that did not go up')
    .option('--deep', 'read back what stands in the central cluster, and compare the records: as slow as the link')
    .option('--topic <name>', 'of this topic only')
    .option('--http <host:port>', "the gateway's HTTP listener", '127.0.0.1:8190')
    .option('--json', 'print JSON')
    .action((flags: AuditFlags) => (flags.gaps ? listGaps(flags) : audit(flags)))
    .addCommand(acknowledgeCommand())

import { Command } from 'commander'
import type { GapSummary, GatewayOverview } from '../http/status.ts'
import { HttpClient } from './http-client.ts'
import { plural } from './plural.ts'
import { printList } from './table.ts'

interface AuditFlags {
  readonly gaps?: boolean
  readonly topic?: string
  readonly http: string
  readonly json?: boolean
}

/** Seconds as the two largest units: `3d 4h`. */
export const ageText = (seconds: number): string => {
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ] as const
  const first = units.findIndex(([, unit]) => seconds >= unit)
  if (first < 0) return '0s'
  let left = Math.floor(seconds)
  return units
    .slice(first, first + 2)
    .map(([name, unit]) => {
      const count = Math.floor(left / unit)
      left -= count * unit
      return count === 0 ? '' : `${count}${name}`
    })
    .join(' ')
    .trim()
}

/** `brooklet audit`: what the log lost, and why. */
export const auditCommand = (): Command =>
  new Command('audit')
    .description('list what left the log before everybody had read it')
    .requiredOption(
      '--gaps',
      'records that retention, the disk budget or damage took, or that were skipped on the way up',
    )
    .option('--topic <name>', 'of this topic only')
    .option('--http <host:port>', "the gateway's HTTP listener", '127.0.0.1:8190')
    .option('--json', 'print JSON')
    .action(async ({ topic, http, json }: AuditFlags) => {
      const client = new HttpClient(http)
      const [all, { gaps: known }] = await Promise.all([
        client.get<GapSummary[]>('/api/v1/gaps'),
        client.get<GatewayOverview>('/api/v1/gateway'),
      ])
      const gaps = topic === undefined ? all : all.filter(gap => gap.topic === topic)
      printList(
        gaps,
        {
          TOPIC: gap => gap.topic ?? '(internal)',
          PARTITION: gap => gap.partition,
          FIRST: gap => gap.firstOffset,
          LAST: gap => gap.lastOffset,
          OFFSETS: gap => gap.lastOffset - gap.firstOffset + 1,
          REASON: gap => gap.reason,
          AGO: gap => ageText(gap.agoSeconds),
        },
        json,
      )
      const { count, records } = known.summed
      if (count === 0) return
      const older = `and ${plural(count, 'older gap')} with ${plural(records, 'offset')} in all, no longer listed (gaps.max)`
      // a list in JSON stays a list
      const output = json ? process.stderr : process.stdout
      output.write(`${older}\n`)
    })

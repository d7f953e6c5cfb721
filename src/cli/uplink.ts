import { Command } from 'commander'
import type { UplinkPartition, UplinkSummary } from '../broker/uplink-summary.ts'
import { ageText } from './audit.ts'
import { HttpClient } from './http-client.ts'
import { plural } from './plural.ts'
import { sizeText } from './size-text.ts'
import { formatTable, printList } from './table.ts'

interface StatusFlags {
  readonly http: string
  readonly json?: boolean
}

const columns: Readonly<Record<string, (row: UplinkPartition) => string | number>> = {
  TOPIC: row => row.topic,
  PARTITION: row => row.partition,
  TARGET: row => row.target,
  UPSTREAM: row => row.upstreamOffset,
  END: row => row.highWatermark,
  LAG: row => row.lagRecords,
  BYTES: row => sizeText(row.lagBytes),
  OLDEST: row => (row.lagSeconds === null ? '-' : ageText(row.lagSeconds)),
}

const seconds = (ms: number): string => ageText(Math.ceil(ms / 1000))

/** What the state is, what is against it, and what it carries. */
const headline = ({ state, error, retryInMs, bytesPerSecond, partitions }: UplinkSummary): string => {
  const lag = partitions.reduce((sum, { lagRecords }) => sum + lagRecords, 0)
  const parts = [
    state,
    lag === 0 ? 'nothing waits' : `${plural(lag, 'record')} not upstream`,
    ...(bytesPerSecond === null ? [] : [`the link carried ${sizeText(bytesPerSecond)}/s`]),
    ...(retryInMs === null ? [] : [`next attempt in ${seconds(retryInMs)}`]),
  ]
  return `${parts.join(', ')}\n${error === null ? '' : `last error: ${error}\n`}`
}

/** One line for each partition that is refused. */
const troubles = ({ partitions }: UplinkSummary): string =>
  partitions
    .filter(({ error }) => error !== null)
    .map(({ topic, partition, error, retryInMs }) => {
      const next = retryInMs === null ? '' : `; next attempt in ${seconds(retryInMs)}`
      return `partition ${partition} of ${topic} waits: ${error}${next}\n`
    })
    .join('')

const status = async ({ http, json }: StatusFlags): Promise<void> => {
  const summary = await new HttpClient(http).get<UplinkSummary>('/api/v1/uplink')
  if (json) return printList([summary], {}, true)
  const { partitions } = summary
  const rows = partitions.map(row => Object.values(columns).map(cell => cell(row)))
  process.stdout.write(`${headline(summary)}${troubles(summary)}${formatTable(Object.keys(columns), rows)}`)
}

/** `brooklet uplink status`: what the central cluster has, and what waits. */
export const uplinkCommand = (): Command =>
  new Command('uplink')
    .description('the way up to the central cluster')
    .addCommand(
      new Command('status')
        .description('what is upstream, what waits, and why')
        .option('--http <host:port>', "the gateway's HTTP listener", '127.0.0.1:8190')
        .option('--json', 'print JSON')
        .action(status),
    )

import { Command } from 'commander'
import type { UplinkPartition, UplinkSummary } from '../broker/uplink-summary.ts'
import { ageText } from './audit.ts'
import { HttpClient } from './http-client.ts'
import { plural } from './plural.ts'
import { sizeText } from './size-text.ts'
import { formatTable, printList } from './table.ts'

interface HttpFlag {
  readonly http: string
}

interface StatusFlags extends HttpFlag {
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

const pause = async ({ http }: HttpFlag): Promise<void> => {
  const summary = await new HttpClient(http).post<UplinkSummary>('/api/v1/uplink/pause')
  process.stdout.write(`${headline(summary)}nothing goes up until \`brooklet uplink resume\`, also after restarts\n`)
}

const resume = async ({ http }: HttpFlag): Promise<void> => {
  process.stdout.write(headline(await new HttpClient(http).post<UplinkSummary>('/api/v1/uplink/resume')))
}

const overHttp = (name: string, description: string): Command =>
  new Command(name)
    .description(description)
    .option('--http <host:port>', "the gateway's HTTP listener", '127.0.0.1:8190')

/** `brooklet uplink`: what the central cluster has and what waits, and how an operator steers it. */
export const uplinkCommand = (): Command =>
  new Command('uplink')
    .description('the way up to the central cluster')
    .addCommand(
      overHttp('status', 'what is upstream, what waits, and why').option('--json', 'print JSON').action(status),
    )
    .addCommand(overHttp('pause', 'send nothing up until it is resumed, also after restarts').action(pause))
    .addCommand(overHttp('resume', 'go on after a pause').action(resume))

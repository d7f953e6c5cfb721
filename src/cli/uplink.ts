import { Command } from 'commander'
import type { UplinkPartition, UplinkSummary } from '../broker/uplink-summary.ts'
import { ageText } from './age-text.ts'
import { HttpClient, HttpFailure } from './http-client.ts'
import { maxPartitions, wholeNumber } from './option-values.ts'
import { plural } from './plural.ts'
import { sizeText } from './size-text.ts'
import { formatTable, printList } from './table.ts'
import { forkCommand } from './uplink-fork.ts'

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
  PRIORITY: row => row.priority,
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

/** One line where there are no transactions: what that means, and what would help. */
const delivery = ({ delivery: kind, deliveryReason }: UplinkSummary): string => {
  if (kind === 'read-back') return `exactly once by reading back, without transactions: ${deliveryReason}\n`
  if (kind === 'at-least-once')
    return `at-least-once: after a failure records may be upstream twice: ${deliveryReason}\n`
  return ''
}

/** One line for each cap and window that keeps something back. */
const holds = (summary: UplinkSummary): string => {
  const classes = new Map<string, string[]>()
  for (const { by, retentionClass } of summary.holds) classes.set(by, [...(classes.get(by) ?? []), retentionClass])
  return [...classes].map(([by, held]) => `${held.join(', ')} held back by ${by}\n`).join('')
}

/** One line where rules left something out. */
const leftOut = ({ partitions }: UplinkSummary): string => {
  const expired = partitions.reduce((sum, { expiredRecords }) => sum + expiredRecords, 0)
  const thinned = partitions.reduce((sum, { thinnedRecords }) => sum + thinnedRecords, 0)
  const counts = [...(expired > 0 ? [`${expired} expired`] : []), ...(thinned > 0 ? [`${thinned} thinned`] : [])]
  if (counts.length === 0) return ''
  return `records left out by uplink.rules: ${counts.join(', ')}; brooklet audit --gaps lists them\n`
}

/** One line for each partition of which nothing, or nothing now, is read from the central cluster. */
const unread = ({ partitions }: UplinkSummary): string =>
  partitions
    .filter(({ remoteProblem }) => remoteProblem !== null)
    .map(
      ({ topic, partition, remoteProblem }) =>
        `partition ${partition} of ${topic} is not read from the central cluster: ${remoteProblem}\n`,
    )
    .join('')

/** One line for each partition that is refused. */
const troubles = ({ partitions }: UplinkSummary): string =>
  partitions
    .filter(({ error }) => error !== null)
    .map(({ topic, partition, error, retryInMs, refused }) => {
      const next = retryInMs === null ? '' : `; next attempt in ${seconds(retryInMs)}`
      const what =
        refused === null ? '' : ` (offsets ${refused.first} to ${refused.last}; brooklet uplink skip gives them up)`
      return `partition ${partition} of ${topic} waits: ${error}${what}${next}\n`
    })
    .join('')

const status = async ({ http, json }: StatusFlags): Promise<void> => {
  const summary = await new HttpClient(http).get<UplinkSummary>('/api/v1/uplink')
  if (json) return printList([summary], {}, true)
  const { partitions } = summary
  const isRemote = partitions.some(({ totalStart }) => totalStart !== null)
  const shown = isRemote ? { ...columns, 'TOTAL START': (row: UplinkPartition) => row.totalStart ?? '-' } : columns
  const rows = partitions.map(row => Object.values(shown).map(cell => cell(row)))
  const lines = [headline, delivery, holds, leftOut, troubles, unread].map(part => part(summary)).join('')
  process.stdout.write(`${lines}${formatTable(Object.keys(shown), rows)}`)
}

const pause = async ({ http }: HttpFlag): Promise<void> => {
  const summary = await new HttpClient(http).post<UplinkSummary>('/api/v1/uplink/pause')
  process.stdout.write(`${headline(summary)}nothing goes up until \`brooklet uplink resume\`, also after restarts\n`)
}

const resume = async ({ http }: HttpFlag): Promise<void> => {
  process.stdout.write(headline(await new HttpClient(http).post<UplinkSummary>('/api/v1/uplink/resume')))
}

interface SkipFlags extends HttpFlag {
  readonly yes?: boolean
}

/** Says what would be given up; does it with `--yes`. */
const skip = async (topic: string, partition: number, { http, yes }: SkipFlags): Promise<void> => {
  const client = new HttpClient(http)
  const { partitions } = await client.get<UplinkSummary>('/api/v1/uplink')
  const where = `partition ${partition} of ${topic}`
  const found = partitions.find(row => row.topic === topic && row.partition === partition)
  if (found === undefined) throw new HttpFailure(`${where} does not go up; brooklet uplink status lists those that do`)
  if (found.error === null) throw new HttpFailure(`${where} is not refused by the central cluster: nothing to skip`)
  const { refused, error } = found
  if (refused === null)
    throw new HttpFailure(`${where} waits: ${error}; which batch it is is known after the next attempts`)
  const { first, last } = refused
  const what = `offsets ${first} to ${last} of ${where}; the central cluster says: ${error}`
  if (!yes) throw new HttpFailure(`this would never send up ${what}; say --yes to skip them`)
  const query = new URLSearchParams({ topic, partition: `${partition}`, first: `${first}`, last: `${last}` })
  await client.post<UplinkSummary>(`/api/v1/uplink/skip?${query}`)
  process.stdout.write(`skipped ${what}\n`)
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
    .addCommand(
      overHttp('skip', 'give up the batch that the central cluster refuses')
        .argument('<topic>')
        .argument('<partition>', 'its number', wholeNumber(0, maxPartitions - 1))
        .option('--yes', 'without it, it only says what would be skipped')
        .action(skip),
    )
    .addCommand(overHttp('resume', 'go on after a pause').action(resume))
    .addCommand(forkCommand())

import { Command } from 'commander'
import type { DownlinkPartition, DownlinkSummary } from '../broker/downlink-summary.ts'
import { ageText } from './age-text.ts'
import { HttpClient, HttpFailure } from './http-client.ts'
import { maxPartitions, wholeNumber } from './option-values.ts'
import { plural } from './plural.ts'
import { printList } from './table.ts'

interface Row extends DownlinkPartition {
  readonly topic: string
}

const columns: Readonly<Record<string, (row: Row) => string | number>> = {
  TOPIC: row => row.topic,
  PARTITION: row => row.partition,
  READ: row => row.centralOffset,
  END: row => row.centralEnd ?? '-',
  LAG: row => row.lagOffsets ?? '-',
  TAKEN: row => row.taken,
  EXPIRED: row => row.expired,
  REFUSED: row => row.refused,
  LOST: row => row.lost,
}

const headline = ({ error, takenError, topics }: DownlinkSummary): string => {
  const partitions = topics.flatMap(topic => topic.partitions)
  const lag = partitions.reduce((sum, { lagOffsets }) => sum + (lagOffsets ?? 0), 0)
  const state =
    topics.length === 0
      ? 'there are no downlink rules'
      : partitions.length === 0
        ? 'not connected yet'
        : lag === 0
          ? 'all is read'
          : `${plural(lag, 'offset')} not read`
  const untold = 'a restored gateway would not know what has come down'
  return `${state}\n${error === null ? '' : `last error: ${error}\n`}${takenError === null ? '' : `${untold}: ${takenError}\n`}`
}

/** One line for each topic or partition that nothing comes from. */
const troubles = ({ topics }: DownlinkSummary): string =>
  topics
    .flatMap(({ topic, error, partitions }) => [
      ...(error === null ? [] : [`topic ${topic} waits: ${error}\n`]),
      ...partitions
        .filter(partition => partition.error !== null)
        .map(({ partition, error: reason, unreadable, retryInMs }) => {
          const next = retryInMs === null ? '' : `; next attempt in ${ageText(Math.ceil(retryInMs / 1000))}`
          const wayOut = unreadable === null ? '' : ' (brooklet downlink skip gives it up)'
          return `partition ${partition} of ${topic} waits: ${reason}${wayOut}${next}\n`
        }),
    ])
    .join('')

/** One line for each rule that waits for devices. */
const deliveries = ({ deliveries: all }: DownlinkSummary): string =>
  all
    .filter(({ pending }) => pending > 0)
    .map(({ topic, partition, mqtt, pending, pendingTopics }) => {
      const where = `of partition ${partition} of ${topic}`
      const verb = pending === 1 ? 'waits' : 'wait'
      return `${plural(pending, 'record')} ${where} to ${mqtt} ${verb} for ${plural(pendingTopics, 'device')}\n`
    })
    .join('')

/** One line for each rule that is gone. */
const formerRules = ({ formerRules: all }: DownlinkSummary): string =>
  all
    .filter(({ pending }) => pending > 0)
    .map(({ rule, pending, droppedInSeconds }) => {
      const what = `${plural(pending, 'record')} that no device has`
      return `${what} of ${rule}: the rule is gone from the settings; dropped in ${ageText(droppedInSeconds)}\n`
    })
    .join('')

/** One line for each topic whose reports nobody hears of. */
const stayingReports = ({ stayingReports: all }: DownlinkSummary): string =>
  all.map(({ topic, reason }) => `reports in ${topic} do not go up: ${reason}\n`).join('')

const status = async ({ http, json }: { readonly http: string; readonly json?: boolean }): Promise<void> => {
  const summary = await new HttpClient(http).get<DownlinkSummary>('/api/v1/downlink')
  if (json) return printList([summary], {}, true)
  process.stdout.write(`${headline(summary)}${troubles(summary)}`)
  process.stdout.write(`${deliveries(summary)}${formerRules(summary)}${stayingReports(summary)}`)
  const rows = summary.topics.flatMap(({ topic, partitions }) => partitions.map(row => ({ topic, ...row })))
  if (rows.length > 0) printList(rows, columns, false)
}

interface SkipFlags {
  readonly http: string
  readonly yes?: boolean
}

/** Says what would be given up; does it with `--yes`. */
const skip = async (topic: string, partition: number, { http, yes }: SkipFlags): Promise<void> => {
  const client = new HttpClient(http)
  const { topics } = await client.get<DownlinkSummary>('/api/v1/downlink')
  const where = `partition ${partition} of ${topic}`
  const found = topics.find(one => one.topic === topic)?.partitions.find(one => one.partition === partition)
  if (found === undefined)
    throw new HttpFailure(`${where} does not come down; brooklet downlink status lists those that do`)
  const { unreadable, error } = found
  if (unreadable === null) throw new HttpFailure(`${where}: nothing of it is known that cannot be read`)
  const { first, last } = unreadable
  const what = `offsets ${first} to ${last} of ${where}: ${error}`
  if (!yes) throw new HttpFailure(`this would never bring down ${what}; say --yes to skip them`)
  const query = new URLSearchParams({ topic, partition: `${partition}`, first: `${first}`, last: `${last}` })
  await client.post<DownlinkSummary>(`/api/v1/downlink/skip?${query}`)
  process.stdout.write(`skipped ${what}\n`)
}

/** `brooklet downlink`: what came down from the central cluster, and what waits there. */
export const downlinkCommand = (): Command =>
  new Command('downlink')
    .description('the way down from the central cluster')
    .addCommand(
      new Command('status')
        .description('what came down, what waits there, and why')
        .option('--http <host:port>', "the gateway's HTTP listener", '127.0.0.1:8190')
        .option('--json', 'print JSON')
        .action(status),
    )
    .addCommand(
      new Command('skip')
        .description('give up what cannot be read of a topic of the central cluster')
        .argument('<topic>', 'its name there')
        .argument('<partition>', 'its number', wholeNumber(0, maxPartitions - 1))
        .option('--http <host:port>', "the gateway's HTTP listener", '127.0.0.1:8190')
        .option('--yes', 'without it, it only says what would be skipped')
        .action(skip),
    )

import { Command } from 'commander'
import type { GatewayOverview, GroupDetails, GroupSummary, TopicSummary } from '../http/status.ts'
import { sleep } from '../platform/clock.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { host } from '../platform/node/host.ts'
import { HttpClient } from './http-client.ts'
import { formatTable } from './table.ts'

interface TopFlags {
  readonly http: string
  readonly once?: boolean
}

interface Sample {
  readonly atMs: number
  readonly gateway: GatewayOverview
  readonly topics: readonly TopicSummary[]
  readonly groups: readonly {
    readonly id: string
    readonly state: string
    readonly members: number
    readonly lag: number
  }[]
  readonly clients: number
}

const everyMs = 1_000
const maxRows = 15
const home = '\u001b[H\u001b[J'

const MiB = 1024 * 1024
const mebibytes = (bytes: number): string => `${(bytes / MiB).toFixed(1)} MiB`

const sample = async (client: HttpClient): Promise<Sample> => {
  const [gateway, topics, summaries, clients] = await Promise.all([
    client.get<GatewayOverview>('/api/v1/gateway'),
    client.get<TopicSummary[]>('/api/v1/topics'),
    client.get<GroupSummary[]>('/api/v1/groups'),
    client.get<unknown[]>('/api/v1/clients'),
  ])
  const groups = await Promise.all(
    summaries.slice(0, maxRows).map(async ({ id, state, members }) => {
      const { offsets } = await client.get<GroupDetails>(`/api/v1/groups/${encodeURIComponent(id)}`)
      return { id, state, members, lag: offsets.reduce((sum, { lag }) => sum + (lag ?? 0), 0) }
    }),
  )
  return { atMs: nodeClock.monotonicMs(), gateway, topics, groups, clients: clients.length }
}

/** Records a second since the sample before; a topic that was trimmed meanwhile counts as 0. */
const rateOf = (topic: TopicSummary, before: Sample | undefined, seconds: number): number => {
  const was = before?.topics.find(({ id }) => id === topic.id)?.records
  return was === undefined || seconds <= 0 ? 0 : Math.max(0, Math.round((topic.records - was) / seconds))
}

const screenOf = (now: Sample, before: Sample | undefined): string => {
  const { gateway } = now
  const seconds = before === undefined ? 0 : (now.atMs - before.atMs) / 1000
  const topics = now.topics
    .map(topic => ({ ...topic, rate: rateOf(topic, before, seconds) }))
    .sort((a, b) => b.rate - a.rate || b.records - a.records)
  const rate = topics.reduce((sum, topic) => sum + topic.rate, 0)
  const used = gateway.disk.logBytes + gateway.disk.viewBytes
  const heading = [
    `${gateway.id}  up ${Math.round(gateway.uptimeMs / 1000)} s  version ${gateway.version}`,
    `in ${rate}/s  MQTT clients ${now.clients}  memory ${mebibytes(gateway.memory.residentBytes)}  ` +
      `disk ${mebibytes(used)} of ${mebibytes(gateway.disk.budgetBytes)}`,
  ]
  const topicRows = topics.slice(0, maxRows).map(({ name, partitions, records, sizeBytes, rate: each }) => {
    return [name, partitions, each, records, mebibytes(sizeBytes)]
  })
  const groupRows = now.groups.map(({ id, state, members, lag }) => [id, state, members, lag])
  const more = topics.length > maxRows ? `(${topics.length - maxRows} more topics)\n` : ''
  return [
    ...heading,
    '',
    formatTable(['TOPIC', 'PARTITIONS', 'IN/S', 'RECORDS', 'SIZE'], topicRows) + more,
    formatTable(['GROUP', 'STATE', 'MEMBERS', 'LAG'], groupRows),
  ].join('\n')
}

/** `brooklet top`: the gateway at a glance, once a second; one look when the output is no terminal. */
export const topCommand = (): Command =>
  new Command('top')
    .description('watch a running gateway')
    .option('--http <host:port>', 'HTTP listener of the gateway', '127.0.0.1:8190')
    .option('--once', 'two samples a second apart, then end')
    .action(async ({ http, once }: TopFlags) => {
      const client = new HttpClient(http)
      const live = host.stdoutIsTerminal && !once
      let stopped = false
      host.onStopSignal(() => {
        stopped = true
      })
      const release = host.stayAlive()
      let before = await sample(client)
      do {
        await sleep(nodeClock, everyMs)
        const now = await sample(client)
        process.stdout.write(`${live ? home : ''}${screenOf(now, before)}`)
        before = now
      } while (live && !stopped)
      release()
    })

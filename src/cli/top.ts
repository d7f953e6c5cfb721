import { Command } from 'commander'
import type { GatewayOverview, GroupDetails, GroupSummary, TopicSummary } from '../http/status.ts'
import { sleep } from '../platform/clock.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { host } from '../platform/node/host.ts'
import { HttpClient, HttpFailure } from './http-client.ts'
import { LiveScreen } from './live-screen.ts'
import { sizeText } from './size-text.ts'
import { formatTable } from './table.ts'
import { clockLine, wearLine } from './wear-text.ts'

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
    /** Of the partitions where it has committed something; null when there are none, as kafka-consumer-groups shows `-`. */
    readonly lag: number | null
    /** Partitions that a member has and the group has committed nothing of: what they lag nobody knows. */
    readonly uncommitted: number
  }[]
  readonly clients: number
}

const everyMs = 1_000
const maxRows = 15
/** Columns beside the name of a topic or group, and lines beside the topics and groups, on a terminal of 80 by 24. */
const otherColumns = 56
const otherLines = 10
const leastColumns = 12

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
      const known = offsets.filter(({ committedOffset }) => committedOffset !== null)
      const lag = known.length === 0 && offsets.length > 0 ? null : known.reduce((sum, { lag }) => sum + (lag ?? 0), 0)
      return { id, state, members, lag, uncommitted: offsets.length - known.length }
    }),
  )
  return { atMs: nodeClock.monotonicMs(), gateway, topics, groups, clients: clients.length }
}

/** Records a second since the sample before; a topic that was trimmed meanwhile counts as 0. */
const rateOf = (topic: TopicSummary, before: Sample | undefined, seconds: number): number => {
  const was = before?.topics.find(({ id }) => id === topic.id)?.records
  return was === undefined || seconds <= 0 ? 0 : Math.max(0, Math.round((topic.records - was) / seconds))
}

/** How much of a table fits on a terminal; everything where there is none. */
interface Room {
  readonly nameColumns: number
  readonly rows: number
}

const roomOf = (groups: number): Room => {
  const size = host.terminalSize()
  if (size === undefined) return { nameColumns: Number.POSITIVE_INFINITY, rows: maxRows }
  const rows = Math.min(maxRows, Math.max(1, size.rows - otherLines - Math.min(groups, maxRows)))
  return { nameColumns: Math.max(leastColumns, size.columns - otherColumns), rows }
}

const fitted = (name: string, { nameColumns }: Room): string =>
  name.length <= nameColumns ? name : `${name.slice(0, nameColumns - 3)}...`

const screenOf = (now: Sample, before: Sample, room: Room): string[] => {
  const { gateway } = now
  const seconds = (now.atMs - before.atMs) / 1000
  const topics = now.topics
    .map(topic => ({ ...topic, rate: rateOf(topic, before, seconds) }))
    .sort((a, b) => b.rate - a.rate || b.records - a.records)
  const rate = topics.reduce((sum, topic) => sum + topic.rate, 0)
  const used = gateway.disk.logBytes + gateway.disk.viewBytes
  const topicRows = topics.slice(0, room.rows).map(({ name, partitions, records, sizeBytes, rate: each }) => {
    return [fitted(name, room), partitions, each, records, sizeText(sizeBytes)]
  })
  const groupRows = now.groups.map(({ id, state, members, lag, uncommitted }) => {
    return [fitted(id, room), state, members, lag ?? '-', uncommitted]
  })
  return [
    `${gateway.id}  version ${gateway.version}  up ${upText(gateway.uptimeMs)}`,
    `in ${rate}/s  MQTT clients ${now.clients}  memory ${sizeText(gateway.memory.residentBytes)}  ` +
      `disk ${sizeText(used)} of ${sizeText(gateway.disk.budgetBytes)}`,
    wearLine(gateway.wear),
    clockLine(gateway.clock),
    '',
    ...formatTable(['TOPIC', 'PARTITIONS', 'IN/S', 'RECORDS', 'SIZE'], topicRows).trimEnd().split('\n'),
    ...(topics.length > room.rows ? [`(${topics.length - room.rows} more topics)`] : []),
    '',
    ...formatTable(['GROUP', 'STATE', 'MEMBERS', 'LAG', 'UNCOMMITTED'], groupRows).trimEnd().split('\n'),
  ]
}

const upText = (uptimeMs: number): string => {
  const minutes = Math.floor(uptimeMs / 60_000)
  if (minutes < 1) return `${Math.floor(uptimeMs / 1000)} s`
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d`
}

/** A gateway that was there may come back: until then the last sample stays, with a line that says so. */
const watch = async (
  client: HttpClient,
  first: Sample,
  stop: Promise<void>,
  isStopped: () => boolean,
): Promise<void> => {
  const screen = new LiveScreen({ wholeScreen: true })
  let before = first
  let shown: string[] = ['waiting for a second sample']
  while (!isStopped()) {
    await Promise.race([sleep(nodeClock, everyMs), stop])
    if (isStopped()) return
    try {
      const now = await sample(client)
      shown = screenOf(now, before, roomOf(now.groups.length))
      screen.draw(shown)
      before = now
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error
      screen.draw([error.message, ...shown.slice(1)])
    }
  }
}

/** `brooklet top`: the gateway at a glance, once a second; one look when the output is no terminal. */
export const topCommand = (): Command =>
  new Command('top')
    .description('watch a running gateway')
    .option('--http <host:port>', 'HTTP listener of the gateway', '127.0.0.1:8190')
    .option('--once', 'two samples a second apart, then end')
    .action(async ({ http, once }: TopFlags) => {
      const client = new HttpClient(http)
      let isStopped = false
      const stop = new Promise<void>(resolve =>
        host.onStopSignal(() => {
          isStopped = true
          resolve()
        }),
      )
      const release = host.stayAlive()
      const first = await sample(client)
      if (host.stdoutIsTerminal && !once) await watch(client, first, stop, () => isStopped)
      else {
        await sleep(nodeClock, everyMs)
        const lines = screenOf(await sample(client), first, { nameColumns: Number.POSITIVE_INFINITY, rows: maxRows })
        process.stdout.write(`${lines.join('\n')}\n`)
      }
      release()
    })

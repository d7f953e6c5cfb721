import { Command } from 'commander'
import type { GatewayOverview, GroupDetails, GroupSummary, TopicSummary } from '../http/status.ts'
import { sleep } from '../platform/clock.ts'
import { nodeClock } from '../platform/node/clock.ts'
import { host } from '../platform/node/host.ts'
import { HttpClient, HttpFailure } from './http-client.ts'
import { LiveScreen } from './live-screen.ts'
import { maxRows, type Sample, topScreen, wholeRoom } from './top-screen.ts'

interface TopFlags {
  readonly http: string
  readonly once?: boolean
}

const everyMs = 1_000

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
      shown = topScreen(now, before, host.terminalSize() ?? wholeRoom)
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
        const lines = topScreen(await sample(client), first, wholeRoom)
        process.stdout.write(`${lines.join('\n')}\n`)
      }
      release()
    })

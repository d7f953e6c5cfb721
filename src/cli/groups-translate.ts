import { Command } from 'commander'
import type { UplinkOffsets, UplinkSummary } from '../broker/uplink-summary.ts'
import type { Cluster } from '../client/cluster.ts'
import { committedOffsets, resetOffsets } from '../client/group-admin.ts'
import type { Position } from '../client/group-member.ts'
import { earliestOffset, offsetsFor } from '../client/partition-offsets.ts'
import type { SettingValue } from '../http/status.ts'
import { addClusterOption, type ClusterFlags, withCluster } from './cluster-option.ts'
import { CommandFailed } from './command-failed.ts'
import { HttpClient } from './http-client.ts'
import { oneOfWords } from './option-values.ts'
import { printList } from './table.ts'
import { centralPositions, localPositions, type TranslatedPosition } from './translated-positions.ts'

interface TranslateFlags extends ClusterFlags {
  readonly to: 'central' | 'local'
  readonly central?: string
  readonly centralConfig?: string
  readonly http: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

const bootstrapKey = 'uplink.bootstrap.servers'

/** The central cluster as it is named here, or as the gateway names it. */
const centralFlags = async (client: HttpClient, { central, centralConfig }: TranslateFlags): Promise<ClusterFlags> => {
  const security = centralConfig === undefined ? {} : { commandConfig: centralConfig }
  if (central !== undefined) return { bootstrap: central, ...security }
  const settings = await client.get<SettingValue[]>('/api/v1/settings')
  const bootstrap = settings.find(({ key }) => key === bootstrapKey)?.value ?? ''
  if (bootstrap === '')
    throw new CommandFailed(`the gateway has no uplink (${bootstrapKey}): there is nothing to translate`)
  return { bootstrap, ...security }
}

/** Of the topics that go up and that the group has read, on the side that it comes from. */
const mapsOf = async (
  client: HttpClient,
  to: TranslateFlags['to'],
  committed: readonly Position[],
): Promise<readonly UplinkOffsets[]> => {
  const { partitions } = await client.get<UplinkSummary>('/api/v1/uplink')
  const read = new Set(committed.map(({ topic }) => topic))
  const nameOf = (row: { topic: string; target: string }): string => (to === 'central' ? row.topic : row.target)
  const known = new Set(partitions.map(nameOf))
  for (const topic of read) {
    if (known.has(topic)) continue
    process.stderr.write(`${topic}: ${to === 'central' ? 'does not go up' : 'nothing goes up to it'}, left alone\n`)
  }
  const topics = new Set(partitions.filter(row => read.has(nameOf(row))).map(({ topic }) => topic))
  const maps: UplinkOffsets[] = []
  for (const topic of topics)
    maps.push(...(await client.get<UplinkOffsets[]>(`/api/v1/uplink/offsets?${new URLSearchParams({ topic })}`)))
  return maps
}

/** Not before what the cluster still has: a group would be set back or forward by its own rules. */
const present = async (cluster: Cluster, positions: readonly TranslatedPosition[]): Promise<TranslatedPosition[]> => {
  const starts = await offsetsFor(cluster, positions, earliestOffset)
  return positions.map((position, index) => {
    const offset = Math.max(position.offset, starts[index] ?? 0)
    return { ...position, offset, atMost: Math.max(position.atMost, offset) }
  })
}

const translate = async (groupId: string, flags: TranslateFlags): Promise<void> => {
  const { to, dryRun, json, http, ...local } = flags
  const client = new HttpClient(http)
  const central = await centralFlags(client, flags)
  const [source, target] = to === 'central' ? [local, central] : [central, local]
  const committed = await withCluster(source, async cluster =>
    (await committedOffsets(cluster, groupId)).filter(({ offset }) => offset >= 0),
  )
  if (committed.length === 0) throw new CommandFailed(`group ${groupId} has committed nothing at ${source.bootstrap}`)
  const maps = await mapsOf(client, to, committed)
  const translated = to === 'central' ? centralPositions(maps, committed) : localPositions(maps, committed)
  if (translated.length === 0)
    throw new CommandFailed(`nothing that group ${groupId} has committed at ${source.bootstrap} can be translated`)
  const positions = await withCluster(target, async cluster => {
    const there = await present(cluster, translated)
    if (!dryRun) await resetOffsets(cluster, groupId, there)
    return there
  })
  const columns = {
    TOPIC: (row: TranslatedPosition) => row.topic,
    PARTITION: (row: TranslatedPosition) => row.partition,
    OFFSET: (row: TranslatedPosition) => row.offset,
    'READ AGAIN AT MOST': (row: TranslatedPosition) => row.atMost - row.offset,
  }
  printList(
    positions.toSorted((one, other) => one.topic.localeCompare(other.topic) || one.partition - other.partition),
    columns,
    json,
  )
  if (dryRun) process.stderr.write(`nothing was committed at ${target.bootstrap} (--dry-run)\n`)
}

/** `brooklet groups translate`: carries what a group has committed to the central cluster, or back. */
export const translateCommand = (): Command =>
  addClusterOption(
    new Command('translate')
      .description('carry committed offsets to the central cluster or back; the group must have no members there')
      .argument('<group>'),
  )
    .requiredOption('--to <side>', 'central or local', oneOfWords(['central', 'local']))
    .option('--central <host:port,...>', "the central cluster; by default the gateway's uplink.bootstrap.servers")
    .option('--central-config <file>', 'as --command-config, for the central cluster')
    .option('--http <host:port>', "the gateway's HTTP listener", '127.0.0.1:8190')
    .option('--dry-run', 'only say what would be committed')
    .option('--json', 'print JSON')
    .action(translate)

import { Command } from 'commander'
import type { Cluster } from '../client/cluster.ts'
import {
  committedOffsets,
  deleteGroup,
  describeGroup,
  type GroupDetails,
  listAllGroups,
  resetOffsets,
} from '../client/group-admin.ts'
import { earliestOffset, latestOffset, offsetsFor } from '../client/partition-offsets.ts'
import { addClusterOption, type ClusterFlags, withCluster } from './cluster-option.ts'
import { translateCommand } from './groups-translate.ts'
import { type StartPoint, startPoint } from './option-values.ts'
import { plural } from './plural.ts'
import { printList } from './table.ts'

interface ListFlags extends ClusterFlags {
  readonly json?: boolean
}

interface ResetFlags extends ClusterFlags {
  readonly topic: string
  readonly to: StartPoint
}

interface LagRow {
  readonly topic: string
  readonly partition: number
  /** Null: nothing is committed. */
  readonly committed: number | null
  readonly end: number
  readonly lag: number | null
  readonly member: string
}

const list = (flags: ListFlags): Promise<void> =>
  withCluster(flags, async cluster => {
    const groups = [...(await listAllGroups(cluster))].sort((a, b) => a.groupId.localeCompare(b.groupId))
    printList(
      groups,
      { GROUP: row => row.groupId, STATE: row => row.state, PROTOCOL: row => row.protocolType || '-' },
      flags.json,
    )
  })

const ownerOf = ({ members }: GroupDetails, topic: string, partition: number): string =>
  members.find(({ assignment }) => assignment.get(topic)?.includes(partition))?.clientId ?? '-'

/** What has a committed offset, and what a member has but has not committed yet. */
const lagRows = async (cluster: Cluster, group: GroupDetails): Promise<LagRow[]> => {
  const positions = (await committedOffsets(cluster, group.groupId)).filter(({ offset }) => offset >= 0)
  const committed = new Set(positions.map(({ topic, partition }) => `${partition}/${topic}`))
  const assigned = group.members
    .flatMap(({ assignment }) => [...assignment])
    .flatMap(([topic, partitions]) => partitions.map(partition => ({ topic, partition, offset: undefined })))
    .filter(({ topic, partition }) => !committed.has(`${partition}/${topic}`))
  const all = [...positions, ...assigned]
  const ends = await offsetsFor(cluster, all, latestOffset)
  const rows = all.map(({ topic, partition, offset }, index) => {
    const end = ends[index] ?? 0
    return {
      topic,
      partition,
      committed: offset ?? null,
      end,
      lag: offset === undefined ? null : Math.max(0, end - offset),
      member: ownerOf(group, topic, partition),
    }
  })
  return rows.sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition)
}

const describe = (groupId: string, flags: ListFlags): Promise<void> =>
  withCluster(flags, async cluster => {
    const group = await describeGroup(cluster, groupId)
    const lags = await lagRows(cluster, group)
    if (flags.json) {
      const members = group.members.map(member => ({ ...member, assignment: Object.fromEntries(member.assignment) }))
      process.stdout.write(`${JSON.stringify({ ...group, members, offsets: lags }, null, 2)}\n`)
      return
    }
    process.stdout.write(`group ${groupId}: ${group.state}, ${plural(group.members.length, 'member')}\n`)
    printList(
      lags,
      {
        TOPIC: row => row.topic,
        PARTITION: row => row.partition,
        COMMITTED: row => row.committed ?? '-',
        END: row => row.end,
        LAG: row => row.lag ?? '-',
        MEMBER: row => row.member,
      },
      false,
    )
  })

const reset = (groupId: string, { topic, to, ...flags }: ResetFlags): Promise<void> =>
  withCluster(flags, async cluster => {
    const { partitions } = await cluster.topic(topic)
    const sources = partitions.map((_, partition) => ({ topic, partition }))
    const ends = await offsetsFor(cluster, sources, latestOffset)
    const starts = await offsetsFor(cluster, sources, 'timestamp' in to ? to.timestamp : earliestOffset)
    const positions = sources.map((source, index) => {
      const end = ends[index] ?? 0
      const start = starts[index] ?? end
      return { ...source, offset: 'offset' in to ? Math.min(end, Math.max(start, to.offset)) : start }
    })
    await resetOffsets(cluster, groupId, positions)
    for (const { partition, offset } of positions) process.stdout.write(`${topic}/${partition} -> ${offset}\n`)
  })

const remove = (groupId: string, flags: ClusterFlags): Promise<void> =>
  withCluster(flags, async cluster => {
    await deleteGroup(cluster, groupId)
    process.stdout.write(`deleted group ${groupId}\n`)
  })

/** `brooklet groups`: list, describe, reset, translate, delete. */
export const groupsCommand = (): Command => {
  const groups = new Command('groups').description('positions and members of consumer groups')
  addClusterOption(groups.command('list').description('groups with their state').option('--json', 'print JSON')).action(
    list,
  )
  addClusterOption(
    groups.command('describe <group>').description('members, committed offsets, lag').option('--json', 'print JSON'),
  ).action(describe)
  addClusterOption(groups.command('reset <group>').description('set the committed offsets of a group without members'))
    .requiredOption('--topic <topic>', 'whose offsets')
    .requiredOption('--to <point>', 'earliest, latest, an offset (or what is nearest to it) or a time', startPoint)
    .action(reset)
  groups.addCommand(translateCommand())
  addClusterOption(groups.command('delete <group>').description('delete a group with its offsets')).action(remove)
  return groups
}

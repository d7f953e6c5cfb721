import { Command, InvalidArgumentError } from 'commander'
import type { Cluster } from '../client/cluster.ts'
import {
  committedOffsets,
  deleteGroup,
  describeGroup,
  type GroupDetails,
  listAllGroups,
  resetOffsets,
} from '../client/group-admin.ts'
import { earliestOffset, latestOffset, offsetFor } from '../client/partition-reader.ts'
import { addClusterOption, type ClusterFlags, withCluster } from './cluster-option.ts'
import { printList } from './table.ts'

interface ListFlags extends ClusterFlags {
  readonly json?: boolean
}

interface ResetFlags extends ClusterFlags {
  readonly topic: string
  readonly to: number | { readonly offset: number }
}

interface LagRow {
  readonly topic: string
  readonly partition: number
  readonly committed: number
  readonly end: number
  readonly lag: number
  readonly member: string
}

const resetPoint = (text: string): ResetFlags['to'] => {
  if (text === 'earliest') return earliestOffset
  if (text === 'latest') return latestOffset
  if (/^\d+$/.test(text)) return { offset: Number(text) }
  const time = Date.parse(text)
  if (Number.isNaN(time))
    throw new InvalidArgumentError('earliest, latest, an offset or a time such as 2026-05-01T12:00:00Z is expected.')
  return time
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

const lagRows = async (cluster: Cluster, group: GroupDetails): Promise<LagRow[]> => {
  const positions = await committedOffsets(cluster, group.groupId)
  const rows = positions.map(async ({ topic, partition, offset }) => {
    const end = (await offsetFor(cluster, { topic, partition }, latestOffset)) ?? 0
    return {
      topic,
      partition,
      committed: offset,
      end,
      lag: Math.max(0, end - offset),
      member: ownerOf(group, topic, partition),
    }
  })
  return (await Promise.all(rows)).sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition)
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
    process.stdout.write(`group ${groupId}: ${group.state}, ${group.members.length} members\n`)
    printList(
      lags,
      {
        TOPIC: row => row.topic,
        PARTITION: row => row.partition,
        COMMITTED: row => row.committed,
        END: row => row.end,
        LAG: row => row.lag,
        MEMBER: row => row.member,
      },
      false,
    )
  })

const reset = (groupId: string, { topic, to, ...flags }: ResetFlags): Promise<void> =>
  withCluster(flags, async cluster => {
    const { partitions } = await cluster.topic(topic)
    const positions = await Promise.all(
      partitions.map(async (_, partition) => {
        const source = { topic, partition }
        if (typeof to !== 'number') return { ...source, offset: to.offset }
        const found = (await offsetFor(cluster, source, to)) ?? (await offsetFor(cluster, source, latestOffset))
        return { ...source, offset: found ?? 0 }
      }),
    )
    await resetOffsets(cluster, groupId, positions)
    for (const { partition, offset } of positions) process.stdout.write(`${topic}/${partition} -> ${offset}\n`)
  })

const remove = (groupId: string, flags: ClusterFlags): Promise<void> =>
  withCluster(flags, async cluster => {
    await deleteGroup(cluster, groupId)
    process.stdout.write(`deleted group ${groupId}\n`)
  })

/** `brooklet groups`: list, describe, reset, delete. */
export const groupsCommand = (): Command => {
  const groups = new Command('groups').description('list, describe, reset and delete consumer groups')
  addClusterOption(groups.command('list').description('groups with their state').option('--json', 'print JSON')).action(
    list,
  )
  addClusterOption(
    groups.command('describe <group>').description('members, committed offsets, lag').option('--json', 'print JSON'),
  ).action(describe)
  addClusterOption(groups.command('reset <group>').description('set the committed offsets of a group without members'))
    .requiredOption('--topic <topic>', 'whose offsets')
    .requiredOption('--to <point>', 'earliest, latest, an offset or a time', resetPoint)
    .action(reset)
  addClusterOption(groups.command('delete <group>').description('delete a group with its offsets')).action(remove)
  return groups
}

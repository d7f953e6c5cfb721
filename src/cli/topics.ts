import { Command } from 'commander'
import type { Cluster, TopicMetadata } from '../client/cluster.ts'
import { earliestOffset, latestOffset, offsetsFor } from '../client/partition-offsets.ts'
import { alterTopicConfigs, createTopic, deleteTopic, growTopic, topicConfigs } from '../client/topic-admin.ts'
import { StartError } from '../core/errors.ts'
import { addClusterOption, type ClusterFlags, withCluster } from './cluster-option.ts'
import { assignment, collected, maxPartitions, wholeNumber } from './option-values.ts'
import { plural } from './plural.ts'
import { printList } from './table.ts'

interface ListFlags extends ClusterFlags {
  readonly json?: boolean
}

interface ChangeFlags extends ClusterFlags {
  readonly partitions?: number
  readonly config?: readonly (readonly [string, string])[]
  readonly unset?: readonly string[]
}

interface PartitionRow {
  readonly partition: number
  readonly logStart: number
  readonly logEnd: number
  readonly records: number
}

/** Rows of each topic, in their order: two requests to each leader for all of them. */
const partitionRows = async (cluster: Cluster, topics: readonly TopicMetadata[]): Promise<PartitionRow[][]> => {
  const sources = topics.flatMap(({ name, partitions }) =>
    partitions.map((_, partition) => ({ topic: name, partition })),
  )
  const [starts, ends] = await Promise.all(
    [earliestOffset, latestOffset].map(timestamp => offsetsFor(cluster, sources, timestamp)),
  )
  let at = 0
  return topics.map(({ partitions }) =>
    partitions.map((_, partition) => {
      const logStart = starts?.[at] ?? 0
      const logEnd = ends?.[at] ?? 0
      at++
      return { partition, logStart, logEnd, records: logEnd - logStart }
    }),
  )
}

const list = (flags: ListFlags): Promise<void> =>
  withCluster(flags, async cluster => {
    const topics = await cluster.describe(null)
    const partitions = await partitionRows(cluster, topics)
    const rows = topics.map(({ name }, index) => ({
      name,
      partitions: partitions[index]!.length,
      records: partitions[index]!.reduce((sum, { records }) => sum + records, 0),
    }))
    rows.sort((a, b) => a.name.localeCompare(b.name))
    printList(
      rows,
      { TOPIC: row => row.name, PARTITIONS: row => row.partitions, RECORDS: row => row.records },
      flags.json,
    )
  })

const describe = (name: string, flags: ListFlags): Promise<void> =>
  withCluster(flags, async cluster => {
    const topic = await cluster.topic(name)
    const [partitions = []] = await partitionRows(cluster, [topic])
    const configs = (await topicConfigs(cluster, name)).filter(({ own }) => own)
    if (flags.json) {
      process.stdout.write(`${JSON.stringify({ name, id: topic.id, partitions, configs }, null, 2)}\n`)
      return
    }
    process.stdout.write(`topic ${name}, id ${topic.id}\n`)
    for (const { name: key, value } of configs) process.stdout.write(`  ${key} = ${value}\n`)
    printList(
      partitions,
      {
        PARTITION: row => row.partition,
        START: row => row.logStart,
        END: row => row.logEnd,
        RECORDS: row => row.records,
      },
      false,
    )
  })

const create = (name: string, flags: ChangeFlags): Promise<void> =>
  withCluster(flags, async cluster => {
    await createTopic(cluster, {
      name,
      partitions: flags.partitions ?? -1,
      replicationFactor: -1,
      configs: new Map(flags.config),
    })
    const { partitions } = await cluster.topic(name, { refresh: true })
    process.stdout.write(`created ${name} with ${plural(partitions.length, 'partition')}\n`)
  })

const alter = async (name: string, flags: ChangeFlags): Promise<void> => {
  const unset = (flags.unset ?? []).map(key => [key, null] as const)
  const changes = new Map<string, string | null>([...(flags.config ?? []), ...unset])
  if (changes.size === 0 && flags.partitions === undefined)
    throw new StartError(64, 'nothing to alter; name --config, --unset or --partitions')
  await withCluster(flags, async cluster => {
    if (changes.size > 0) await alterTopicConfigs(cluster, name, changes)
    if (flags.partitions !== undefined) await growTopic(cluster, name, flags.partitions)
    process.stdout.write(`altered ${name}\n`)
  })
}

const remove = (name: string, flags: ClusterFlags): Promise<void> =>
  withCluster(flags, async cluster => {
    await deleteTopic(cluster, name)
    process.stdout.write(`deleted ${name}\n`)
  })

/** `brooklet topics`: list, describe, create, alter, delete. */
export const topicsCommand = (): Command => {
  const configs = assignment('retention.ms=3600000')
  const configOption = ['--config <key=value>', 'topic config; may be repeated', configs] as const
  const count = wholeNumber(1, maxPartitions)
  const topics = new Command('topics').description('topics and their configs')
  addClusterOption(
    topics.command('list').description('topics with their record counts').option('--json', 'print JSON'),
  ).action(list)
  addClusterOption(
    topics.command('describe <topic>').description('offsets and configs').option('--json', 'print JSON'),
  ).action(describe)
  addClusterOption(topics.command('create <topic>').description('create a topic'))
    .option('--partitions <n>', 'number of partitions (default: num.partitions)', count)
    .option(...configOption)
    .action(create)
  addClusterOption(topics.command('alter <topic>').description('set configs, add partitions'))
    .option('--partitions <n>', 'raise the number of partitions; keys move between partitions', count)
    .option(...configOption)
    .option('--unset <key>', 'back to the default; may be repeated', collected)
    .action(alter)
  addClusterOption(topics.command('delete <topic>').description('delete a topic with all its records')).action(remove)
  return topics
}

import { type PartitionId, partitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import { uuidFromRandom } from '../core/uuid.ts'
import type { Random } from '../platform/random.ts'
import type { StateLog } from '../state/state-log.ts'
import type { Topic, TopicsView } from '../state/topics.ts'
import type { StateChange } from '../state/view.ts'
import { type Compaction, type Durability, firstTopicPartitionId, type Log, type Retention } from '../storage/log.ts'
import { checkTopicName } from './topic-name.ts'

export type { Topic } from '../state/topics.ts'

/** The part of topic configs that topics need: `config/topic-configs.ts` gives it. */
export interface TopicConfigRules {
  /** Throws `invalidConfig` with one line for the first name or value that is wrong. */
  check(configs: ReadonlyMap<string, string>): void
  retention(configs: ReadonlyMap<string, string>): Omit<Retention, 'readThrough'>
  /** Undefined for a topic that is not compacted. */
  compaction(configs: ReadonlyMap<string, string>): Compaction | undefined
  durability(configs: ReadonlyMap<string, string>): Durability
  /** `min.insync.replicas=2`: an acknowledgement to the full waits for the central cluster. */
  needsCentral(configs: ReadonlyMap<string, string>): boolean
}

export interface TopicLimits {
  /** Partitions of a topic that names no number. */
  readonly defaultPartitions: number
  /** Partitions of all topics together. */
  readonly maxPartitions: number
}

export interface NewTopic {
  readonly name: string
  /** Absent: `num.partitions`. */
  readonly partitions?: number
  readonly configs?: ReadonlyMap<string, string>
  /** Made by the default route of MQTT. */
  readonly isAutomatic?: true
}

/** Changes in one write: whatever `commit.max.bytes` is, they fit. */
const changesPerWrite = 100

interface TopicsParts {
  readonly view: TopicsView
  readonly state: StateLog
  readonly log: Log
  readonly random: Random
  readonly configRules: TopicConfigRules
  readonly limits: TopicLimits
  /** State that goes with a topic (committed offsets, producers): changes written in the group of its deletion. */
  readonly dependents: (topic: Topic) => StateChange[]
  /** The batch is the newest of a producer that may write on. */
  readonly isLastOfProducer: (partition: PartitionId, producerId: number, baseOffset: number) => boolean
  /** The offset below which all groups have read the partition and the central cluster has it; 0 when there is neither. */
  readonly doneThrough: (topic: string, partition: number) => number
  /** Why a topic of this name does not go up to the central cluster; undefined: it does. */
  readonly staysHere: (topic: string) => string | undefined
}

/**
 * Creates, changes and deletes topics. Every method is synchronous and its effect shows at once on this thread; who tells a peer
 * waits for `durable()`. Data appended to a new topic is never durable before the topic is: groups become durable in order.
 */
export class Topics {
  readonly #parts: TopicsParts
  readonly #listeners: ((topic: Topic, change: 'created' | 'changed' | 'deleted') => void)[] = []
  /** Of deleted topics, and the log still holds them. */
  readonly #unremoved: PartitionId[] = []
  #partitionCount = 0

  constructor(parts: TopicsParts) {
    this.#parts = parts
    parts.view.skipPartitions(parts.log.nextPartition)
    for (const topic of parts.view.all()) {
      this.#partitionCount += topic.partitions.length
      for (const partition of topic.partitions) parts.log.openPartition(partition)
      this.#applyConfigs(topic)
    }
    this.#dropOrphans()
  }

  /** Topics by name, in order of creation. */
  all(): Iterable<Topic> {
    return this.#parts.view.all()
  }

  find(name: string): Topic | undefined {
    return this.#parts.view.get(name)
  }

  findById(id: string): Topic | undefined {
    return this.#parts.view.getById(id)
  }

  /** Throws `unknownTopic`. */
  get(name: string): Topic {
    const topic = this.#parts.view.get(name)
    if (topic === undefined) throw new BrokerError('unknownTopic', `there is no topic "${name}"`)
    return topic
  }

  /** The id of partition `index`. Throws `unknownPartition`. */
  partition(topic: Topic, index: number): PartitionId {
    const partition = topic.partitions[index]
    if (partition !== undefined) return partition
    throw new BrokerError(
      'unknownPartition',
      `topic "${topic.name}" has partitions 0 to ${topic.partitions.length - 1}, not ${index}`,
    )
  }

  /** Called after each change, in the stretch that made it. */
  onChange(listener: (topic: Topic, change: 'created' | 'changed' | 'deleted') => void): void {
    this.#listeners.push(listener)
  }

  /** What was changed so far is on the device. */
  durable(): Promise<void> {
    return this.#parts.state.durable(this.#parts.view)
  }

  /** Says what `create` would make or why not: throws `invalidTopic`, `topicExists`, `invalidPartitionCount`, `topicLimit`, `invalidConfig`. */
  plan({ name, partitions, configs = new Map() }: NewTopic): {
    name: string
    partitions: number
    configs: ReadonlyMap<string, string>
  } {
    const { limits, configRules, view } = this.#parts
    checkTopicName(name)
    if (view.get(name) !== undefined) throw new BrokerError('topicExists', `topic "${name}" exists`)
    const count = partitions ?? limits.defaultPartitions
    if (!Number.isInteger(count) || count < 1) {
      throw new BrokerError('invalidPartitionCount', `topic "${name}" needs at least 1 partition, not ${count}`)
    }
    this.#checkRoom(name, count)
    configRules.check(configs)
    this.#checkReplicas(name, configs)
    return { name, partitions: count, configs }
  }

  /** Throws what `plan` throws, and what appending throws. */
  create(newTopic: NewTopic): Topic {
    const { name, partitions: count, configs } = this.plan(newTopic)
    const first = this.#parts.view.nextPartition
    const partitions = Array.from({ length: count }, (_, index) => partitionId(first + index))
    const id = uuidFromRandom(this.#parts.random.bytes(16))
    const automatic = newTopic.isAutomatic === true ? { isAutomatic: true as const } : {}
    return this.#store({ name, id, partitions, configs, ...automatic }, 'created')
  }

  /** The topic, made with defaults when it is missing. */
  ensure(name: string, options: Pick<NewTopic, 'isAutomatic'> = {}): Topic {
    return this.find(name) ?? this.create({ name, ...options })
  }

  /** Adds partitions up to `count` in all. Keys move between partitions: callers warn. */
  addPartitions(name: string, count: number, options: { validateOnly?: boolean } = {}): Topic {
    const topic = this.get(name)
    const present = topic.partitions.length
    if (!Number.isInteger(count) || count <= present) {
      throw new BrokerError(
        'invalidPartitionCount',
        `topic "${name}" has ${present} partitions, ${count} would not be more`,
      )
    }
    this.#checkRoom(name, count - present)
    if (options.validateOnly) return topic
    const first = this.#parts.view.nextPartition
    const added = Array.from({ length: count - present }, (_, index) => partitionId(first + index))
    return this.#store({ ...topic, partitions: [...topic.partitions, ...added] }, 'changed')
  }

  /** Replaces all configs that were set for the topic. Throws `invalidConfig`. */
  setConfigs(name: string, configs: ReadonlyMap<string, string>, options: { validateOnly?: boolean } = {}): Topic {
    const topic = this.get(name)
    this.#parts.configRules.check(configs)
    this.#checkReplicas(name, configs)
    return options.validateOnly ? topic : this.#store({ ...topic, configs }, 'changed')
  }

  /**
   * Removes the topic, its data, and the state that depends on it. A crash in between leaves a topic without some of that state, whose
   * removal was acknowledged to nobody.
   */
  delete(name: string): void {
    const topic = this.get(name)
    const { state, view, dependents } = this.#parts
    const changes = dependents(topic)
    for (let from = 0; from < changes.length; from += changesPerWrite) {
      state.write(changes.slice(from, from + changesPerWrite))
    }
    state.write([view.remove(topic)])
    this.#partitionCount -= topic.partitions.length
    this.#unremoved.push(...topic.partitions)
    this.#removePartitions()
    this.#tell(topic, 'deleted')
  }

  /** What the log cannot take in now is removed at the next change of a topic, or at the next start. */
  #removePartitions(): void {
    const { log } = this.#parts
    try {
      for (let next = this.#unremoved[0]; next !== undefined; next = this.#unremoved[0]) {
        log.removePartition(next)
        this.#unremoved.shift()
      }
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
    }
  }

  #store(topic: Topic, change: 'created' | 'changed'): Topic {
    const { state, view, log } = this.#parts
    this.#removePartitions()
    const before = view.get(topic.name)?.partitions.length ?? 0
    state.write(view.put(topic))
    for (const partition of topic.partitions.slice(before)) log.openPartition(partition)
    this.#partitionCount += topic.partitions.length - before
    this.#applyConfigs(topic)
    const stored = this.get(topic.name)
    this.#tell(stored, change)
    return stored
  }

  #checkRoom(name: string, added: number): void {
    const { maxPartitions } = this.#parts.limits
    if (this.#partitionCount + added <= maxPartitions) return
    throw new BrokerError(
      'topicLimit',
      `topic "${name}" would bring this gateway to ${this.#partitionCount + added} partitions; partitions.max is ${maxPartitions}`,
    )
  }

  /** The second replica is the central cluster. */
  #checkReplicas(name: string, configs: ReadonlyMap<string, string>): void {
    const reason = this.#parts.configRules.needsCentral(configs) ? this.#parts.staysHere(name) : undefined
    if (reason !== undefined)
      throw new BrokerError(
        'invalidConfig',
        `topic config min.insync.replicas: 2 is this gateway and the central cluster, and ${reason}; nearest: 1`,
      )
  }

  #applyConfigs(topic: Topic): void {
    const retention = this.#parts.configRules.retention(topic.configs)
    const compaction = this.#parts.configRules.compaction(topic.configs)
    const durability = this.#parts.configRules.durability(topic.configs)
    const { log, isLastOfProducer, doneThrough } = this.#parts
    for (const [index, partition] of topic.partitions.entries()) {
      log.setDurability(partition, durability)
      log.setRetention(partition, { ...retention, readThrough: () => doneThrough(topic.name, index) })
      const producers = { isLastOfProducer: isLastOfProducer.bind(undefined, partition) }
      log.setCompaction(partition, compaction && { ...compaction, ...producers })
    }
  }

  /**
   * Data of topics whose deletion was durable, but whose removal in storage was not. Where records of topics were damaged, nobody can tell
   * such data from that of a topic that was lost: then it stays.
   */
  #dropOrphans(): void {
    const { view, log } = this.#parts
    if (log.gaps().some(({ partition }) => partition === view.partition)) return
    const owned = new Set<PartitionId>()
    for (const topic of view.all()) for (const partition of topic.partitions) owned.add(partition)
    for (const partition of log.partitions()) {
      if (partition >= firstTopicPartitionId && !owned.has(partition)) this.#unremoved.push(partition)
    }
    this.#removePartitions()
  }

  #tell(topic: Topic, change: 'created' | 'changed' | 'deleted'): void {
    for (const listener of this.#listeners) listener(topic, change)
  }
}

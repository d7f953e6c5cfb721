import type { Cluster } from '../../client/cluster.ts'
import { checkCode, isClientError, KafkaError } from '../../client/kafka-error.ts'
import type { Uuid } from '../../core/uuid.ts'
import { type Clock, sleep, type Timer } from '../../platform/clock.ts'
import type { Logger } from '../../platform/logger.ts'
import { offsetCommit } from '../../wire/kafka/contracts/offset-commit.ts'
import { offsetFetch } from '../../wire/kafka/contracts/offset-fetch.ts'
import { errorCodes } from '../../wire/kafka/error-codes.ts'
import type { Backoff } from '../backoff.ts'
import type { Inlet } from './inlet.ts'

/** The group that nobody joins: its committed offsets say what this log has taken. ACLs name it: never change it. */
export const takenGroupOf = (logId: string): string => `brooklet.downlink.${logId}`

/** How soon the central cluster knows what was taken: so much may come a second time to a log restored after a sudden end. */
const tellMs = 1_000
/** Offsets of a group without members are forgotten after days. */
const repeatMs = 12 * 3_600_000
/** At a stop it may take this long. */
const lastMs = 1_000

export interface TakenOffsetsParts {
  readonly cluster: Cluster
  readonly logId: string
  readonly clock: Clock
  readonly logger: Logger
  readonly backoff: Backoff
  readonly inlets: () => Iterable<Inlet>
}

/**
 * Tells the central cluster what of it is durable here. This log never asks for it; one that is restored or forked from it does, for it would take again what
 * has come since the backup.
 */
export class TakenOffsets {
  /** Why it cannot be told at present. */
  trouble: string | undefined
  readonly #parts: TakenOffsetsParts
  /** Offsets as they were told, by topic id and partition. */
  #told = new Map<string, number>()
  #repeatAtMs = Number.POSITIVE_INFINITY
  #timer: Timer | undefined
  #isStopped = false

  constructor(parts: TakenOffsetsParts) {
    this.#parts = parts
  }

  start(): void {
    const { clock } = this.#parts
    this.#repeatAtMs = clock.monotonicMs() + repeatMs
    this.#timer = clock.after(tellMs, () => void this.#tellAgain())
  }

  /** Tells the last, as far as it can be told at once. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await Promise.race([this.#tell(), sleep(this.#parts.clock, lastMs)])
  }

  async #tellAgain(): Promise<void> {
    const { clock, backoff } = this.#parts
    if (clock.monotonicMs() >= this.#repeatAtMs) {
      this.#told.clear()
      this.#repeatAtMs = clock.monotonicMs() + repeatMs
    }
    await this.#tell()
    if (this.#isStopped) return
    const pauseMs = this.trouble === undefined ? tellMs : Math.max(tellMs, backoff.pauseMs())
    this.#timer = clock.after(pauseMs, () => void this.#tellAgain())
  }

  async #tell(): Promise<void> {
    const { cluster, logId, backoff, logger } = this.#parts
    const news = [...this.#parts.inlets()].filter(({ written }) => this.#told.get(keyOf(written)) !== written.next)
    if (news.length === 0) return
    // what is durable by the time of the answer may be more
    const written = news.map(({ topic, written: position }) => ({ topic, ...position }))
    try {
      await commit(cluster, takenGroupOf(logId), written)
      for (const position of written) this.#told.set(keyOf(position), position.next)
      this.trouble = undefined
      backoff.reset()
    } catch (error) {
      if (!isClientError(error)) throw error
      cluster.forgetCoordinator(takenGroupOf(logId))
      const { message } = error
      if (this.trouble === undefined && !this.#isStopped)
        logger.warn({ error: message }, 'the central cluster is not told what has come down, which a restore asks for')
      this.trouble = message
    }
  }
}

/** What is durable here of a partition of the central cluster. */
export interface WrittenPosition {
  readonly topicId: Uuid
  readonly partition: number
  readonly next: number
}

const keyOf = ({ topicId, partition }: WrittenPosition): string => `${topicId}/${partition}`

const commit = async (
  cluster: Cluster,
  groupId: string,
  written: readonly (WrittenPosition & { readonly topic: string })[],
): Promise<void> => {
  const coordinator = await cluster.coordinator(groupId)
  const answer = await coordinator.request(offsetCommit, {
    groupId,
    generationIdOrMemberEpoch: -1,
    memberId: '',
    topics: [...new Set(written.map(({ topic }) => topic))].map(name => {
      const own = written.filter(({ topic }) => topic === name)
      // another topic of this name has another id
      const partitions = own.map(({ partition, next, topicId }) => ({
        partitionIndex: partition,
        committedOffset: next,
        committedMetadata: topicId,
      }))
      return { name, topicId: own[0]!.topicId, partitions }
    }),
  })
  for (const { errorCode } of answer.topics.flatMap(({ partitions }) => partitions))
    checkCode(errorCode, `offsets of group ${groupId}`)
}

/**
 * What the log of this id has taken of the topic, by partition; undefined where nothing is known, or may be: who has no right to the group has told it
 * nothing. Throws `KafkaError`, `ConnectionLost`.
 */
export const takenBy = async (
  cluster: Cluster,
  logId: string,
  topic: { readonly name: string; readonly id: Uuid; readonly partitions: readonly unknown[] },
): Promise<readonly (number | undefined)[]> => {
  const groupId = takenGroupOf(logId)
  const { name, id: topicId } = topic
  const asked = { name, topicId, partitionIndexes: [...topic.partitions.keys()] }
  try {
    const coordinator = await cluster.coordinator(groupId)
    const answer = await coordinator.request(offsetFetch, version =>
      version >= 8 ? { groups: [{ groupId, topics: [asked] }] } : { groupId, topics: [asked] },
    )
    const found = answer.groups[0] ?? answer
    checkCode(found.errorCode, `offsets of group ${groupId}`)
    const taken = new Map<number, number>()
    for (const { partitionIndex, committedOffset, metadata, errorCode } of found.topics.flatMap(
      one => one.partitions,
    )) {
      checkCode(errorCode, `offsets of group ${groupId}`)
      if (committedOffset >= 0 && metadata === topicId) taken.set(partitionIndex, committedOffset)
    }
    return topic.partitions.map((_, partition) => taken.get(partition))
  } catch (error) {
    if (error instanceof KafkaError && error.code === errorCodes.GROUP_AUTHORIZATION_FAILED)
      return topic.partitions.map(() => undefined)
    if (error instanceof KafkaError && error.retriable) cluster.forgetCoordinator(groupId)
    throw error
  }
}

import { GroupCoordinator } from '../../src/broker/groups/coordinator.ts'
import {
  type JoinRequest,
  type JoinResult,
  MemberIdRequired,
  type SyncRequest,
  type SyncResult,
} from '../../src/broker/groups/groups.ts'
import { defaultGroupSettings, type GroupSettings } from '../../src/broker/groups/settings.ts'
import type { ErrorKind } from '../../src/core/errors.ts'
import { BrokerError } from '../../src/core/errors.ts'
import { Metrics } from '../../src/core/metrics.ts'
import type { Logger } from '../../src/platform/logger.ts'
import type { Random } from '../../src/platform/random.ts'
import { GroupsView } from '../../src/state/groups.ts'
import { MemoryStateLog } from './memory-state-log.ts'
import { settle, VirtualClock } from './virtual-clock.ts'

/** A promise that a test can look at without waiting for it. */
export interface Watched<Value> {
  readonly promise: Promise<Value>
  value?: Value
  kind?: ErrorKind
  error?: BrokerError
  readonly isPending: boolean
}

export function watch<Value>(promise: Promise<Value>): Watched<Value> {
  const watched: Watched<Value> = {
    promise,
    get isPending() {
      return watched.value === undefined && watched.error === undefined
    },
  }
  promise.then(
    value => {
      watched.value = value
    },
    (error: unknown) => {
      if (!(error instanceof BrokerError)) throw error
      watched.error = error
      watched.kind = error.kind
    },
  )
  return watched
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
}

/** Bytes that never repeat and are the same in every run. */
export function countingRandom(): Random {
  let count = 0
  return {
    bytes(length) {
      const bytes = Buffer.alloc(length)
      bytes.writeUInt32BE(++count, length - 4)
      return bytes
    },
    fraction: () => 0.5,
  }
}

/** A coordinator on a virtual clock and a log in memory, with short words for what members do. */
export class GroupBench {
  readonly clock = new VirtualClock()
  readonly log = new MemoryStateLog(this.clock)
  readonly settings: GroupSettings
  readonly random = countingRandom()
  metrics = new Metrics()
  view = new GroupsView()
  groups: GroupCoordinator

  constructor(settings: Partial<GroupSettings> = {}) {
    this.settings = { ...defaultGroupSettings, initialRebalanceDelayMs: 0, ...settings }
    this.groups = this.#start()
  }

  /** Kill and start again from what is durable. */
  restart(lucky = 0): void {
    this.groups.stop()
    this.view = new GroupsView()
    this.log.restart(lucky)
    this.log.replayTo(this.view)
    this.metrics = new Metrics()
    this.groups = this.#start()
  }

  join(request: Partial<JoinRequest> = {}): Watched<JoinResult> {
    return watch(
      this.groups.join({
        groupId: 'g',
        memberId: '',
        groupInstanceId: null,
        clientId: 'app',
        clientHost: '/127.0.0.1',
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 30_000,
        protocolType: 'consumer',
        protocols: protocols('range'),
        needsKnownMemberId: false,
        knowsSkipAssignment: true,
        ...request,
      }),
    )
  }

  /** The id that MEMBER_ID_REQUIRED carries. */
  async newMemberId(groupId = 'g'): Promise<string> {
    const joined = this.join({ groupId, needsKnownMemberId: true })
    await settle()
    if (!(joined.error instanceof MemberIdRequired)) throw new Error(`expected a member id, got ${joined.kind}`)
    return joined.error.memberId
  }

  sync(memberId: string, generation: number, request: Partial<SyncRequest> = {}): Watched<SyncResult> {
    return watch(
      this.groups.sync({
        groupId: 'g',
        memberId,
        groupInstanceId: null,
        generation,
        protocolType: null,
        protocolName: null,
        assignments: [],
        ...request,
      }),
    )
  }

  /** 'ok' or the kind of the refusal. */
  heartbeat(memberId: string, generation: number, groupInstanceId: string | null = null): ErrorKind | 'ok' {
    try {
      this.groups.heartbeat({ groupId: 'g', memberId, generation, groupInstanceId })
      return 'ok'
    } catch (error) {
      if (error instanceof BrokerError) return error.kind
      throw error
    }
  }

  commit(offset: number, from: { memberId?: string; generation?: number; groupId?: string } = {}) {
    return watch(
      this.groups.commit({
        groupId: from.groupId ?? 'g',
        memberId: from.memberId ?? '',
        groupInstanceId: null,
        generation: from.generation ?? -1,
        offsets: [{ topic: 't', partition: 0, offset, leaderEpoch: 3, metadata: 'note' }],
      }),
    )
  }

  /** The committed offset of t-0; -1 when there is none. */
  async committed(groupId = 'g'): Promise<number> {
    const [result] = await this.groups.fetchOffsets([{ groupId, topics: [{ topic: 't', partitions: [0] }] }])
    return result!.offsets[0]!.offset
  }

  async state(groupId = 'g'): Promise<string> {
    return (await this.groups.describe(groupId))?.state ?? 'none'
  }

  /** A stable group: member 0 leads, member i got the assignment `for-i`. Static where `instances` has a name. */
  async stable(
    count: number,
    instances: readonly (string | null)[] = [],
  ): Promise<{ ids: string[]; generation: number }> {
    const joins = Array.from({ length: count }, (_, i) => this.join({ groupInstanceId: instances[i] ?? null }))
    await this.clock.advance(this.settings.initialRebalanceDelayMs)
    const ids = joins.map(({ value }) => value!.memberId)
    const { generation, leader } = joins[0]!.value!
    await this.assign(ids, generation, leader)
    return { ids, generation }
  }

  /** All members sync; each gets `for-` and its position. */
  async assign(ids: readonly string[], generation: number, leader: string): Promise<Watched<SyncResult>[]> {
    const assignments = ids.map((memberId, i) => ({ memberId, assignment: Buffer.from(`for-${i}`) }))
    const syncs = ids.map(id => this.sync(id, generation, { assignments: id === leader ? assignments : [] }))
    await this.clock.advance(0)
    return syncs
  }

  #start(): GroupCoordinator {
    const { clock, random, settings, metrics, view, log } = this
    return new GroupCoordinator({ clock, random, settings, metrics, view, stateLog: log, logger: silentLogger })
  }
}

export const protocols = (...names: string[]) => names.map(name => ({ name, metadata: Buffer.from(`meta-${name}`) }))

/** A consumer's subscription, version 1, with user data. */
export function subscription(...topics: string[]): Buffer {
  const names = topics.map(topic => Buffer.concat([Buffer.from([0, topic.length]), Buffer.from(topic)]))
  return Buffer.concat([Buffer.from([0, 1, 0, 0, 0, topics.length]), ...names, Buffer.from([0, 0, 0, 1, 7])])
}

import { type JoinResult, MemberIdRequired } from '../../src/broker/groups/groups.ts'
import { assert } from '../../src/core/assert.ts'
import { BrokerError } from '../../src/core/errors.ts'
import { sleep } from '../../src/platform/clock.ts'
import type { GroupBench } from './group-bench.ts'

export const rebalanceTimeoutMs = 4000
export const sessionTimeoutMs = 9000

/** What must hold, seen from outside: told by the actors, checked at once. */
export class GroupModel {
  readonly partitions: number
  /** `generation/partition` to its owner, over all of time. */
  readonly #owners = new Map<string, string>()
  readonly #acked = new Map<number, number>()
  #lastGeneration = 0
  #longestWaitMs = 0
  rounds = 0
  commits = 0

  constructor(partitions: number) {
    this.partitions = partitions
  }

  get longestWaitMs(): number {
    return this.#longestWaitMs
  }

  assigned(owner: string, generation: number, partitions: readonly number[]): void {
    assert(generation >= this.#lastGeneration, `generation ${generation} after ${this.#lastGeneration}`)
    if (generation > this.#lastGeneration) this.rounds++
    this.#lastGeneration = generation
    for (const partition of partitions) {
      const before = this.#owners.get(`${generation}/${partition}`)
      assert(before === undefined || before === owner, `${partition} in ${generation} is of ${before} and ${owner}`)
      this.#owners.set(`${generation}/${partition}`, owner)
    }
  }

  acked(partition: number, offset: number): void {
    this.commits++
    this.#acked.set(partition, Math.max(offset, this.#acked.get(partition) ?? -1))
  }

  fetched(partition: number, offset: number): void {
    const acked = this.#acked.get(partition) ?? -1
    assert(offset >= acked, `partition ${partition} went back from ${acked} to ${offset}`)
  }

  answered(what: string, waitedMs: number, limitMs: number): void {
    this.#longestWaitMs = Math.max(this.#longestWaitMs, waitedMs)
    assert(waitedMs <= limitMs, `${what} was answered after ${waitedMs} ms, the limit is ${limitMs}`)
  }
}

export interface ActorTraits {
  readonly bench: GroupBench
  readonly model: GroupModel
  readonly random: () => number
  readonly groupInstanceId: string | null
  /** Longest wait for a join or a sync. */
  readonly limitMs: number
}

/** A consumer: joins, assigns as leader, syncs, heartbeats, commits. Chaos makes it slow or ends it. */
export class GroupActor {
  /** Set by chaos: it takes this long for its next step. */
  stallMs = 0
  gone = false
  owned: number[] = []
  /** Resolves when it is gone, with the invariant that it saw broken if there was one. */
  readonly done: Promise<unknown>
  readonly #traits: ActorTraits
  #memberId = ''
  #generation = -1

  constructor(traits: ActorTraits) {
    this.#traits = traits
    this.done = this.#run().catch((failure: unknown) => {
      this.gone = true
      return failure
    })
  }

  get memberId(): string {
    return this.#memberId
  }

  get groupInstanceId(): string | null {
    return this.#traits.groupInstanceId
  }

  async #run(): Promise<void> {
    while (!this.gone) {
      try {
        await this.#step()
      } catch (error) {
        if (!(error instanceof BrokerError)) throw error
        this.#refused(error)
        await this.#pause(100)
      }
    }
  }

  async #step(): Promise<void> {
    const joined = await this.#join()
    this.#memberId = joined.memberId
    this.#generation = joined.generation
    await this.#pause(10)
    if (this.gone) return
    await this.#sync(joined)
    const next = new Map<number, number>()
    for (const partition of this.owned) next.set(partition, await this.#fetch(partition))
    while (!this.gone) {
      await this.#pause(1000)
      if (this.gone) return
      await this.#commit(next)
      this.#traits.bench.groups.heartbeat(this.#identity())
    }
  }

  #refused(error: BrokerError): void {
    this.owned = []
    if (error instanceof MemberIdRequired) this.#memberId = error.memberId
    else if (error.kind === 'fencedInstance') this.gone = true
    else if (error.kind === 'unknownMember') this.#memberId = ''
    else
      assert(
        ['rebalanceInProgress', 'illegalGeneration', 'coordinatorUnavailable'].includes(error.kind),
        `no refusal by ${error.kind}`,
      )
  }

  #join(): Promise<JoinResult> {
    const { bench, groupInstanceId } = this.#traits
    return this.#timed('join', () =>
      bench.groups.join({
        groupId: 'g',
        memberId: this.#memberId,
        groupInstanceId,
        clientId: 'actor',
        clientHost: '/127.0.0.1',
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        protocolType: 'consumer',
        protocols: [{ name: 'even', metadata: Buffer.alloc(0) }],
        needsKnownMemberId: true,
        knowsSkipAssignment: true,
      }),
    )
  }

  async #sync({ leader, memberId, members, skipAssignment }: JoinResult): Promise<void> {
    const { bench, model } = this.#traits
    const assignments =
      leader === memberId && !skipAssignment
        ? members.map(({ memberId: id }, i) => ({
            memberId: id,
            assignment: Buffer.from(range(model.partitions).filter(partition => partition % members.length === i)),
          }))
        : []
    const { assignment } = await this.#timed('sync', () =>
      bench.groups.sync({ ...this.#identity(), protocolType: 'consumer', protocolName: 'even', assignments }),
    )
    this.owned = [...assignment]
    model.assigned(this.groupInstanceId ?? memberId, this.#generation, this.owned)
  }

  async #fetch(partition: number): Promise<number> {
    const { bench, model } = this.#traits
    const request = { groupId: 'g', topics: [{ topic: 't', partitions: [partition] }] }
    const [result] = await bench.groups.fetchOffsets([request])
    const { offset } = result!.offsets[0]!
    model.fetched(partition, offset)
    return offset
  }

  async #commit(next: Map<number, number>): Promise<void> {
    const { bench, model, random } = this.#traits
    for (const partition of next.keys()) next.set(partition, next.get(partition)! + 1 + Math.floor(random() * 5))
    const sent = [...next]
    const offsets = sent.map(([partition, offset]) => ({
      topic: 't',
      partition,
      offset,
      leaderEpoch: 0,
      metadata: null,
    }))
    await bench.groups.commit({ ...this.#identity(), offsets })
    for (const [partition, offset] of sent) model.acked(partition, offset)
  }

  #identity() {
    const { groupInstanceId } = this.#traits
    return { groupId: 'g', memberId: this.#memberId, groupInstanceId, generation: this.#generation }
  }

  async #timed<Result>(what: string, ask: () => Promise<Result>): Promise<Result> {
    const { bench, limitMs, model } = this.#traits
    const startMs = bench.clock.monotonicMs()
    try {
      return await ask()
    } finally {
      model.answered(what, bench.clock.monotonicMs() - startMs, limitMs)
    }
  }

  async #pause(aboutMs: number): Promise<void> {
    const stallMs = this.stallMs
    this.stallMs = 0
    await sleep(this.#traits.bench.clock, stallMs + aboutMs * (0.5 + this.#traits.random()))
  }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

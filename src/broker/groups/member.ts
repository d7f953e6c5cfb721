import { assert } from '../../core/assert.ts'
import { BrokerError } from '../../core/errors.ts'
import type { StoredMember } from '../../state/group-metadata.ts'
import type { Deadline } from './deadline.ts'
import type { JoinResult, MemberProtocol, SyncResult } from './groups.ts'

/** A request that waits for its answer. */
export interface Parked<Result> {
  resolve(result: Result): void
  reject(error: BrokerError): void
}

export const noBytes: Buffer = Buffer.alloc(0)

/** What a member costs besides its texts and bytes; only to bound them all. */
const overheadBytes = 512

type MemberIdentityFields = Pick<StoredMember, 'memberId' | 'groupInstanceId' | 'clientId' | 'clientHost'>

/** One member of a classic group. */
export class Member {
  readonly memberId: string
  /** Null for a dynamic member. */
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** The end of its session, or of its wait as a new member. */
  readonly session: Deadline
  sessionTimeoutMs = 0
  rebalanceTimeoutMs = 0
  assignment: Buffer = noBytes
  /** Has not yet got an answer to its first join, so that it cannot heartbeat. */
  isNew = false
  #protocols: readonly MemberProtocol[] = []
  #awaitingJoin: Parked<JoinResult> | undefined
  #awaitingSync: Parked<SyncResult> | undefined

  constructor({ memberId, groupInstanceId, clientId, clientHost }: MemberIdentityFields, session: Deadline) {
    this.memberId = memberId
    this.groupInstanceId = groupInstanceId
    this.clientId = clientId
    this.clientHost = clientHost
    this.session = session
  }

  get protocols(): readonly MemberProtocol[] {
    return this.#protocols
  }

  /** Keeps copies, for the bytes may be a piece of a large frame; of two with one name the first. Once in a group: `Group.update`. */
  setProtocols(protocols: readonly MemberProtocol[]): void {
    const byName = new Map<string, MemberProtocol>()
    for (const { name, metadata } of protocols) {
      if (!byName.has(name)) byName.set(name, { name, metadata: Buffer.from(metadata) })
    }
    this.#protocols = [...byName.values()]
  }

  get isStatic(): boolean {
    return this.groupInstanceId !== null
  }

  get isAwaitingJoin(): boolean {
    return this.#awaitingJoin !== undefined
  }

  get isAwaitingSync(): boolean {
    return this.#awaitingSync !== undefined
  }

  /** A parked request counts as a sign of life, except the first join of a new member: nobody may be there any more. */
  get isExcusedFromHeartbeat(): boolean {
    return !this.isNew && (this.isAwaitingJoin || this.isAwaitingSync)
  }

  /** Same protocols in the same order with the same metadata. */
  supportsExactly(protocols: readonly MemberProtocol[]): boolean {
    return (
      protocols.length === this.#protocols.length &&
      this.#protocols.every(({ name, metadata }, i) => {
        const other = protocols[i]!
        return name === other.name && metadata.equals(other.metadata)
      })
    )
  }

  /** Metadata of the protocol; empty when there is no protocol yet. */
  metadataOf(protocolName: string | null): Buffer {
    return this.#protocols.find(({ name }) => name === protocolName)?.metadata ?? noBytes
  }

  /** The first of its protocols that is among `candidates`. */
  vote(candidates: ReadonlySet<string>): string {
    const choice = this.#protocols.find(({ name }) => candidates.has(name))
    assert(choice !== undefined, 'a member supports one of the protocols that all members support')
    return choice.name
  }

  /** A join that was parked before is answered: there is one at a time. */
  parkJoin(parked: Parked<JoinResult>): void {
    this.failJoin(replaced())
    this.#awaitingJoin = parked
  }

  parkSync(parked: Parked<SyncResult>): void {
    this.failSync(replaced())
    this.#awaitingSync = parked
  }

  answerJoin(result: JoinResult): void {
    this.#awaitingJoin?.resolve(result)
    this.#awaitingJoin = undefined
  }

  failJoin(error: BrokerError): void {
    this.#awaitingJoin?.reject(error)
    this.#awaitingJoin = undefined
  }

  answerSync(result: SyncResult): void {
    this.#awaitingSync?.resolve(result)
    this.#awaitingSync = undefined
  }

  failSync(error: BrokerError): void {
    this.#awaitingSync?.reject(error)
    this.#awaitingSync = undefined
  }

  /** What it holds of `maxMetadataBytes`. */
  get bytes(): number {
    const names =
      this.memberId.length + (this.groupInstanceId?.length ?? 0) + this.clientId.length + this.clientHost.length
    return overheadBytes + names + protocolsBytes(this.#protocols) + this.assignment.length
  }
}

export const protocolsBytes = (protocols: readonly MemberProtocol[]): number =>
  protocols.reduce((sum, { name, metadata }) => sum + name.length + metadata.length, 0)

const replaced = () => new BrokerError('rebalanceInProgress', 'a newer request of the same member replaced this one')

import { decodeState, encodeState } from './codec.ts'

/** A member as of the last completed sync. */
export interface StoredMember {
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** Metadata of the chosen protocol. */
  readonly subscription: Buffer
  readonly assignment: Buffer
}

/**
 * What is stored of a group, as CBOR under these names: after each sync, when a static member is replaced, and when the group becomes
 * empty. With members the group is Stable, without it is Empty.
 */
export interface GroupMetadata {
  readonly generation: number
  /** Null: offsets were committed, but nobody ever joined. */
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string | null
  /** Log age in seconds at which the group came into this state; the expiry of an empty group's offsets counts from here. */
  readonly since: number
  readonly members: readonly StoredMember[]
}

/** The value of a group record. */
export const encodeGroupMetadata = (metadata: GroupMetadata): Buffer => encodeState(metadata)

export const decodeGroupMetadata = (value: Buffer): GroupMetadata => decodeState<GroupMetadata>(value)

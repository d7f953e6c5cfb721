import { assert } from '../core/assert.ts'
import { decodeGroupMetadata, encodeGroupMetadata, type GroupMetadata } from './group-metadata.ts'
import { type CommittedOffset, encodeOffset, GroupOffsets, offsetKey, offsetKeyTag } from './group-offsets.ts'
import { internalPartitions } from './internal-partitions.ts'
import type { StateChange, StateRecord, View } from './view.ts'

const metadataKeyTag = 1

/**
 * Consumer groups and their committed offsets. The first byte of a key says which record it is:
 *
 *     01 | group id                        -> CBOR of `GroupMetadata`
 *     02 | group id, topic, partition      -> see `GroupOffsets`
 */
export class GroupsView implements View {
  readonly name = 'groups'
  readonly partition = internalPartitions.groups
  readonly offsets = new GroupOffsets()
  /** Values as stored: live groups hold the decoded form, this is only read at start and for checkpoints. */
  readonly #metadata = new Map<string, Buffer>()

  hasMetadata(groupId: string): boolean {
    return this.#metadata.has(groupId)
  }

  /** Stored metadata of every group that has any. */
  *groups(): Iterable<{ readonly groupId: string; readonly metadata: GroupMetadata }> {
    for (const [groupId, value] of this.#metadata) yield { groupId, metadata: decodeGroupMetadata(value) }
  }

  putMetadata(groupId: string, metadata: GroupMetadata): StateChange {
    return { view: this, key: metadataKey(groupId), value: encodeGroupMetadata(metadata) }
  }

  removeMetadata(groupId: string): StateChange {
    return { view: this, key: metadataKey(groupId), value: null }
  }

  putOffset(groupId: string, topic: string, partition: number, committed: CommittedOffset): StateChange {
    return { view: this, key: offsetKey(groupId, topic, partition), value: encodeOffset(committed) }
  }

  removeOffset(groupId: string, topic: string, partition: number): StateChange {
    return { view: this, key: offsetKey(groupId, topic, partition), value: null }
  }

  apply(key: Buffer, value: Buffer | null): void {
    if (key[0] === offsetKeyTag) {
      this.offsets.apply(key, value)
      return
    }
    assert(key[0] === metadataKeyTag, 'a group record is metadata or an offset')
    const groupId = key.toString('utf8', 1)
    // a copy, for the value may be a piece of a large batch
    if (value === null) this.#metadata.delete(groupId)
    else this.#metadata.set(groupId, Buffer.from(value))
  }

  *entries(): Iterable<StateRecord> {
    for (const [groupId, value] of this.#metadata) yield { key: metadataKey(groupId), value }
    yield* this.offsets.entries()
  }

  clear(): void {
    this.#metadata.clear()
    this.offsets.clear()
  }
}

function metadataKey(groupId: string): Buffer {
  const key = Buffer.allocUnsafe(1 + Buffer.byteLength(groupId))
  key[0] = metadataKeyTag
  key.write(groupId, 1)
  return key
}

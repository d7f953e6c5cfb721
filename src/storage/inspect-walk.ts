import type { RandomAccessFile } from '../platform/files.ts'
import { type GroupHeader, groupHeaderBytes, readGroupHeader } from './group.ts'
import { type ChainLink, continues, copyOfNewest, findWitness, nextInChain, type ScannedGroup } from './group-scan.ts'
import type { Damage } from './inspect-damage.ts'
import {
  framesOfDamagedGroup,
  framesOfGroup,
  framesOfStretch,
  lengthWithoutZeros,
  type WalkedFrame,
} from './inspect-frames.ts'
import { alignUp, blockBytes, firstGroupPosition, groupAlignBytes } from './layout.ts'
import { SlotReader } from './slot-reader.ts'

export type WalkStep =
  /** A group whose header verifies, with those of its frames that verify. */
  | {
      readonly kind: 'group'
      readonly position: number
      readonly header: GroupHeader
      readonly frames: readonly WalkedFrame[]
    }
  /** The newest group once more, as a recovery wrote it. */
  | { readonly kind: 'copy'; readonly position: number; readonly bytes: number }
  /** Frames behind a group header that does not verify. */
  | { readonly kind: 'stray'; readonly frames: readonly WalkedFrame[] }
  | { readonly kind: 'damage'; readonly damage: Damage }

/** How the groups of a segment end. `torn`: bytes of a group stand there that never became part of the log, or are its last one. */
export type SegmentEnding = 'sealed' | 'open' | 'torn'

export interface WalkParts {
  readonly slot: number
  readonly file: RandomAccessFile
  readonly slotBytes: number
  /** Salts of all starts that are known. */
  readonly salts: ReadonlySet<bigint>
  /** Where the chain comes from. */
  readonly chain: ChainLink
  /** The last group of the segment and where it ends, when a later segment or the footer tells. */
  readonly lastGroup?: number
  readonly endPosition?: number
  /** The next segment begins behind `lastGroup`: a group that still follows here was written again there. */
  readonly leadsToNext?: boolean
  /** Waits for a while: at the end of a log that is being written the bytes are read again before they are judged. */
  readonly pause: () => Promise<void>
}

const tailAttempts = 3

/**
 * Walks the groups of one slot from front to back, reading only. Groups are told from what merely looks like them as recovery does it: by
 * the chain. Where it breaks, a later group tells damage from the end of the log.
 */
export class SegmentWalk {
  chain: ChainLink
  /** Position after the last group. */
  end = firstGroupPosition
  ending: SegmentEnding = 'open'
  /** The segment took more groups while it was walked. */
  grew = false
  readonly #parts: WalkParts
  #reader: SlotReader

  constructor(parts: WalkParts) {
    this.#parts = parts
    this.chain = parts.chain
    this.#reader = new SlotReader(parts.file, 0)
  }

  async *steps(): AsyncGenerator<WalkStep> {
    await this.#reread()
    for (;;) {
      const { lastGroup, salts, leadsToNext } = this.#parts
      const isComplete = lastGroup !== undefined && this.chain.group >= lastGroup
      const found = isComplete && leadsToNext ? 'none' : await nextInChain(this.#reader, this.end, this.chain)
      if (typeof found !== 'string') {
        yield* this.#takeGroup(found)
        continue
      }
      const copyEnd = await copyOfNewest(this.#reader, this.end, this.chain)
      if (copyEnd !== undefined) {
        const position = alignUp(this.end, blockBytes)
        yield { kind: 'copy', position, bytes: copyEnd - position }
        this.end = copyEnd
        continue
      }
      if (isComplete) {
        this.ending = 'sealed'
        return
      }
      // the witness is read first: what it calls durable is whole in everything that is read after it
      const witness = await findWitness(this.#reader, this.end, this.chain, salts)
      if (await this.#settles(witness !== undefined || lastGroup !== undefined)) continue
      if (witness !== undefined && continues(witness.header, this.chain)) yield* this.#takeGroup(witness)
      else if (!(yield* this.#passDamage(witness, found))) return
    }
  }

  /** Reads again what could not be believed; true when it can now. */
  async #settles(isDurable: boolean): Promise<boolean> {
    const attempts = isDurable ? 1 : this.grew ? 0 : tailAttempts
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (!isDurable) await this.#parts.pause()
      await this.#reread()
      if (typeof (await nextInChain(this.#reader, this.end, this.chain)) === 'string') continue
      if (!isDurable) this.grew = true
      return true
    }
    return false
  }

  async #reread(): Promise<void> {
    const { file, slotBytes } = this.#parts
    this.#reader = new SlotReader(file, Math.min(slotBytes, await file.size()))
  }

  *#take(position: number, header: GroupHeader, frames: readonly WalkedFrame[]): Generator<WalkStep> {
    this.chain = { group: header.number, crc: header.crc, salt: header.salt }
    this.end = position + header.length
    yield { kind: 'group', position, header, frames }
  }

  async *#takeGroup({ position, header, bytes }: ScannedGroup): AsyncGenerator<WalkStep> {
    yield* this.#padding(position)
    yield* this.#take(position, header, framesOfGroup(bytes, position, header))
  }

  /** Between groups stand zeros. */
  async *#padding(to: number): AsyncGenerator<WalkStep> {
    const bytes = await this.#reader.bytes(this.end, to - this.end)
    const first = bytes.findIndex(byte => byte !== 0)
    if (first < 0) return
    const damage = { slot: this.#parts.slot, position: this.end + first, bytes: lengthWithoutZeros(bytes) - first }
    yield { kind: 'damage', damage: { ...damage, cause: 'padding' } }
  }

  /** The chain breaks here. True: it goes on behind damage; false: the segment ends. */
  async *#passDamage(
    witness: ScannedGroup | undefined,
    verdict: 'torn' | 'none',
  ): AsyncGenerator<WalkStep, boolean, undefined> {
    const { slot, lastGroup } = this.#parts
    const next = await this.#nextHeader()
    if (next !== undefined && next.position + next.header.length > this.#reader.length) {
      // groups are written to prepared space only: no cut write looks like this
      const { endPosition, slotBytes } = this.#parts
      const end = lastGroup === undefined ? next.position + next.header.length : (endPosition ?? slotBytes)
      const position = this.#reader.length
      const damage = { slot, position, bytes: end - position, cause: 'missing', group: next.header.number } as const
      yield { kind: 'damage', damage }
      this.#endAt(lastGroup)
      return false
    }
    if (witness === undefined && lastGroup === undefined) {
      this.ending = verdict === 'torn' ? 'torn' : 'open'
      return false
    }
    if (next === undefined) return yield* this.#passHeaders(witness)
    yield* this.#padding(next.position)
    const bytes = await this.#reader.bytes(next.position, next.header.length)
    const { frames, damages } = framesOfDamagedGroup(slot, bytes, next.position, next.header)
    yield* this.#take(next.position, next.header, frames)
    for (const damage of damages) yield { kind: 'damage', damage }
    return true
  }

  /** Nothing can be read up to the end of the segment, which is known for one that was sealed. */
  #endAt(lastGroup: number | undefined): void {
    this.ending = lastGroup === undefined ? 'open' : 'sealed'
    if (lastGroup !== undefined) this.chain = { ...this.chain, group: lastGroup }
  }

  /** The header that continues the chain, whatever stands behind it. */
  async #nextHeader(): Promise<{ position: number; header: GroupHeader } | undefined> {
    for (const position of new Set([alignUp(this.end, groupAlignBytes), alignUp(this.end, blockBytes)])) {
      const header = readGroupHeader(await this.#reader.bytes(position, groupHeaderBytes), 0)
      if (header !== undefined && continues(header, this.chain)) return { position, header }
    }
    return undefined
  }

  /** A group header is damaged: whole frames are looked for up to the next group, or to the end of the segment. */
  async *#passHeaders(witness: ScannedGroup | undefined): AsyncGenerator<WalkStep, boolean, undefined> {
    const { slot, lastGroup, endPosition, slotBytes } = this.#parts
    const { length } = this.#reader
    const known = witness?.position ?? endPosition
    const from = await this.#damageStart(Math.min(known ?? length, length))
    const to = Math.min(known ?? length, length)
    if (length < slotBytes && (from >= length || (known ?? 0) > length)) {
      const damage = { slot, position: length, bytes: (known ?? slotBytes) - length, cause: 'missing' } as const
      yield { kind: 'damage', damage: { ...damage, group: this.chain.group + 1 } }
    }
    if (from < to) {
      const { frames, damages } = await framesOfStretch(this.#reader, {
        slot,
        from,
        to,
        firstGroup: this.chain.group + 1,
        endGroup: witness?.header.number ?? (lastGroup ?? this.chain.group) + 1,
        salts: [this.chain.salt, ...(witness === undefined ? [] : [witness.header.salt])],
        toIsKnown: known !== undefined,
      })
      for (const damage of damages) yield { kind: 'damage', damage }
      if (frames.length > 0) yield { kind: 'stray', frames }
    }
    this.end = to
    if (witness === undefined) {
      this.#endAt(lastGroup)
      return false
    }
    const { number, previousCrc, salt } = witness.header
    this.chain = { group: number - 1, crc: previousCrc, salt }
    return true
  }

  /** Where the damaged group began: behind the last one in its block, or on the next block. */
  async #damageStart(to: number): Promise<number> {
    const sharing = alignUp(this.end, groupAlignBytes)
    const nextBlock = alignUp(this.end, blockBytes)
    const bytes = await this.#reader.bytes(sharing, Math.min(nextBlock, to) - sharing)
    if (bytes.some(byte => byte !== 0)) return sharing
    if (nextBlock < to) return nextBlock
    // nothing is left of it where the file ends
    return to === this.#reader.length ? to : sharing
  }
}

import { partitionId } from '../core/brand.ts'
import { ByteReader } from '../core/byte-reader.ts'
import { writeUnsignedVarint, writeVarlong } from '../core/varint.ts'
import { gapReasons } from './gaps.ts'
import type { Gap, GapReason } from './log.ts'

const fixedBytes = 5
/** A partition id and two offsets, as varints. */
const mostBytes = 5 + 2 * 8

/**
 * Log starts that move up together, and the gaps that this leaves: a row for each partition, in columns, because eviction takes the first batches of
 * thousands of partitions at once.
 */
export class Cuts {
  readonly reason: GapReason
  /** Of the gaps, in seconds. */
  readonly logAge: number
  readonly partitions: number[] = []
  /** Where the partition begins from now on. */
  readonly starts: number[] = []
  /** So many offsets right below are a gap: what somebody may still have wanted. */
  readonly unread: number[] = []

  constructor(reason: GapReason, logAge: number) {
    this.reason = reason
    this.logAge = logAge
  }

  get size(): number {
    return this.partitions.length
  }

  add(partition: number, start: number, unread: number): void {
    this.partitions.push(partition)
    this.starts.push(start)
    this.unread.push(unread)
  }

  /** The gap of a row; undefined where nothing unread went. */
  gap(row: number): Gap | undefined {
    const [start, unread] = [this.starts[row]!, this.unread[row]!]
    if (unread === 0) return undefined
    const { reason, logAge } = this
    return { partition: partitionId(this.partitions[row]!), first: start - unread, last: start - 1, reason, logAge }
  }

  /** The same log starts without the gaps that `keeps` does not want. */
  withGaps(keeps: (gap: Gap) => boolean): Cuts {
    const cuts = new Cuts(this.reason, this.logAge)
    for (let row = 0; row < this.size; row++) {
      const gap = this.gap(row)
      cuts.add(this.partitions[row]!, this.starts[row]!, gap !== undefined && keeps(gap) ? this.unread[row]! : 0)
    }
    return cuts
  }

  /** docs/FORMAT.md draws the bytes; the type of the record stands before them, at `start`. */
  encode(start: number): Buffer {
    const bytes = Buffer.allocUnsafe(start + fixedBytes + this.size * mostBytes)
    bytes.writeUInt8(gapReasons.indexOf(this.reason), start)
    bytes.writeUInt32BE(this.logAge, start + 1)
    let at = start + fixedBytes
    for (let row = 0; row < this.size; row++) {
      at = writeUnsignedVarint(bytes, at, this.partitions[row]!)
      at = writeVarlong(bytes, at, this.starts[row]!)
      at = writeVarlong(bytes, at, this.unread[row]!)
    }
    return bytes.subarray(0, at)
  }

  static decode(bytes: Buffer, start: number): Cuts {
    const cuts = new Cuts(gapReasons[bytes.readUInt8(start)] ?? 'damage', bytes.readUInt32BE(start + 1))
    const reader = new ByteReader(bytes, 'log starts', start + fixedBytes)
    while (reader.remaining > 0) cuts.add(reader.unsignedVarint(), reader.varlong(), reader.varlong())
    return cuts
  }
}

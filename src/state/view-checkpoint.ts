import { crc32c } from '../core/crc32c.ts'
import type { StateRecord, View } from './view.ts'

/** What a checkpoint holds: the view's records after everything below `nextOffset` was applied. */
export interface ViewCheckpoint {
  readonly nextOffset: number
  readonly records: readonly StateRecord[]
}

const version = 1
const headerBytes = 4 + 1 + 32 + 8 + 4

/**
 * A view as one value for the checkpoint store: CRC-32C of what follows, version, log id, next offset, record count, then per record
 * key length, key, value length, value (all big endian, lengths 32 bits).
 */
export const encodeViewCheckpoint = (view: View, logId: string, nextOffset: number): Buffer => {
  const chunks: Buffer[] = []
  let count = 0
  for (const { key, value } of view.entries()) {
    if (value === null) continue
    const lengths = Buffer.allocUnsafe(8)
    lengths.writeUInt32BE(key.length, 0)
    lengths.writeUInt32BE(value.length, 4)
    chunks.push(lengths, key, value)
    count += 1
  }
  const header = Buffer.alloc(headerBytes)
  header.writeUInt8(version, 4)
  header.write(logId, 5, 32, 'latin1')
  header.writeBigUInt64BE(BigInt(nextOffset), 37)
  header.writeUInt32BE(count, 45)
  const bytes = Buffer.concat([header, ...chunks])
  bytes.writeUInt32BE(crc32c(bytes.subarray(4)), 0)
  return bytes
}

/** What it gives refers to `bytes`. Undefined when the bytes are not a whole checkpoint of this version and this log: the view is then replayed. */
export const decodeViewCheckpoint = (bytes: Buffer, logId: string): ViewCheckpoint | undefined => {
  if (bytes.length < headerBytes || bytes.readUInt32BE(0) !== crc32c(bytes.subarray(4))) return undefined
  if (bytes.readUInt8(4) !== version || bytes.toString('latin1', 5, 37) !== logId) return undefined
  const records: StateRecord[] = []
  let position = headerBytes
  const take = (length: number): Buffer => bytes.subarray(position, (position += length))
  for (let left = bytes.readUInt32BE(45); left > 0; left -= 1) {
    const keyBytes = take(4).readUInt32BE(0)
    const valueBytes = take(4).readUInt32BE(0)
    records.push({ key: take(keyBytes), value: take(valueBytes) })
  }
  return { nextOffset: Number(bytes.readBigUInt64BE(37)), records }
}

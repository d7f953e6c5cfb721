// The part of the kernel's FUSE protocol 7.31 that a file system without links, attributes and locks of its own needs: linux/fuse.h.
// Native byte order, which is little-endian on every machine that runs these tests.

/** `enum fuse_opcode`. */
export const operations = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  create: 35,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  rename2: 45,
} as const

export type Operation = keyof typeof operations

const namesOf = new Map<number, Operation>(
  (Object.entries(operations) as [Operation, number][]).map(([name, code]) => [code, name]),
)

/** Payload of the largest WRITE. */
export const maxWriteBytes = 1024 * 1024
/** What `read` of the device must have room for. */
export const requestBytes = maxWriteBytes + 4096

const inHeaderBytes = 40
const outHeaderBytes = 16
const attributeBytes = 88
const pageBytes = 4096
/** FUSE_BIG_WRITES | FUSE_MAX_PAGES: without them a WRITE carries one page, or 32. */
const initFlags = (1 << 5) | (1 << 22)
/** Names and attributes change only through this mount: the kernel may keep them, in seconds. */
const validSeconds = 3600n

export interface Request {
  /** Undefined: one that this file system does not know. */
  readonly operation: Operation | undefined
  readonly unique: bigint
  readonly inode: number
  /** Valid until the next request is read. */
  readonly body: Buffer
}

export const decodeRequest = (bytes: Buffer): Request => ({
  operation: namesOf.get(bytes.readUInt32LE(4)),
  unique: bytes.readBigUInt64LE(8),
  inode: Number(bytes.readBigUInt64LE(16)),
  body: bytes.subarray(inHeaderBytes, bytes.readUInt32LE(0)),
})

/** `errorNumber` positive, or 0 with a body. */
export const encodeReply = (unique: bigint, errorNumber: number, body: Buffer = Buffer.alloc(0)): Buffer => {
  const header = Buffer.alloc(outHeaderBytes)
  header.writeUInt32LE(outHeaderBytes + body.length, 0)
  header.writeInt32LE(-errorNumber, 4)
  header.writeBigUInt64LE(unique, 8)
  return Buffer.concat([header, body])
}

/** The names at the end of a request, each with a zero behind it. */
export const namesIn = (body: Buffer, from: number): string[] =>
  body.subarray(from).toString('utf8').split('\0').slice(0, -1)

export interface Attributes {
  readonly inode: number
  readonly size: number
  /** With the bits of the file's kind. */
  readonly mode: number
  readonly modifiedMs: number
}

export const encodeInit = (): Buffer => {
  const body = Buffer.alloc(64)
  body.writeUInt32LE(7, 0)
  body.writeUInt32LE(31, 4)
  // max_readahead, flags, max_background and congestion_threshold, max_write, time_gran, max_pages
  body.writeUInt32LE(128 * 1024, 8)
  body.writeUInt32LE(initFlags, 12)
  body.writeUInt16LE(16, 16)
  body.writeUInt16LE(12, 18)
  body.writeUInt32LE(maxWriteBytes, 20)
  body.writeUInt32LE(1_000_000, 24)
  body.writeUInt16LE(maxWriteBytes / pageBytes, 28)
  return body
}

const encodeAttributes = ({ inode, size, mode, modifiedMs }: Attributes): Buffer => {
  const body = Buffer.alloc(attributeBytes)
  body.writeBigUInt64LE(BigInt(inode), 0)
  body.writeBigUInt64LE(BigInt(size), 8)
  body.writeBigUInt64LE(BigInt(Math.ceil(size / 512)), 16)
  for (const index of [0, 1, 2]) {
    body.writeBigUInt64LE(BigInt(Math.floor(modifiedMs / 1000)), 24 + index * 8)
    body.writeUInt32LE((modifiedMs % 1000) * 1_000_000, 48 + index * 4)
  }
  body.writeUInt32LE(mode, 60)
  body.writeUInt32LE(1, 64)
  body.writeUInt32LE(pageBytes, 80)
  return body
}

/** Answer to GETATTR and SETATTR. */
export const encodeAttributesReply = (attributes: Attributes): Buffer => {
  const head = Buffer.alloc(16)
  head.writeBigUInt64LE(validSeconds, 0)
  return Buffer.concat([head, encodeAttributes(attributes)])
}

/** Answer to LOOKUP and to whatever makes a name. */
export const encodeEntry = (attributes: Attributes): Buffer => {
  const head = Buffer.alloc(40)
  head.writeBigUInt64LE(BigInt(attributes.inode), 0)
  head.writeBigUInt64LE(validSeconds, 16)
  head.writeBigUInt64LE(validSeconds, 24)
  return Buffer.concat([head, encodeAttributes(attributes)])
}

/** Answer to OPEN and OPENDIR: no handles, the inode says it all. */
export const encodeOpen = (): Buffer => Buffer.alloc(16)

export const encodeWritten = (bytes: number): Buffer => {
  const body = Buffer.alloc(8)
  body.writeUInt32LE(bytes, 0)
  return body
}

/** `totalBytes` and `freeBytes` in blocks of a page. */
export const encodeSpace = (totalBytes: number, freeBytes: number): Buffer => {
  const body = Buffer.alloc(80)
  const blocks = [totalBytes, freeBytes, freeBytes].map(bytes => BigInt(Math.floor(bytes / pageBytes)))
  for (const [index, count] of [...blocks, 1_000_000n, 1_000_000n].entries()) body.writeBigUInt64LE(count, index * 8)
  body.writeUInt32LE(pageBytes, 40)
  body.writeUInt32LE(255, 44)
  body.writeUInt32LE(pageBytes, 48)
  return body
}

/** As many entries from number `from` on as fit into `limit` bytes; none: the end. */
export const encodeDirectory = (
  entries: readonly (readonly [string, Attributes])[],
  from: number,
  limit: number,
): Buffer => {
  const parts: Buffer[] = []
  let bytes = 0
  for (let index = from; index < entries.length; index++) {
    const [text, { inode, mode }] = entries[index]!
    const name = Buffer.from(text)
    const entry = Buffer.alloc(Math.ceil((24 + name.length) / 8) * 8)
    entry.writeBigUInt64LE(BigInt(inode), 0)
    entry.writeBigUInt64LE(BigInt(index + 1), 8)
    entry.writeUInt32LE(name.length, 16)
    // DT_ is the kind in the mode, shifted
    entry.writeUInt32LE(mode >> 12, 20)
    name.copy(entry, 24)
    if (bytes + entry.length > limit) break
    bytes += entry.length
    parts.push(entry)
  }
  return Buffer.concat(parts)
}

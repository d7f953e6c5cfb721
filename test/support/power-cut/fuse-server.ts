import { close, openSync, read, writeSync } from 'node:fs'
import { constants } from 'node:os'
import {
  type Attributes,
  decodeRequest,
  encodeAttributesReply,
  encodeDirectory,
  encodeEntry,
  encodeInit,
  encodeOpen,
  encodeReply,
  encodeSpace,
  encodeWritten,
  namesIn,
  type Operation,
  type Request,
  requestBytes,
} from './fuse-protocol.ts'
import { FileError, fileKinds, type Inode, type VolatileFiles } from './volatile-files.ts'

const totalBytes = 4 * 1024 ** 3
const empty = Buffer.alloc(0)

const attributesOf = ({ number, mode, shown, modifiedMs }: Inode): Attributes => ({
  inode: number,
  size: shown.length,
  mode,
  modifiedMs,
})

/** Body of the answer; undefined where the kernel wants none. */
type Handler = (inode: Inode, body: Buffer, files: VolatileFiles) => Buffer | undefined

const make = (directory: Inode, name: string, mode: number, files: VolatileFiles): Buffer =>
  encodeEntry(attributesOf(files.make(directory, name, mode, Date.now())))

const move = (from: Inode, body: Buffer, names: number, files: VolatileFiles): Buffer => {
  const [name, newName] = namesIn(body, names)
  files.move(from, name!, files.inode(Number(body.readBigUInt64LE(0))), newName!)
  return empty
}

const setsLength = 1 << 3

/** By operation; the layouts of the bodies are those of linux/fuse.h. */
const handlers: Record<Operation, Handler> = {
  init: encodeInit,
  destroy: () => empty,
  forget: () => undefined,
  batchForget: () => undefined,
  // the request that it means is answered anyway
  interrupt: () => undefined,
  lookup: (directory, body) => encodeEntry(attributesOf(directory.find(namesIn(body, 0)[0]!))),
  getattr: inode => encodeAttributesReply(attributesOf(inode)),
  setattr: (inode, body) => {
    if ((body.readUInt32LE(0) & setsLength) !== 0) {
      inode.change({ length: Number(body.readBigUInt64LE(16)) }, Date.now())
    }
    return encodeAttributesReply(attributesOf(inode))
  },
  mknod: (directory, body, files) => make(directory, namesIn(body, 16)[0]!, body.readUInt32LE(0), files),
  mkdir: (directory, body, files) =>
    make(directory, namesIn(body, 8)[0]!, fileKinds.directory | body.readUInt32LE(0), files),
  create: (directory, body, files) =>
    Buffer.concat([make(directory, namesIn(body, 16)[0]!, body.readUInt32LE(4), files), encodeOpen()]),
  link: (directory, body, files) => {
    const inode = files.inode(Number(body.readBigUInt64LE(0)))
    files.link(directory, namesIn(body, 8)[0]!, inode)
    return encodeEntry(attributesOf(inode))
  },
  unlink: (directory, body, files) => {
    files.remove(directory, namesIn(body, 0)[0]!)
    return empty
  },
  rmdir: (directory, body, files) => {
    files.remove(directory, namesIn(body, 0)[0]!)
    return empty
  },
  rename: (from, body, files) => move(from, body, 8, files),
  rename2: (from, body, files) => {
    if (body.readUInt32LE(8) !== 0) throw new FileError('EINVAL')
    return move(from, body, 16, files)
  },
  open: encodeOpen,
  release: () => empty,
  flush: () => empty,
  read: (inode, body) => inode.shown.read(Number(body.readBigUInt64LE(8)), body.readUInt32LE(16)),
  write: (inode, body) => {
    const bytes = Buffer.from(body.subarray(40, 40 + body.readUInt32LE(16)))
    inode.change({ position: Number(body.readBigUInt64LE(8)), bytes }, Date.now())
    return encodeWritten(bytes.length)
  },
  fsync: inode => {
    inode.sync()
    return empty
  },
  opendir: encodeOpen,
  releasedir: () => empty,
  readdir: (directory, body) => {
    const entries = [...directory.names].map(([name, inode]) => [name, attributesOf(inode)] as const)
    return encodeDirectory(entries, Number(body.readBigUInt64LE(8)), body.readUInt32LE(16))
  },
  fsyncdir: (_directory, _body, files) => {
    files.syncNames()
    return empty
  },
  statfs: (_inode, _body, files) => encodeSpace(totalBytes, totalBytes - files.usedBytes),
}

/** Operations by how often the kernel asked for them. */
export type RequestCounts = Partial<Record<Operation, number>>

/**
 * Answers the kernel's requests for one mount, one after the other. Frozen, it takes them and answers none, as a machine without power; then
 * it may fail them all, so that the processes that wait can be ended.
 */
export class FuseServer {
  readonly descriptor = openSync('/dev/fuse', 'r+')
  readonly counts: RequestCounts = {}
  /** Resolves when the file system is no longer mounted. */
  readonly unmounted: Promise<void>
  readonly #files: VolatileFiles
  readonly #bytes = Buffer.alloc(requestBytes)
  readonly #held: bigint[] = []
  #state: 'serving' | 'frozen' | 'failing' = 'serving'

  constructor(files: VolatileFiles) {
    this.#files = files
    this.unmounted = new Promise((resolve, reject) => this.#serve(resolve, reject))
  }

  freeze(): void {
    this.#state = 'frozen'
  }

  fail(): void {
    this.#state = 'failing'
    for (const unique of this.#held.splice(0)) this.#reply(unique, constants.errno.EIO)
  }

  #serve(unmounted: () => void, failed: (error: Error) => void): void {
    read(this.descriptor, this.#bytes, 0, requestBytes, null, (error, length) => {
      if (error?.code === 'ENODEV') return close(this.descriptor, unmounted)
      // not mounted yet
      if (error?.code === 'EPERM') return setTimeout(() => this.#serve(unmounted, failed), 1)
      // a request that was withdrawn before it could be read
      if (error !== null && error.code !== 'ENOENT' && error.code !== 'EINTR') return failed(error)
      if (error === null) this.#take(decodeRequest(this.#bytes.subarray(0, length)))
      this.#serve(unmounted, failed)
    })
  }

  #take(request: Request): void {
    const { operation, unique } = request
    if (operation !== undefined) this.counts[operation] = (this.counts[operation] ?? 0) + 1
    const wantsAnswer = operation !== 'forget' && operation !== 'batchForget' && operation !== 'interrupt'
    if (!wantsAnswer) return
    if (this.#state === 'frozen') this.#held.push(unique)
    else if (this.#state === 'failing' && operation !== 'destroy') this.#reply(unique, constants.errno.EIO)
    else this.#answer(request)
  }

  #answer({ operation, unique, inode, body }: Request): void {
    try {
      if (operation === undefined) throw new FileError('ENOSYS')
      // INIT, STATFS and the like may name no inode
      const of = inode === 0 ? this.#files.root : this.#files.inode(inode)
      const answer = handlers[operation](of, body, this.#files)
      if (answer !== undefined) this.#reply(unique, 0, answer)
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      this.#reply(unique, constants.errno[error.code])
    }
  }

  #reply(unique: bigint, errorNumber: number, body?: Buffer): void {
    try {
      writeSync(this.descriptor, encodeReply(unique, errorNumber, body))
    } catch (error) {
      // nobody waits for it any more
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}

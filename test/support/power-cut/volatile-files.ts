import { SimRandom } from '../sim/random.ts'
import { GrowingBytes } from './growing-bytes.ts'

const sectorBytes = 512
const blockBytes = 4096

export const fileKinds = { file: 0o100000, directory: 0o040000, socket: 0o140000 } as const
const kindBits = 0o170000

/** A change of a file's content that no sync has confirmed. */
type Change = { readonly position: number; readonly bytes: Buffer } | { readonly length: number }

/** Failure with the code that a system call would give. */
export class FileError extends Error {
  readonly code: 'ENOENT' | 'EEXIST' | 'ENOTEMPTY' | 'ENOTDIR' | 'ENOSYS' | 'EINVAL' | 'EIO'

  constructor(code: FileError['code']) {
    super(code)
    this.code = code
  }
}

/** A file, directory or socket: as programs see it, and as the device holds it. */
export class Inode {
  readonly number: number
  readonly mode: number
  modifiedMs = 0
  readonly shown = new GrowingBytes()
  readonly stored = new GrowingBytes()
  changes: Change[] = []
  /** Of a directory. */
  readonly names = new Map<string, Inode>()
  readonly storedNames = new Map<string, Inode>()

  constructor(number: number, mode: number) {
    this.number = number
    this.mode = mode
  }

  get isDirectory(): boolean {
    return (this.mode & kindBits) === fileKinds.directory
  }

  find(name: string): Inode {
    const found = this.names.get(name)
    if (found === undefined) throw new FileError('ENOENT')
    return found
  }

  change(change: Change, nowMs: number): void {
    this.changes.push(change)
    apply(this.shown, change)
    this.modifiedMs = nowMs
  }

  /** fsync, fdatasync, or a write through O_DSYNC: content and length are on the device. */
  sync(): void {
    for (const change of this.changes) apply(this.stored, change)
    this.changes = []
  }
}

const apply = (content: GrowingBytes, change: Change): void => {
  if ('length' in change) content.truncate(change.length)
  else content.write(change.position, change.bytes)
}

/** What one call does to directories; all of it survives, or nothing. */
type NameChange = readonly { readonly directory: Inode; readonly name: string; readonly inode: Inode | undefined }[]

/**
 * Files of a machine that can lose its power. What a cut leaves of content that was not synced: each write, each 512-byte sector or each
 * 4-KiB block of it, or nothing; a length that was set, or not. So writes are dropped, torn and reordered. Changes of names stand in one journal, as
 * on ext4: the sync of a directory writes all of it; a cut leaves a beginning of the rest. Stricter than ext4: the sync of a file does
 * not write the journal.
 */
export class VolatileFiles {
  readonly root = new Inode(1, fileKinds.directory | 0o755)
  readonly #inodes = new Map<number, Inode>([[1, this.root]])
  #journal: NameChange[] = []

  inode(number: number): Inode {
    const inode = this.#inodes.get(number)
    if (inode === undefined) throw new FileError('ENOENT')
    return inode
  }

  get usedBytes(): number {
    let sum = 0
    for (const { shown } of this.#inodes.values()) sum += shown.length
    return sum
  }

  make(directory: Inode, name: string, mode: number, nowMs: number): Inode {
    if (directory.names.has(name)) throw new FileError('EEXIST')
    const inode = new Inode(Math.max(...this.#inodes.keys()) + 1, mode)
    inode.modifiedMs = nowMs
    this.#inodes.set(inode.number, inode)
    this.#rename([{ directory, name, inode }])
    return inode
  }

  link(directory: Inode, name: string, inode: Inode): void {
    if (directory.names.has(name)) throw new FileError('EEXIST')
    this.#rename([{ directory, name, inode }])
  }

  remove(directory: Inode, name: string): void {
    if (directory.find(name).names.size > 0) throw new FileError('ENOTEMPTY')
    this.#rename([{ directory, name, inode: undefined }])
  }

  move(from: Inode, name: string, to: Inode, newName: string): void {
    const inode = from.find(name)
    this.#rename([
      { directory: from, name, inode: undefined },
      { directory: to, name: newName, inode },
    ])
  }

  #rename(change: NameChange): void {
    this.#journal.push(change)
    for (const { directory, name, inode } of change) setName(directory.names, name, inode)
  }

  syncNames(): void {
    this.#store(this.#journal.splice(0))
  }

  #store(journal: readonly NameChange[]): void {
    for (const { directory, name, inode } of journal.flat()) setName(directory.storedNames, name, inode)
  }

  /** The power fails: afterwards programs see what the device holds. */
  cut(seed: number): void {
    const random = new SimRandom(seed)
    const survivors = random.pick([0, this.#journal.length, random.below(this.#journal.length + 1)])
    this.#store(this.#journal.slice(0, survivors))
    this.#journal = []
    const found = new Set<Inode>()
    const restart = (inode: Inode): void => {
      if (found.has(inode)) return
      found.add(inode)
      tear(inode, random)
      inode.names.clear()
      for (const [name, each] of inode.storedNames) {
        inode.names.set(name, each)
        restart(each)
      }
    }
    restart(this.root)
    for (const [number, inode] of this.#inodes) if (!found.has(inode)) this.#inodes.delete(number)
  }
}

const setName = (names: Map<string, Inode>, name: string, inode: Inode | undefined): void => {
  if (inode === undefined) names.delete(name)
  else names.set(name, inode)
}

const tear = (inode: Inode, random: SimRandom): void => {
  const { stored, shown } = inode
  for (const change of inode.changes) {
    const keep = random.pick([0, 0.1, 0.5, 0.9, 1])
    if ('length' in change) {
      if (random.chance(keep)) apply(stored, change)
    } else
      keepPieces(stored, change.position, change.bytes, random.pick([sectorBytes, blockBytes]), () =>
        random.chance(keep),
      )
  }
  inode.changes = []
  shown.truncate(0)
  shown.write(0, stored.read(0, stored.length))
}

const keepPieces = (
  stored: GrowingBytes,
  position: number,
  bytes: Buffer,
  unit: number,
  keeps: () => boolean,
): void => {
  const end = position + bytes.length
  for (let at = Math.floor(position / unit) * unit; at < end; at += unit) {
    if (!keeps()) continue
    const from = Math.max(at, position)
    stored.write(from, bytes.subarray(from - position, Math.min(at + unit, end) - position))
  }
}

import { SimRandom } from './random.ts'

/** Bytes that have left the caller and are not yet on the device. */
interface PendingWrite {
  readonly position: number
  readonly bytes: Buffer
}

/** One file as the kernel shows it (`cache`) and as the device holds it (`device`). */
interface SimFile {
  cache: Buffer
  device: Buffer
  /** Written, not synced, oldest first. */
  pending: PendingWrite[]
  /** A fork, or the other content, uses the same buffer: it is copied before it changes. */
  sharesCache: boolean
  sharesDevice: boolean
}

type Content = 'cache' | 'device'

/**
 * `kill`: the process ends, the page cache lives on. `power`: what was not synced may be lost, torn or there. `failed`: the device refused
 * the write under way, then the process ends: the page cache shows it and takes it for clean.
 */
export type CrashKind = 'kill' | 'power' | 'failed'

/** One subset of what was not synced: piece by piece of `unitBytes`, in the order of `SimDisk.pieces`. */
export interface Subset {
  readonly unitBytes: number
  readonly kept: readonly boolean[]
}

/** What a power cut does to each piece that was not synced. */
export type Tear = 'random' | 'lose' | 'keep' | Subset

export type DiskOperation =
  | 'read'
  | 'write'
  | 'commit'
  | 'hand-over'
  | 'sync'
  | 'create'
  | 'replace'
  | 'rename'
  | 'remove'

export interface DiskFault {
  /** Of the file, or what its path begins with. */
  readonly path: string
  readonly operation: DiskOperation
  readonly code: string
  /** Only where the operation touches these bytes. */
  readonly from?: number
  readonly to?: number
  /** Happens this many times, for ever when absent. */
  times?: number
  /** A failed write or sync leaves its pages marked clean: shown by the cache, never written to the device. */
  readonly losesPages?: boolean
}

export const blockBytes = 4096
export const sectorBytes = 512

const fail = (code: string, what: string): Error => Object.assign(new Error(`${code}: ${what}`), { code })

/** Grown with zeros so that `[position, position + bytes.length)` fits, then overwritten there. */
const overwrite = (file: SimFile, content: Content, position: number, bytes: ArrayLike<number>): void => {
  const old = file[content]
  const shares = content === 'cache' ? 'sharesCache' : 'sharesDevice'
  const end = position + bytes.length
  if (end > old.length) file[content] = Buffer.concat([old, Buffer.alloc(end - old.length)])
  else if (file[shares]) file[content] = Buffer.from(old)
  file[shares] = false
  file[content].set(bytes, position)
}

const newFile = (content: Buffer): SimFile => ({
  cache: content,
  device: content,
  pending: [],
  sharesCache: true,
  sharesDevice: true,
})

/**
 * A disk with a page cache. It knows no time: operations happen at once, `SimFiles` and `SimCommitWriter` say when. A write that is under
 * way at a crash is announced with `begin` and taken back with `end`.
 */
export class SimDisk {
  readonly #files = new Map<string, SimFile>()
  readonly #directories = new Set<string>(['/'])
  readonly #underWay = new Set<{ readonly path: string; readonly write: PendingWrite }>()
  readonly faults: DiskFault[] = []
  /** All files together may be as long as this; past it ENOSPC. */
  spaceBytes = Number.POSITIVE_INFINITY
  /** A power cut leaves garbage in all of each 4 KiB block that a write under way touches. */
  damagesNeighbours = false
  /** Called at the beginning and before the end of every operation that changes something. */
  onPoint: (() => void) | undefined
  /** The newest write-through, and the one that was newest at the last crash. */
  newest: { readonly path: string; readonly from: number; readonly to: number } | undefined
  newestAtCrash: SimDisk['newest']
  /** Whatever was done, for the report of a failed seed. */
  readonly history: string[] = []

  /** A copy that goes its own way from here. */
  fork(): SimDisk {
    const copy = new SimDisk()
    for (const [path, file] of this.#files) {
      Object.assign(file, { sharesCache: true, sharesDevice: true })
      copy.#files.set(path, { ...file, pending: [...file.pending] })
    }
    for (const directory of this.#directories) copy.#directories.add(directory)
    for (const operation of this.#underWay) copy.#underWay.add(operation)
    copy.faults.push(...this.faults.map(fault => ({ ...fault })))
    copy.spaceBytes = this.spaceBytes
    copy.newest = this.newest
    copy.newestAtCrash = this.newestAtCrash
    copy.damagesNeighbours = this.damagesNeighbours
    copy.history.push(...this.history.slice(-40))
    return copy
  }

  note(text: string): void {
    this.history.push(text)
    if (this.history.length > 400) this.history.splice(0, 200)
  }

  get usedBytes(): number {
    let sum = 0
    for (const { cache } of this.#files.values()) sum += cache.length
    return sum
  }

  has(path: string): boolean {
    return this.#files.has(path) || this.#directories.has(path)
  }

  create(path: string): void {
    if (!this.#directories.has(parentOf(path))) throw fail('ENOENT', path)
    if (!this.#files.has(path)) this.#files.set(path, newFile(Buffer.alloc(0)))
  }

  makeDirectory(path: string): void {
    for (let at = path; at !== '/' && !this.#directories.has(at); at = parentOf(at)) this.#directories.add(at)
  }

  list(directory: string): string[] {
    const prefix = directory === '/' ? '/' : `${directory}/`
    return [...this.#files.keys(), ...this.#directories]
      .filter(path => path.startsWith(prefix) && path !== directory && !path.slice(prefix.length).includes('/'))
      .map(path => path.slice(prefix.length))
      .sort()
  }

  /** The content as the kernel shows it. */
  content(path: string): Buffer {
    return this.#file(path).cache
  }

  check(path: string, operation: DiskOperation, from = 0, to = Number.POSITIVE_INFINITY): void {
    for (const fault of this.faults) {
      if (fault.operation !== operation || !path.startsWith(fault.path) || fault.times === 0) continue
      if ((fault.to ?? Number.POSITIVE_INFINITY) <= from || (fault.from ?? 0) >= to) continue
      if (fault.times !== undefined) fault.times--
      if (fault.losesPages === true) this.#file(path).pending = []
      throw fail(fault.code, `${operation} of ${path}`)
    }
  }

  begin(path: string, position: number, bytes: Buffer): { readonly path: string; readonly write: PendingWrite } {
    const operation = { path, write: { position, bytes } }
    this.#underWay.add(operation)
    return operation
  }

  end(operation: { readonly path: string; readonly write: PendingWrite }): void {
    this.#underWay.delete(operation)
  }

  /** Into the page cache. */
  write(path: string, position: number, bytes: Buffer): void {
    const file = this.#file(path)
    const growth = Math.max(0, position + bytes.length - file.cache.length)
    if (this.usedBytes + growth > this.spaceBytes) throw fail('ENOSPC', path)
    overwrite(file, 'cache', position, bytes)
    file.pending.push({ position, bytes })
  }

  /** Into the page cache and onto the device. Other pending writes of the file stay pending. */
  writeThrough(path: string, position: number, bytes: Buffer): void {
    this.write(path, position, bytes)
    const file = this.#file(path)
    file.pending.pop()
    // a page has one content: what waited for these bytes will never come after them
    file.pending = file.pending.flatMap(write => outside(write, position, position + bytes.length))
    overwrite(file, 'device', position, bytes)
    this.newest = { path, from: position, to: position + bytes.length }
  }

  /** What a failed write leaves: shown by the cache, and never written to the device. */
  writeToCacheOnly(path: string, position: number, bytes: Buffer): void {
    this.write(path, position, bytes)
    this.#file(path).pending.pop()
  }

  sync(path: string): void {
    const file = this.#file(path)
    for (const { position, bytes } of file.pending) overwrite(file, 'device', position, bytes)
    file.pending = []
  }

  replace(path: string, content: Uint8Array): void {
    if (!this.#directories.has(parentOf(path))) throw fail('ENOENT', path)
    this.#files.set(path, newFile(Buffer.from(content)))
  }

  rename(from: string, to: string): void {
    const file = this.#files.get(from)
    if (file === undefined) throw fail('ENOENT', from)
    this.#files.delete(from)
    this.#files.set(to, file)
  }

  remove(path: string): void {
    this.#files.delete(path)
  }

  removeDirectory(path: string): void {
    for (const file of [...this.#files.keys()]) if (file.startsWith(`${path}/`)) this.#files.delete(file)
    for (const directory of [...this.#directories]) {
      if (directory === path || directory.startsWith(`${path}/`)) this.#directories.delete(directory)
    }
  }

  /** Turns a bit over on the device, as the cache shows it too. */
  flipBit(path: string, position: number, bit = 0): void {
    const file = this.#file(path)
    overwrite(file, 'device', position, [file.device[position]! ^ (1 << bit)])
    overwrite(file, 'cache', position, [file.cache[position]! ^ (1 << bit)])
  }

  /** In how many pieces of this size a power cut now finds what was not synced, what is under way included. */
  pieces(unitBytes: number): number {
    let count = 0
    const add = ({ position, bytes }: PendingWrite): void => {
      count += Math.ceil((position + bytes.length) / unitBytes) - Math.floor(position / unitBytes)
    }
    for (const { pending } of this.#files.values()) pending.forEach(add)
    for (const { path, write } of this.#underWay) if (this.#files.has(path)) add(write)
    return count
  }

  crash(kind: CrashKind, seed: number, tear: Tear = 'random'): void {
    this.newestAtCrash = this.newest
    const random = new SimRandom(seed)
    this.note(`crash: ${kind} ${describeTear(tear)} ${seed}`)
    const subset = typeof tear === 'string' ? undefined : { ...tear, next: 0 }
    for (const { path, write } of this.#underWay) {
      const file = this.#files.get(path)
      if (file === undefined) continue
      if (kind === 'kill') this.#cutShort(file, write, tear, random)
      else if (kind === 'failed') overwrite(file, 'cache', write.position, write.bytes)
      else file.pending.push(write)
      if (kind === 'power' && this.damagesNeighbours && random.chance(0.5)) damageBlocks(file, write, random)
    }
    this.#underWay.clear()
    if (kind !== 'power') return
    for (const file of this.#files.values()) {
      for (const write of file.pending) {
        if (subset === undefined) tearInto(file, write, tear, random)
        else keepPieces(file, write, subset.unitBytes, () => subset.kept[subset.next++] === true)
      }
      Object.assign(file, { pending: [], cache: file.device, sharesCache: true, sharesDevice: true })
    }
  }

  /** A signal ends a write between two pages; what was taken waits in the page cache. */
  #cutShort(file: SimFile, { position, bytes }: PendingWrite, tear: Tear, random: SimRandom): void {
    const pages = Math.ceil(bytes.length / blockBytes)
    const taken = tear === 'lose' ? 0 : tear === 'keep' ? pages : random.below(pages + 1)
    if (taken === 0) return
    const part = bytes.subarray(0, taken * blockBytes)
    overwrite(file, 'cache', position, part)
    file.pending.push({ position, bytes: part })
  }

  #file(path: string): SimFile {
    const file = this.#files.get(path)
    if (file === undefined) throw fail('ENOENT', path)
    return file
  }
}

const parentOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf('/')))

/** The parts of a write before `from` and from `to` on. */
const outside = (write: PendingWrite, from: number, to: number): PendingWrite[] => {
  const end = write.position + write.bytes.length
  if (to <= write.position || from >= end) return [write]
  const parts: PendingWrite[] = []
  if (write.position < from) {
    parts.push({ position: write.position, bytes: write.bytes.subarray(0, from - write.position) })
  }
  if (to < end) parts.push({ position: to, bytes: write.bytes.subarray(to - write.position) })
  return parts
}

const describeTear = (tear: Tear): string =>
  typeof tear === 'string' ? tear : `${tear.unitBytes}:${tear.kept.map(Number).join('')}`

/** Each sector, or each block, of the write reaches the device or does not, in any order. */
const tearInto = (file: SimFile, write: PendingWrite, tear: Tear, random: SimRandom): void => {
  if (tear === 'lose') return
  const unit = random.chance(0.5) ? sectorBytes : blockBytes
  const keep = tear === 'keep' ? 1 : random.pick([0, 0.1, 0.5, 0.9, 1])
  keepPieces(file, write, unit, () => random.chance(keep))
}

const keepPieces = (file: SimFile, { position, bytes }: PendingWrite, unit: number, keeps: () => boolean): void => {
  const end = position + bytes.length
  for (let at = Math.floor(position / unit) * unit; at < end; at += unit) {
    if (!keeps()) continue
    const from = Math.max(at, position)
    overwrite(file, 'device', from, bytes.subarray(from - position, Math.min(at + unit, end) - position))
  }
}

const damageBlocks = (file: SimFile, { position, bytes }: PendingWrite, random: SimRandom): void => {
  const first = Math.floor(position / blockBytes) * blockBytes
  const end = Math.min(file.device.length, Math.ceil((position + bytes.length) / blockBytes) * blockBytes)
  for (let at = first; at < end; at += blockBytes) {
    if (random.chance(0.7)) overwrite(file, 'device', at, random.bytes(Math.min(blockBytes, end - at)))
  }
}

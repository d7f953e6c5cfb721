import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { nodeClock } from './clock.ts'
import { nodeFiles } from './files.ts'

const recordBytes = 4096
const abnormalExitWindowMs = 5 * 60_000

/** A start of which no clean stop is known. */
type Start = { readonly bootId: string; readonly sinceBootMs: number }

/** What tells that a file is the one that was closed, untouched. */
export type FileStamp = { readonly size: number; readonly modifiedMs: number; readonly inode: number }

interface Content {
  /** The store is being opened: whoever finds it so at a start knows how the last one ended. */
  readonly opening: boolean
  readonly starts: readonly Start[]
  /** Of the last clean stop. */
  readonly closed?: FileStamp
}

const nothing: Content = { opening: false, starts: [] }

/**
 * `views.starts`, beside the checkpoint store: how the last starts ended. One block that is overwritten in place, so that a full file system
 * does not keep it from being written; torn, it says nothing, and the store is tried before it is opened.
 */
export class ViewsRecord {
  readonly #path: string
  #content: Content

  static async read(path: string): Promise<ViewsRecord> {
    return new ViewsRecord(path, decode(await nodeFiles.readSmall(path)))
  }

  private constructor(path: string, content: Content) {
    this.#path = path
    this.#content = content
  }

  get wasOpening(): boolean {
    return this.#content.opening
  }

  /** Starts of this boot in the last five minutes that no clean stop followed. */
  get abnormalExits(): number {
    return this.#recentStarts().length
  }

  /** The store is as a clean stop left it. */
  isUntouched(found: FileStamp | undefined): boolean {
    const { closed } = this.#content
    if (closed === undefined || found === undefined) return false
    return closed.size === found.size && closed.modifiedMs === found.modifiedMs && closed.inode === found.inode
  }

  opening(): Promise<void> {
    return this.#write({ opening: true, starts: this.#recentStarts() })
  }

  opened(): Promise<void> {
    const start: Start = { bootId: nodeClock.bootId, sinceBootMs: nodeClock.sinceBootMs() }
    return this.#write({ opening: false, starts: [...this.#recentStarts(), start] })
  }

  closed(stamp: FileStamp | undefined): Promise<void> {
    return this.#write(stamp === undefined ? nothing : { ...nothing, closed: stamp })
  }

  /** What was before does not count: the store begins anew. */
  forget(): Promise<void> {
    return this.#write(nothing)
  }

  #recentStarts(): readonly Start[] {
    const since = nodeClock.sinceBootMs() - abnormalExitWindowMs
    return this.#content.starts.filter(start => start.bootId === nodeClock.bootId && start.sinceBootMs >= since)
  }

  /** Durable when it resolves. A device that refuses it does not keep a gateway from starting: only this protection is lost. */
  async #write(content: Content): Promise<void> {
    this.#content = content
    const block = Buffer.alloc(recordBytes, ' ')
    block.write(JSON.stringify(content))
    try {
      if (!(await this.#overwrite(block))) await nodeFiles.replaceSmall(this.#path, block)
    } catch {
      // the next start tries the store in a process of its own, as after any unclean end
    }
  }

  /** False: there is no file to overwrite yet. */
  async #overwrite(block: Buffer): Promise<boolean> {
    const file = await fs.open(this.#path, constants.O_RDWR).catch(() => undefined)
    if (file === undefined) return false
    try {
      if ((await file.stat()).size !== recordBytes) return false
      await file.write(block, 0, recordBytes, 0)
      await file.datasync()
      return true
    } finally {
      await file.close()
    }
  }
}

const decode = (bytes: Buffer | undefined): Content => {
  if (bytes === undefined) return nothing
  try {
    const { opening, starts, closed } = JSON.parse(bytes.toString()) as Content
    if (typeof opening !== 'boolean' || !Array.isArray(starts)) return nothing
    return closed === undefined ? { opening, starts } : { opening, starts, closed }
  } catch {
    return nothing
  }
}

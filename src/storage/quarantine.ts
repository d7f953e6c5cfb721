import { join } from 'node:path'
import type { Files } from '../platform/files.ts'
import { logDirectory, metaPath } from './data-directory.ts'
import type { Damage } from './inspect-damage.ts'
import { salvagingFile } from './salvaging-file.ts'
import { slotFileName } from './slot.ts'

/** So much may be kept aside, or this share of the bytes of all slots: the disk budget has room for it beside the log. */
const leastBytes = 1024 * 1024
const share = 1 / 64

/** Where damaged bytes are kept that repair would write over, or that the log will; nothing reads them but people. */
export const quarantineDirectory = (directory: string): string => join(directory, 'quarantine')

/** Copies of damaged bytes, one file for each range, told apart by its place. Bounded: what does not fit stays in its slot until that is used again. */
export class Quarantine {
  readonly #files: Files
  readonly #directory: string
  readonly #names: ReadonlySet<string>
  #roomBytes: number

  private constructor(files: Files, directory: string, names: ReadonlySet<string>, roomBytes: number) {
    this.#files = files
    this.#directory = directory
    this.#names = names
    this.#roomBytes = roomBytes
  }

  /** Looks at what is there and changes nothing. `slotBytes`: of all slots together. */
  static async open(files: Files, directory: string, slotBytes: number): Promise<Quarantine> {
    const names = await files.list(quarantineDirectory(directory))
    let bytes = 0
    for (const name of names) {
      const file = await files.open(join(quarantineDirectory(directory), name), { readOnly: true })
      bytes += await file.size()
      await file.close()
    }
    return new Quarantine(files, directory, new Set(names), Math.max(leastBytes, slotBytes * share) - bytes)
  }

  /** Whether the bytes are there already. */
  has(damage: Damage): boolean {
    return this.#names.has(nameOf(damage))
  }

  /** Takes room for the bytes; false when there is not enough. */
  reserve({ bytes }: Damage): boolean {
    if (bytes > this.#roomBytes) return false
    this.#roomBytes -= bytes
    return true
  }

  /** Copies the bytes as they stand there; blocks that cannot be read are zeros. Durable when it resolves. */
  async keep(damage: Damage): Promise<void> {
    const { slot, position, bytes } = damage
    const path = slot === 0 ? metaPath(this.#directory) : join(logDirectory(this.#directory), slotFileName(slot))
    const file = salvagingFile(await this.#files.open(path, { readOnly: true }), () => {})
    try {
      const copy = Buffer.alloc(bytes)
      const count = await file.read(copy, position)
      await this.#files.makeDirectory(quarantineDirectory(this.#directory))
      await this.#files.replaceSmall(
        join(quarantineDirectory(this.#directory), nameOf(damage)),
        copy.subarray(0, count),
      )
    } finally {
      await file.close()
    }
  }
}

/** `0007.slot-at-123456-of-4096`. */
const nameOf = ({ slot, position, bytes }: Damage): string =>
  `${slot === 0 ? 'meta' : slotFileName(slot)}-at-${position}-of-${bytes}`

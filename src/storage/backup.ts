import { join } from 'node:path'
import { crc32c } from '../core/crc32c.ts'
import { StartError } from '../core/errors.ts'
import { type Clock, sleep } from '../platform/clock.ts'
import type { Files, RandomAccessFile } from '../platform/files.ts'
import {
  type BackupManifest,
  type BackupSegment,
  foreignNames,
  readManifest,
  segmentDirectory,
  writeManifest,
} from './backup-manifest.ts'
import { openSlot } from './inspect-directory.ts'
import { inspectFooter } from './inspect-footer.ts'
import { alignUp, blockBytes, formatVersion } from './layout.ts'
import { decodeMeta } from './meta.ts'
import type { LogImage, PinnedSegment } from './segment-pins.ts'
import { decodeSlotHeader } from './slot.ts'

export interface BackupParts {
  readonly files: Files
  readonly clock: Clock
  /** The data directory. */
  readonly source: string
  /** Directory of the backup: empty, or with an earlier one of the same log. */
  readonly target: string
  readonly image: LogImage
  /** The copy takes no more than this on average. */
  readonly bytesPerSecond: number
  /** The segment at this index of the image is not needed any more. */
  done(index: number): void
  /** Throws when the gateway has gone: nothing pins the segments any more. */
  check(): void
  progress(copiedBytes: number, segment: number): void
}

export interface BackupResult {
  readonly lastGroup: number
  readonly segments: number
  /** Of these, the ones that an earlier backup had already. */
  readonly kept: number
  readonly copiedBytes: number
}

const chunkBytes = 1024 * 1024

/**
 * Copies a pinned log. The earlier backup in `target` stays complete until the new one is, durably; then what only that one had is removed. A
 * backup that is cut off leaves files that no manifest names; the next one removes them. Throws `StartError` 65 for a target that is not ours.
 */
export const writeBackup = async (parts: BackupParts): Promise<BackupResult> => {
  const { files, target, image } = parts
  const before = await earlierBackup(files, target, image)
  await files.makeDirectory(segmentDirectory(target))
  const had = new Map((before?.segments ?? []).map(segment => [segment.file, segment]))
  await removeOthers(files, target, had)
  const copy = new SegmentCopies(parts)
  const segments: BackupSegment[] = []
  let kept = 0
  for (const [index, pinned] of image.segments.entries()) {
    parts.check()
    const earlier = await copy.run(index, pinned, had)
    if (had.has(earlier.file)) kept++
    segments.push(earlier)
    parts.done(index)
  }
  const { logId, lastGroup, slotBytes, meta } = image
  const manifest: BackupManifest = { format: formatVersion, logId, lastGroup, slotBytes, meta, segments }
  await writeManifest(files, target, manifest)
  await removeOthers(files, target, new Map(segments.map(segment => [segment.file, segment])))
  return { lastGroup, segments: segments.length, kept, copiedBytes: copy.copiedBytes }
}

const earlierBackup = async (files: Files, target: string, image: LogImage): Promise<BackupManifest | undefined> => {
  const [foreign] = foreignNames(await files.list(target))
  if (foreign !== undefined) {
    throw new StartError(65, `${target} holds other files (${foreign}); name an empty directory, or one with a backup`)
  }
  const before = await readManifest(files, target)
  if (before !== undefined && before.logId !== image.logId) {
    throw new StartError(65, `${target} holds a backup of another log (${before.logId}); name another directory`)
  }
  return before
}

const removeOthers = async (files: Files, target: string, wanted: ReadonlyMap<string, unknown>): Promise<void> => {
  const directory = segmentDirectory(target)
  for (const name of await files.list(directory)) if (!wanted.has(name)) await files.remove(join(directory, name))
}

class SegmentCopies {
  copiedBytes = 0
  readonly #parts: BackupParts
  readonly #chunk = Buffer.alloc(chunkBytes)
  readonly #startedMs: number

  constructor(parts: BackupParts) {
    this.#parts = parts
    this.#startedMs = parts.clock.monotonicMs()
  }

  /** The segment in the backup: the file that is there when it holds the very same, else a copy. */
  async run(index: number, pinned: PinnedSegment, had: ReadonlyMap<string, BackupSegment>): Promise<BackupSegment> {
    const { files, source, image } = this.#parts
    const file = await openSlot(files, source, pinned.slot, () => {})
    if (file === undefined) throw new StartError(65, `slot ${pinned.slot} of ${source} is gone`)
    try {
      const footer = await storedFooter(file, pinned, image.slotBytes)
      const name = fileName(pinned, footer.crc)
      const before = had.get(name)
      if (before !== undefined && (await this.#isThere(before))) return before
      const ranges = [
        { position: 0, length: pinned.end },
        { position: image.slotBytes - footer.bytes, length: footer.bytes },
      ]
      const crc = await this.#copy(index, file, name, ranges)
      return { file: name, slot: pinned.slot, end: pinned.end, footerBytes: footer.bytes, crc }
    } finally {
      await file.close()
    }
  }

  async #isThere({ file, end, footerBytes }: BackupSegment): Promise<boolean> {
    const { files, target } = this.#parts
    const path = join(segmentDirectory(target), file)
    if (!(await files.exists(path))) return false
    const copy = await files.open(path, { readOnly: true })
    const bytes = await copy.size().finally(() => copy.close())
    return bytes === end + footerBytes
  }

  async #copy(
    index: number,
    file: RandomAccessFile,
    name: string,
    ranges: readonly { readonly position: number; readonly length: number }[],
  ): Promise<number> {
    const { files, target, check, progress } = this.#parts
    const path = join(segmentDirectory(target), name)
    await files.remove(path)
    const copy = await files.open(path, { create: true })
    let crc = 0
    let at = 0
    try {
      for (const { position, length } of ranges) {
        for (let done = 0; done < length; done += chunkBytes) {
          check()
          const part = this.#chunk.subarray(0, Math.min(chunkBytes, length - done))
          if ((await file.read(part, position + done)) < part.length) throw new Error(`${file.path} is too short`)
          await copy.write(part, at)
          crc = crc32c(part, crc)
          at += part.length
          this.copiedBytes += part.length
          progress(this.copiedBytes, index)
          await this.#pace()
        }
      }
      await copy.sync()
    } finally {
      await copy.close()
    }
    // while it was read the slot was this segment's
    check()
    return crc
  }

  async #pace(): Promise<void> {
    const { clock, bytesPerSecond } = this.#parts
    const dueMs = this.#startedMs + (this.copiedBytes / bytesPerSecond) * 1000
    const aheadMs = dueMs - clock.monotonicMs()
    if (aheadMs > 0) await sleep(clock, aheadMs)
  }
}

/** Bytes and checksum of the footer, when it was written for the segment as it is pinned; else no bytes. */
const storedFooter = async (
  file: RandomAccessFile,
  { sealed, end, sequence, salt, kind }: PinnedSegment,
  slotBytes: number,
): Promise<{ bytes: number; crc: number }> => {
  const none = { bytes: 0, crc: 0 }
  if (!sealed && kind === 'hot') return none
  const block = Buffer.alloc(blockBytes)
  await file.read(block, 0)
  const header = decodeSlotHeader(block)
  if (header === undefined || header.sequence !== sequence || header.salt !== BigInt(`0x${salt}`)) return none
  const { state, trailer, index } = await inspectFooter(file, { ...header, slotBytes })
  if (state !== 'intact' || trailer?.end !== end || index === undefined) return none
  return { bytes: alignUp(index.length, blockBytes), crc: trailer.crc }
}

/** Says all that tells one content of a segment from another: what has the same name has the same bytes. */
const fileName = ({ kind, sequence, salt, end }: PinnedSegment, footerCrc: number): string =>
  `${kind}-${String(sequence).padStart(12, '0')}-${salt}-${end}-${footerCrc.toString(16).padStart(8, '0')}`

/** The image that a gateway sent; undefined when it is none. */
export const imageOf = (value: object): LogImage | undefined => {
  const image = value as Partial<LogImage>
  if (typeof image.meta !== 'string' || !Array.isArray(image.segments)) return undefined
  const meta = decodeMeta(Buffer.from(image.meta, 'base64'))
  return typeof meta === 'string' ? undefined : (image as LogImage)
}

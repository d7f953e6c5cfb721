import { join } from 'node:path'
import { crc32c } from '../core/crc32c.ts'
import { StartError } from '../core/errors.ts'
import { uuidFromRandom } from '../core/uuid.ts'
import type { Files, RandomAccessFile } from '../platform/files.ts'
import type { Random } from '../platform/random.ts'
import { type BackupManifest, type BackupSegment, readManifest, segmentDirectory } from './backup-manifest.ts'
import { logDirectory, writeMeta } from './data-directory.ts'
import { alignUp } from './layout.ts'
import { decodeMeta, type Meta, maxAncestors, maxStarts } from './meta.ts'
import { slotFileName } from './slot.ts'

/**
 * The log that was backed up may have started again since, under epochs that nobody knows here. A restored log goes on so far above that
 * clients of both see two histories.
 */
export const restoredEpochStep = 1000

/** Stands in a directory until all of the backup is in it. */
export const unfinishedMark = 'restore.unfinished'

export interface RestoreParts {
  readonly files: Files
  readonly random: Random
  readonly backup: string
  /** Must not exist, or be empty. */
  readonly directory: string
  progress(segment: number, segments: number): void
}

export interface RestoreResult {
  readonly logId: string
  readonly parentLogId: string
  readonly lastGroup: number
  readonly segments: number
}

const chunkBytes = 1024 * 1024

/**
 * Makes a data directory of a backup, under a new log id whose ancestor is the log of the backup. Every byte is verified while it is copied.
 * `meta` comes last: a directory that was restored half way is refused by every start. Throws `StartError` 65.
 */
export const restoreBackup = async (parts: RestoreParts): Promise<RestoreResult> => {
  const { files, random, backup, directory } = parts
  const manifest = await readManifest(files, backup)
  if (manifest === undefined) {
    throw new StartError(65, `${backup} holds no complete backup (it has no file backup); name another directory`)
  }
  const parent = decodeMeta(Buffer.from(manifest.meta, 'base64'))
  if (typeof parent === 'string') throw new StartError(65, `the backup in ${backup} has no meta that verifies`)
  if (parent.ancestors.length >= maxAncestors) {
    throw new StartError(65, `the log in ${backup} was restored ${maxAncestors} times already`)
  }
  const names = (await files.list(directory)).filter(name => name !== 'lost+found')
  if (names.length > 0) throw new StartError(65, `${directory} is not empty (${names[0]}); choose another data.dir`)
  await files.makeDirectory(directory)
  // until meta is there, a start refuses the directory for this file
  const mark = join(directory, unfinishedMark)
  await files.replaceSmall(mark, Buffer.alloc(0))
  await files.makeDirectory(logDirectory(directory))
  for (const [index, segment] of manifest.segments.entries()) {
    parts.progress(index, manifest.segments.length)
    await restoreSegment(parts, manifest, segment)
  }
  const logId = uuidFromRandom(random.bytes(16))
  await writeMeta(files, directory, restoredMeta(parent, logId, manifest, random.bytes(8).readBigUInt64BE(0)))
  await files.remove(mark)
  return { logId, parentLogId: manifest.logId, lastGroup: manifest.lastGroup, segments: manifest.segments.length }
}

const restoredMeta = (parent: Meta, logId: string, { lastGroup }: BackupManifest, salt: bigint): Meta => {
  const logEpoch = (parent.starts.at(-1)?.logEpoch ?? 0) + restoredEpochStep
  return {
    logId,
    slotBytes: parent.slotBytes,
    starts: [...parent.starts, { logEpoch, salt }].slice(-maxStarts),
    ancestors: [...parent.ancestors, { logId: parent.logId, lastGroup }],
  }
}

const restoreSegment = async (
  { files, backup, directory }: RestoreParts,
  { slotBytes }: BackupManifest,
  { file: name, slot, end, footerBytes, crc }: BackupSegment,
): Promise<void> => {
  const path = join(segmentDirectory(backup), name)
  if (!(await files.exists(path))) throw new StartError(65, `${path} is missing: the backup cannot be restored`)
  const source = await files.open(path, { readOnly: true })
  const target = await files.open(join(logDirectory(directory), slotFileName(slot)), { create: true })
  try {
    const first = await copyRange(source, target, 0, 0, end, 0)
    // zeros between, not a hole: the file system must have room for what is written there later
    const zerosEnd = footerBytes > 0 ? slotBytes - footerBytes : Math.min(slotBytes, alignUp(end, chunkBytes))
    await writeZeros(target, end, zerosEnd)
    const whole = await copyRange(source, target, end, slotBytes - footerBytes, footerBytes, first)
    if (whole !== crc || (await source.size()) !== end + footerBytes) {
      throw new StartError(65, `${path} is damaged: the backup cannot be restored`)
    }
    await target.sync()
  } finally {
    await source.close()
    await target.close()
  }
}

/** Returns the CRC of what was copied so far. */
const copyRange = async (
  source: RandomAccessFile,
  target: RandomAccessFile,
  from: number,
  to: number,
  length: number,
  previousCrc: number,
): Promise<number> => {
  const chunk = Buffer.alloc(Math.min(chunkBytes, length))
  let crc = previousCrc
  for (let done = 0; done < length; ) {
    const part = chunk.subarray(0, Math.min(chunk.length, length - done))
    const count = await source.read(part, from + done)
    if (count === 0) return crc
    crc = crc32c(part.subarray(0, count), crc)
    await target.write(part.subarray(0, count), to + done)
    done += count
  }
  return crc
}

const writeZeros = async (target: RandomAccessFile, from: number, to: number): Promise<void> => {
  const zeros = Buffer.alloc(chunkBytes)
  for (let at = from; at < to; at += chunkBytes) {
    await target.write(zeros.subarray(0, Math.min(chunkBytes, to - at)), at)
  }
}

import { join } from 'node:path'
import { StartError } from '../core/errors.ts'
import type { Files, RandomAccessFile } from '../platform/files.ts'
import { logDirectory, readMeta } from './data-directory.ts'
import type { Damage } from './inspect-damage.ts'
import { blockBytes } from './layout.ts'
import { decodeMeta, type Meta } from './meta.ts'
import { salvagingFile } from './salvaging-file.ts'
import { decodeSlotHeader, type SlotHeader, slotFileName, slotOfFileName } from './slot.ts'

/** What the header of a slot says. `blank`: zeros, as in a slot that was prepared and never taken. */
export type SlotState = 'segment' | 'free' | 'blank' | 'foreign' | 'damaged'

export interface InspectedSlot {
  readonly number: number
  readonly fileBytes: number
  readonly state: SlotState
  /** Absent when blank or damaged. */
  readonly header?: SlotHeader
}

/** Hot and cold segments are numbered apart, and numbers of a log that was restored may come again. */
export const isSameSegment = (one: SlotHeader, other: SlotHeader): boolean =>
  one.kind === other.kind && one.sequence === other.sequence && one.salt === other.salt

/** A data directory that is looked at and never changed; a running gateway does not notice. */
export interface InspectedDirectory {
  readonly directory: string
  readonly meta: Meta
  readonly slots: readonly InspectedSlot[]
  /** Damaged copies of `meta`. */
  readonly damages: readonly Damage[]
}

/**
 * Reads `meta` and all slot headers. Throws `StartError` 65 where there is no log of ours. `lostMeta` stands in for a `meta` that is lost.
 */
export const inspectDirectory = async (
  files: Files,
  directory: string,
  lostMeta?: Meta,
): Promise<InspectedDirectory> => {
  if (lostMeta !== undefined) {
    return { directory, meta: lostMeta, slots: await inspectSlots(files, directory, lostMeta), damages: [] }
  }
  const file = await readMetaBytes(files, directory)
  const meta = readMeta(file, directory)
  return { directory, meta, slots: await inspectSlots(files, directory, meta), damages: metaDamages(file) }
}

const readMetaBytes = async (files: Files, directory: string): Promise<Buffer> => {
  if (!(await files.exists(directory))) {
    throw new StartError(65, `there is no directory ${directory}; name the data.dir of a gateway`)
  }
  try {
    const file = await files.readSmall(join(directory, 'meta'))
    if (file !== undefined) return file
  } catch (error) {
    throw new StartError(65, `${directory} cannot be read: ${(error as Error).message}`)
  }
  throw new StartError(65, `${directory} holds no Brooklet log (it has no file meta); name the data.dir of a gateway`)
}

const metaDamages = (file: Buffer): Damage[] => {
  const damages: Damage[] = []
  for (const position of [0, blockBytes]) {
    const copy = decodeMeta(file.subarray(position, position + blockBytes))
    if (typeof copy === 'string') damages.push({ slot: 0, position, bytes: blockBytes, cause: 'meta' })
  }
  return damages
}

/** The headers of all slots as they are now; a slot that is deleted meanwhile is left out. */
export const inspectSlots = async (files: Files, directory: string, meta: Meta): Promise<InspectedSlot[]> => {
  const logIds = new Set([meta.logId, ...meta.ancestors.map(({ logId }) => logId)])
  const slots: InspectedSlot[] = []
  for (const name of await files.list(logDirectory(directory))) {
    const number = slotOfFileName(name)
    const slot = number === undefined ? undefined : await inspectSlot(files, directory, number, logIds)
    if (slot !== undefined) slots.push(slot)
  }
  return slots
}

const inspectSlot = async (
  files: Files,
  directory: string,
  number: number,
  logIds: ReadonlySet<string>,
): Promise<InspectedSlot | undefined> => {
  const file = await openSlot(files, directory, number, () => {})
  if (file === undefined) return undefined
  try {
    const fileBytes = await file.size()
    const block = Buffer.alloc(blockBytes)
    await file.read(block, 0)
    const header = decodeSlotHeader(block)
    if (header === undefined) return { number, fileBytes, state: block.some(byte => byte !== 0) ? 'damaged' : 'blank' }
    if (!logIds.has(header.logId)) return { number, fileBytes, state: 'foreign', header }
    return { number, fileBytes, state: header.kind === 'free' ? 'free' : 'segment', header }
  } finally {
    await file.close()
  }
}

/** Whether the slot still holds this segment: a running gateway reuses slots, and marks them free on the device before it does. */
export const holdsSegment = async (
  files: Files,
  directory: string,
  number: number,
  header: SlotHeader,
): Promise<boolean> => {
  const now = await inspectSlot(files, directory, number, new Set())
  // a header that does not verify may be damage that came meanwhile
  return now !== undefined && (now.header === undefined || isSameSegment(now.header, header))
}

/** The slot for reading; blocks that the device cannot read are zeros. Undefined when it is gone. */
export const openSlot = async (
  files: Files,
  directory: string,
  number: number,
  onUnreadable: (position: number) => void,
): Promise<RandomAccessFile | undefined> => {
  const path = join(logDirectory(directory), slotFileName(number))
  try {
    return salvagingFile(await files.open(path, { readOnly: true }), onUnreadable)
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined
    throw new StartError(65, `${path} cannot be read: ${(error as Error).message}`)
  }
}

import { join } from 'node:path'
import type { Files, RandomAccessFile } from '../platform/files.ts'
import type { Logger } from '../platform/logger.ts'
import { alignDown, blockBytes } from './layout.ts'
import { isDeviceError, salvagingFile } from './salvaging-file.ts'
import { badSlotName, encodeSlotHeader, slotFileName } from './slot.ts'

/** One slot file. */
export interface Slot {
  readonly number: number
  readonly path: string
  readonly file: RandomAccessFile
  /** Zeros (or earlier content) stand on the device up to here: a write below it needs no new space. */
  preparedBytes: number
  /** Holds a segment. */
  taken: boolean
  /** Bytes of it do not verify, or cannot be read: it is kept aside when nothing of it is needed any more. */
  damaged: boolean
  /** The device refused a write to it: no segment begins or goes on in it any more. */
  isBad: boolean
  /** Makes it bad, for later starts too. */
  turnBad(): void
  /** Resolves when later starts know that it turned bad, or never will. */
  remembered?: Promise<void>
}

/** Opens the file of a slot, with `create` a new one; nothing of it counts as prepared. What cannot be read of it reads as zeros and is told. */
export const openSlotFile = async (
  files: Files,
  directory: string,
  number: number,
  options: { create?: boolean },
  logger: Logger,
): Promise<Slot> => {
  const path = join(directory, slotFileName(number))
  const inner = await files.open(path, options)
  const file = salvagingFile(inner, position => {
    slot.damaged = true
    logger.error({ path, position }, 'a block of a slot cannot be read')
  })
  const turnBad = (): void => {
    if (slot.isBad) return
    slot.isBad = true
    logger.error({ path }, 'a slot refuses writes, it is not used any more')
    const mark = files.replaceSmall(join(directory, badSlotName(number)), new Uint8Array(0))
    slot.remembered = mark.catch((error: unknown) => {
      logger.warn({ path, error: String(error) }, 'a bad slot cannot be remembered; the next start may try it again')
    })
  }
  const slot: Slot = { number, path, file, preparedBytes: 0, taken: true, damaged: false, isBad: false, turnBad }
  return slot
}

/** Opens the file of a slot that is there. Undefined when it cannot be opened any more: what it held is lost. */
export const reopenSlotFile = async (
  files: Files,
  directory: string,
  number: number,
  slotBytes: number,
  logger: Logger,
): Promise<Slot | undefined> => {
  let slot: Slot | undefined
  try {
    slot = await openSlotFile(files, directory, number, {}, logger)
    // shorter than a slot: a crash came while it was prepared
    slot.preparedBytes = Math.min(slotBytes, alignDown(await slot.file.size(), blockBytes))
    return slot
  } catch (error) {
    await slot?.file.close()
    if (!isDeviceError(error)) throw error
    logger.error({ slot: number, error: String(error) }, 'a slot file cannot be opened, what it held is lost')
    return undefined
  }
}

/** Overwrites the slot's header, so that no start takes its old content for a segment. Durable when it resolves. */
export const markFree = async (slot: Pick<Slot, 'file'>, logId: string, slotBytes: number): Promise<void> => {
  const header = { logId, sequence: 0, salt: 0n, slotBytes, firstGroup: 0, previousCrc: 0, logEpoch: 0 }
  await slot.file.write(encodeSlotHeader({ ...header, kind: 'free' }), 0)
  await slot.file.sync()
}

/** The same at a start: where the device refuses it, the next start finds the slot's content again and does not need it either. */
export const tryMarkFree = async (slot: Slot, logId: string, slotBytes: number, logger: Logger): Promise<void> => {
  try {
    await markFree(slot, logId, slotBytes)
  } catch (error) {
    if (!isDeviceError(error)) throw error
    logger.warn({ slot: slot.number, error: String(error) }, 'a slot cannot be marked free')
  }
}

import { join } from 'node:path'
import { StartError } from '../core/errors.ts'
import { logDirectory, metaPath } from './data-directory.ts'
import { inspectSlots, openSlot } from './inspect-directory.ts'
import { batchOfFrame } from './inspect-frames.ts'
import { type InspectPlatform, inspectSegments } from './inspect-segments.ts'
import { blockBytes } from './layout.ts'
import { logControlPartition } from './log.ts'
import { controlRecords } from './log-control.ts'
import { type Ancestor, decodeMeta, type Meta, maxAncestors, maxStarts } from './meta.ts'
import { unfinishedMark } from './restore.ts'
import { decodeSlotHeader, type SlotHeader, slotOfFileName } from './slot.ts'

/** What a data directory's `meta` says, or what the slots say in its place. */
export interface FoundMeta {
  readonly meta: Meta
  /** `lost`: neither copy verifies, or there is no such file. */
  readonly state: 'whole' | 'oneCopy' | 'lost'
}

/** Reads `meta`, or makes it again from the slots. Throws `StartError` 65 where neither shows a log of ours, or a newer one. */
export const findMeta = async (platform: InspectPlatform, directory: string): Promise<FoundMeta> => {
  const file = await platform.files.readSmall(metaPath(directory))
  const read = file === undefined ? 'foreign' : decodeMeta(file)
  if (read === 'newer')
    throw new StartError(65, `${directory} was written by a newer Brooklet; repair it with that version`)
  if (read !== 'foreign') {
    const copies = [0, blockBytes].map(at => decodeMeta(file!.subarray(at, at + blockBytes)))
    return { meta: read, state: copies.some(copy => typeof copy === 'string') ? 'oneCopy' : 'whole' }
  }
  if (await platform.files.exists(join(directory, unfinishedMark))) {
    throw new StartError(65, `${directory} was restored half way: empty it and restore it again`)
  }
  const meta = await metaFromSlots(platform, directory)
  if (meta === undefined) {
    throw new StartError(
      65,
      `${directory} holds no Brooklet log: no meta, and no slot with a header in ${join(directory, 'log')}`,
    )
  }
  return { meta, state: 'lost' }
}

/**
 * The identity of the log as its slots show it: log id and size of slots from the newest segment, starts from group headers, the logs that it was
 * restored from from its records. A start of which no group was written is not found; its epoch is then given again, and nobody ever saw it.
 */
const metaFromSlots = async (platform: InspectPlatform, directory: string): Promise<Meta | undefined> => {
  const headers = await slotHeaders(platform, directory)
  const newest = headers.reduce<SlotHeader | undefined>(
    (best, header) => (best === undefined || isNewer(header, best) ? header : best),
    undefined,
  )
  if (newest === undefined) return undefined
  const { logId, slotBytes } = newest
  const hot = headers.filter(({ kind }) => kind === 'hot')
  const others = new Set(headers.map(header => header.logId).filter(id => id !== logId))
  const assumed: Meta = {
    logId,
    slotBytes,
    starts: hot.map(({ logEpoch, salt }) => ({ logEpoch, salt })),
    ancestors: [...others].map(id => ({ logId: id, lastGroup: 0 })),
  }
  const starts = new Map<number, bigint>()
  const lastGroups = new Map([...others].map(id => [id, 0]))
  const slots = await inspectSlots(platform.files, directory, assumed)
  for await (const { header, walk } of inspectSegments(platform, { directory, meta: assumed, slots, damages: [] })) {
    for await (const step of walk.steps()) {
      if (step.kind === 'group') starts.set(step.header.logEpoch, step.header.salt)
      if (step.kind !== 'group' && step.kind !== 'stray') continue
      for (const frame of step.frames) {
        if (frame.partition !== logControlPartition) continue
        for (const record of controlRecords(batchOfFrame(frame))) {
          if (record.kind === 'restored') lastGroups.set(record.parent.logId, record.parent.lastGroup)
        }
      }
    }
    if (header.logId !== logId && lastGroups.get(header.logId) === 0) lastGroups.set(header.logId, walk.chain.group)
  }
  const ancestors = [...lastGroups].map(([id, lastGroup]): Ancestor => ({ logId: id, lastGroup }))
  return {
    logId,
    slotBytes,
    starts: [...starts]
      .map(([logEpoch, salt]) => ({ logEpoch, salt }))
      .sort((one, other) => one.logEpoch - other.logEpoch)
      .slice(-maxStarts),
    ancestors: ancestors.sort((one, other) => one.lastGroup - other.lastGroup).slice(-maxAncestors),
  }
}

/** Hot segments tell the order; where there is none any slot of the log tells its id. */
const isNewer = (header: SlotHeader, than: SlotHeader): boolean => {
  const isHot = Number(header.kind === 'hot') - Number(than.kind === 'hot')
  return isHot > 0 || (isHot === 0 && header.firstGroup > than.firstGroup)
}

const slotHeaders = async ({ files }: InspectPlatform, directory: string): Promise<SlotHeader[]> => {
  const headers: SlotHeader[] = []
  for (const name of await files.list(logDirectory(directory))) {
    const number = slotOfFileName(name)
    const file = number === undefined ? undefined : await openSlot(files, directory, number, () => {})
    if (file === undefined) continue
    try {
      const block = Buffer.alloc(blockBytes)
      await file.read(block, 0)
      const header = decodeSlotHeader(block)
      if (header !== undefined) headers.push(header)
    } finally {
      await file.close()
    }
  }
  return headers
}

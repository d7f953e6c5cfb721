import { join } from 'node:path'
import { partitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import { MemoryBudget } from '../core/memory-budget.ts'
import { Metrics } from '../core/metrics.ts'
import type { CheckpointStore } from '../platform/checkpoint-store.ts'
import type { Files } from '../platform/files.ts'
import { logDirectory, writeMeta } from './data-directory.ts'
import { encodeFooter } from './footer.ts'
import type { MissingOffsets } from './inspect-damage.ts'
import { inspectDirectory } from './inspect-directory.ts'
import { RebuiltIndex } from './inspect-footer.ts'
import type { VerifyReport } from './inspect-report.ts'
import { type InspectPlatform, inspectSegments } from './inspect-segments.ts'
import { verifyDirectory } from './inspect-verify.ts'
import { alignUp, blockBytes } from './layout.ts'
import type { Log } from './log.ts'
import type { Meta } from './meta.ts'
import { openCommitLog } from './open-commit-log.ts'
import { minSlots, type StoragePlatform } from './options.ts'
import { keepAside } from './quarantine.ts'
import type { RepairPlan } from './repair-plan.ts'
import { decodeSlotHeader, slotFileName } from './slot.ts'
import { markFree } from './slot-file.ts'

const MiB = 1024 * 1024

/**
 * Carries the plan out, while the caller holds the directory's lock: damaged bytes are copied aside, `meta` and footers are made again, then the log
 * is started once, as a gateway would start it, and told of what is gone. A crash at any moment leaves a directory that can be started, or
 * repaired again. Returns what a look finds afterwards.
 */
export const carryOutRepair = async (
  platform: StoragePlatform,
  directory: string,
  plan: RepairPlan,
): Promise<VerifyReport> => {
  const { files } = platform
  const { meta, state } = plan.found
  for (const damage of plan.kept) await keepAside(files, directory, damage)
  if (state !== 'whole') await writeMeta(files, directory, meta)
  if (plan.footers.length > 0) await rebuildFooters(platform, directory, new Set(plan.footers))
  if (plan.headers.length > 0 || plan.unnamed.length > 0) {
    await startOnce(platform, directory, meta, plan)
    for (const slot of plan.headers) await freeWithoutHeader(files, directory, slot, meta)
  }
  return verifyDirectory(platform, directory)
}

/** Footers of segments in which all else is whole; the next start makes those of the others. */
const rebuildFooters = async (
  platform: InspectPlatform,
  directory: string,
  slots: ReadonlySet<number>,
): Promise<void> => {
  const inspected = await inspectDirectory(platform.files, directory)
  for await (const { slot, header, file, walk } of inspectSegments(platform, inspected)) {
    if (!slots.has(slot.number)) continue
    const index = new RebuiltIndex(slot.number, file, header)
    let logAge = 0
    for await (const step of walk.steps()) {
      if (step.kind === 'group') logAge = step.header.logAge
      index.take(step)
    }
    if (index.failed) continue
    const footer = encodeFooter(index.segment, logAge)
    const position = header.slotBytes - footer.length
    if (position < alignUp(index.segment.end, blockBytes)) continue
    const writable = await platform.files.open(file.path)
    try {
      await writable.write(footer, position)
      await writable.sync()
    } finally {
      await writable.close()
    }
  }
}

/**
 * Recovery makes slot headers again and records what it finds lost; reading records the rest. Nothing is evicted and no topic served, and the
 * checkpoints stay as they are: what views hold in memory a gateway has to put into the next ones.
 */
const startOnce = async (
  platform: StoragePlatform,
  directory: string,
  { slotBytes }: Meta,
  plan: RepairPlan,
): Promise<void> => {
  // those that are kept aside because of damage too
  const slotFiles = (await platform.files.list(logDirectory(directory))).length
  const log = await openCommitLog(
    { ...platform, checkpoints: readOnly(platform.checkpoints) },
    {
      directory,
      // as many slots as there are, and two that may be kept aside: none is deleted
      budgetBytes: (Math.max(minSlots, slotFiles) + 2) * slotBytes,
      reserve: false,
      commitMaxBytes: Math.min(MiB, slotBytes / 4),
      maxMessageBytes: Math.min(MiB, slotBytes / 2),
      // safe on every card, and there are few groups
      align: 'always',
      retention: { ms: -1, bytes: -1 },
      rulesSet: new Promise<void>(() => {}),
      // none is summed here
      gapsMax: Number.POSITIVE_INFINITY,
      memory: new MemoryBudget(64 * MiB),
      metrics: new Metrics(),
    },
  )
  try {
    for (const lost of plan.unnamed) {
      // not all gaps of one read are recorded at once
      for (let named = -1; !isNamed(log, lost) && named !== namedRecords(log); ) {
        named = namedRecords(log)
        await readThrough(log, lost)
      }
    }
  } finally {
    await log.close()
  }
}

const isNamed = (log: Log, { partition, first, last }: MissingOffsets): boolean =>
  log.gaps().some(gap => gap.partition === partition && gap.first <= first && gap.last >= last)

const namedRecords = (log: Log): number => log.gaps().reduce((sum, { first, last }) => sum + last - first + 1, 0)

/** A slot of which recovery has made nothing, and that it has not set aside, belongs to no segment: from now on its header says so. */
const freeWithoutHeader = async (files: Files, directory: string, slot: number, meta: Meta): Promise<void> => {
  const path = join(logDirectory(directory), slotFileName(slot))
  if (!(await files.exists(path))) return
  const file = await files.open(path)
  try {
    const block = Buffer.alloc(blockBytes)
    await file.read(block, 0)
    if (decodeSlotHeader(block) === undefined) await markFree({ file }, meta.logId, meta.slotBytes)
  } finally {
    await file.close()
  }
}

/** Whoever reads past damage makes the gap record; it is durable when this resolves. */
const readThrough = async (log: Log, { partition, first, last }: MissingOffsets): Promise<void> => {
  const id = partitionId(partition)
  for (let offset = first; offset <= last; ) {
    try {
      const { nextOffset } = await log.read(id, offset, MiB, last + 1)
      await log.whenDurable(log.openGroup)
      if (nextOffset <= offset) return
      offset = nextOffset
    } catch (error) {
      // of a partition that was removed, or past an end that recovery knows better
      if (error instanceof BrokerError && ['unknownPartition', 'offsetOutOfRange'].includes(error.kind)) return
      throw error
    }
  }
}

const readOnly = (store: CheckpointStore): CheckpointStore => ({
  get: key => store.get(key),
  entries: prefix => store.entries(prefix),
  write: async () => {},
  usedBytes: () => store.usedBytes(),
  close: () => store.close(),
})

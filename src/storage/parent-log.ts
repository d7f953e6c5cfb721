import type { ControlRecord } from './control-record.ts'
import { logControlPartition } from './log.ts'
import type { LogControl } from './log-control.ts'
import type { Ancestor, Meta } from './meta.ts'
import type { PartitionLog } from './partition-log.ts'

/** The log of the backup that this one was restored from, as its records are to say. */
export interface ParentLog {
  readonly ancestor: Ancestor
  /** Log ends by partition; what is appended from here on is this log's own. */
  readonly ends: ReadonlyMap<number, number>
}

/** At the first start after a restore, before anything is appended; undefined at all others. */
export const newParent = (
  { ancestors }: Meta,
  control: LogControl,
  logs: ReadonlyMap<number, PartitionLog>,
): ParentLog | undefined => {
  const ancestor = ancestors.at(-1)
  if (ancestor === undefined || control.parent?.logId === ancestor.logId) return undefined
  const ends = new Map<number, number>()
  for (const { id, logEnd } of logs.values()) if (id !== logControlPartition) ends.set(id, logEnd)
  return { ancestor, ends }
}

/** The ends first: a start that was cut off between them says all of it again. */
export const parentRecords = (ancestor: Ancestor, ends: ReadonlyMap<number, number>): ControlRecord[] => [
  ...[...ends].map(([partition, offset]): ControlRecord => ({ kind: 'parentEnd', partition, offset })),
  { kind: 'restored', parent: ancestor },
]

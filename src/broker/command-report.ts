import { partitionOfKey } from '../core/murmur2.ts'
import type { RecordAppend } from '../storage/log.ts'
import { encodeHeaders } from '../wire/kafka/batch-encoding.ts'
import type { Topic } from './topics.ts'

/** Headers of a record that came down: where it stands in the central cluster. The names are read by consumers: never change one. */
export const centralHeaders = {
  topic: 'central.topic',
  partition: 'central.partition',
  offset: 'central.offset',
  /** Its key there, where the key here is another. */
  key: 'central.key',
} as const

/** What became of a command: the device has it, it was too old, or nobody could take it. */
export type CommandResult = 'delivered' | 'expired' | 'refused'

/** What a report says. */
export interface CommandOutcome {
  readonly result: CommandResult
  /** Why, where it was refused. */
  readonly reason?: string
  /** The key in the central cluster. */
  readonly key: Buffer | null
  /** Where the command stands in the central cluster; of one that did not come from there, where it stands here. */
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** A longer key is left out of the report: keys may be as large as records, and of reports several are written together. */
export const maxReportedKeyBytes = 1024

/** The record that tells of it: the key is that of the command, the value JSON, so that every tool of the central cluster shows it. */
export const reportRecord = (
  to: Topic,
  gateway: string,
  { key, result, ...outcome }: CommandOutcome,
  wallMs: number,
): RecordAppend => ({
  partition: to.partitions[key === null ? 0 : partitionOfKey(key, to.partitions.length)]!,
  timestampMs: wallMs,
  key: key !== null && key.length > maxReportedKeyBytes ? null : key,
  value: Buffer.from(JSON.stringify({ result, ...outcome, gateway, time: new Date(wallMs).toISOString() })),
  headers: encodeHeaders([]),
})

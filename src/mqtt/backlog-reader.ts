import type { PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import { sleep } from '../platform/clock.ts'
import { baseOffsetOf, nextOffsetOf } from '../wire/kafka/record-batch.ts'
import { decompressRecords, type LogRecord } from '../wire/kafka/records.ts'
import type { Place } from './exchange.ts'
import { presentOffsets } from './present-offsets.ts'
import type { MqttServices } from './services.ts'

const readBytes = 256 * 1024
/** What one batch may decompress to. */
const decompressedBytes = 16 * 1024 * 1024
export const waitMs = 20

type ReaderServices = Pick<MqttServices, 'broker' | 'metrics' | 'clock'>

/** What is to be read from the log, as the reader sees it. */
export interface ReadableBacklog {
  /** Where reading goes on; undefined: everything was read. */
  next(): Place | undefined
  /** Where it goes on in the partition, from what was read on; undefined: nothing there is to be read. */
  missedFrom(partition: PartitionId): number | undefined
  /** How many offsets of `[start, end)` are to be read. */
  missedIn(partition: PartitionId, start: number, end: number): number
  /** Everything below `offset` was read. */
  proceed(partition: PartitionId, offset: number): void
  /** Others come first when reading goes on: a busy partition must not keep the rest waiting. */
  yieldTurn(partition: PartitionId): void
  /** Everything that is durable was read: what comes from `offset` on is live. */
  caughtUp(partition: PartitionId, offset: number): void
  /** The partition is gone. */
  forget(partition: PartitionId): void
}

/** Who is handed what its backlog names. */
export interface BacklogTaker {
  readonly backlog: ReadableBacklog
  /** False: it has gone, and the rest is not read. */
  readonly isHere: boolean
  /** Takes a record as soon as there is room for it. */
  take(record: LogRecord, place: Place, logAge: number): Promise<void>
  /** Why it is not given batches of this log age; undefined: it is. */
  refusal(logAge: number): string | undefined
  /** Records that it is not given. */
  passedOver(records: number, reason: string): void
}

/** Hands over what the backlog names, in the order of each partition, up to the high watermark: from there on publications come as they become durable. */
export async function readBacklog(services: ReaderServices, taker: BacklogTaker): Promise<void> {
  const { backlog } = taker
  for (let next = backlog.next(); next !== undefined && taker.isHere; next = backlog.next()) {
    const { partition, offset } = next
    const offsets = presentOffsets(services.broker, partition)
    if (offsets === undefined) {
      backlog.forget(partition)
      continue
    }
    const { logStart, highWatermark } = offsets
    if (offset < logStart) {
      taker.passedOver(backlog.missedIn(partition, offset, logStart), 'left the log before it was read')
      backlog.proceed(partition, logStart)
    } else if (offset >= highWatermark) backlog.caughtUp(partition, offset)
    else await readOn(services, taker, partition, offset)
  }
}

async function readOn(
  { broker, metrics, clock }: ReaderServices,
  taker: BacklogTaker,
  partition: PartitionId,
  offset: number,
): Promise<void> {
  const { backlog } = taker
  try {
    const { batches, logAges, nextOffset } = await broker.read(partition, offset, readBytes)
    for (const [index, batch] of batches.entries()) {
      if (backlog.missedIn(partition, baseOffsetOf(batch), nextOffsetOf(batch)) === 0) continue
      const refusal = taker.refusal(logAges[index]!)
      if (refusal !== undefined) {
        const from = Math.max(offset, baseOffsetOf(batch))
        taker.passedOver(backlog.missedIn(partition, from, nextOffsetOf(batch)), refusal)
        continue
      }
      if (!(await handOver(taker, partition, batch, logAges[index]!)))
        metrics.add('mqttDropped', 1, 'batch not readable')
      if (!isWanted(taker, partition)) return
    }
    if (!isWanted(taker, partition)) return
    backlog.proceed(partition, nextOffset)
    backlog.yieldTurn(partition)
    // what is in memory is read without a pause, and others have their turn
    await new Promise<void>(resolve => clock.afterIo(resolve))
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    // the topic was deleted meanwhile, or the log start has moved
    metrics.add('mqttDropped', 1, 'log not read')
    await sleep(clock, waitMs)
  }
}

/** Both the taker and the partition are there. */
const isWanted = ({ isHere, backlog }: BacklogTaker, partition: PartitionId): boolean =>
  isHere && backlog.missedFrom(partition) !== undefined

/** False: the batch cannot be read to its end. */
async function handOver(taker: BacklogTaker, partition: PartitionId, batch: Buffer, logAge: number): Promise<boolean> {
  const { backlog } = taker
  if (!isWanted(taker, partition)) return true
  // batches before this one are done with: what is given back of them while this is unpacked stands behind the reader
  backlog.proceed(partition, Math.max(baseOffsetOf(batch), backlog.missedFrom(partition)!))
  try {
    const cursor = await decompressRecords(batch, decompressedBytes)
    while (isWanted(taker, partition) && cursor.next()) {
      const { offset } = cursor
      if (offset < backlog.missedFrom(partition)!) continue
      // before the taker has a look at it: what is given back meanwhile stands behind the reader
      backlog.proceed(partition, offset)
      await taker.take(cursor.record(), { partition, offset }, logAge)
      if (isWanted(taker, partition)) backlog.proceed(partition, offset + 1)
    }
    if (isWanted(taker, partition)) backlog.proceed(partition, nextOffsetOf(batch))
    return true
  } catch (error) {
    if (!(error instanceof MalformedFrame)) throw error
    return false
  }
}

import type { Broker } from '../broker/broker.ts'
import type { PartitionId } from '../core/brand.ts'
import { BrokerError } from '../core/errors.ts'
import { isControl } from '../wire/kafka/record-batch.ts'
import { decompressRecords, type LogRecord } from '../wire/kafka/records.ts'

/** Read at once; some of these are held while many partitions are compared. */
export const localReadBytes = 64 << 10
const maxUnpackedBytes = 128 << 20

/** The records of a partition as they stand here, for who asks for offsets that mostly rise. */
export class LocalRecords {
  readonly #broker: Broker
  readonly #id: PartitionId
  /** What was read last, and the offsets that it covers. */
  #records: readonly LogRecord[] = []
  #first = 0
  #next = 0
  #at = 0

  constructor(broker: Broker, id: PartitionId) {
    this.#broker = broker
    this.#id = id
  }

  get logStart(): number {
    return this.#broker.offsets(this.#id).logStart
  }

  /** The first record at this offset or behind it; undefined: there is none, or it has just left the log. Throws `MalformedFrame`. */
  async atOrBehind(offset: number): Promise<LogRecord | undefined> {
    for (let from = offset; ; from = this.#next) {
      if (from < this.#first || from >= this.#next) {
        if (!(await this.#read(from))) return undefined
      } else if ((this.#records[this.#at]?.offset ?? 0) > from) this.#at = 0
      while (this.#at < this.#records.length && this.#records[this.#at]!.offset < from) this.#at++
      const found = this.#records[this.#at]
      if (found !== undefined) return found
    }
  }

  async #read(offset: number): Promise<boolean> {
    const from = Math.max(offset, this.logStart)
    if (from >= this.#broker.offsets(this.#id).highWatermark) return false
    try {
      const { batches, nextOffset } = await this.#broker.read(this.#id, from, localReadBytes)
      if (nextOffset <= from) return false
      const records: LogRecord[] = []
      for (const batch of batches) {
        if (isControl(batch)) continue
        const cursor = await decompressRecords(batch, maxUnpackedBytes)
        while (cursor.next()) if (cursor.offset >= from) records.push(cursor.record())
      }
      this.#records = records
      // asked for below the log start: what is there now is what is behind it
      this.#first = Math.min(offset, from)
      this.#next = nextOffset
      this.#at = 0
      return true
    } catch (error) {
      if (error instanceof BrokerError) return false
      throw error
    }
  }
}

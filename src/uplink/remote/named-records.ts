import { ByteReader } from '../../core/byte-reader.ts'
import { varintLength, writeVarint } from '../../core/varint.ts'
import { originHeaderKeys, type RecordOrigin } from '../origin-headers.ts'

const nothing = Buffer.alloc(0)
const zero = 0x30
const nine = 0x39
/** Digits of the largest offset. */
const mostDigits = 16

/**
 * Finds records of one partition of this log among those of a central partition, by the headers that `originHeaders` added behind all others, and takes
 * these off again. All but the offset are the same in record after record: they are compared as bytes.
 */
export class NamedRecords {
  /** Of the record that `read` said yes to. */
  offset = -1
  /** Likewise: its header list as it was published, encoded. */
  headers: Buffer = nothing
  readonly #origin: Omit<RecordOrigin, 'offset' | 'incarnation'>
  /** The bytes from the first added header to the key of the last one, as they were seen last. */
  #added: Buffer | undefined
  #published: Buffer | undefined

  constructor(origin: Omit<RecordOrigin, 'offset' | 'incarnation'>) {
    this.#origin = origin
  }

  /** Takes the encoded header list of a record; false: it is not of this partition. Throws `MalformedFrame`. */
  read(headers: Buffer): boolean {
    const digits = trailingDigits(headers)
    const end = headers.length - digits - 1
    // a zigzag varint of one byte
    if (digits === 0 || digits > mostDigits || headers[end] !== 2 * digits) return false
    const start = this.#addedStart(headers, end)
    if (start === undefined) return false
    this.offset = Number(headers.toString('latin1', end + 1))
    this.#strip(headers, start)
    return true
  }

  /** Where the added headers begin; undefined: they are not there, or name another partition. */
  #addedStart(headers: Buffer, end: number): number | undefined {
    if (this.#added !== undefined) {
      const start = end - this.#added.length
      if (start > 0 && this.#added.compare(headers, start, end) === 0) return start
    }
    const start = this.#find(headers)
    if (start !== undefined) this.#added = Buffer.from(headers.subarray(start, end))
    return start
  }

  #find(headers: Buffer): number | undefined {
    const reader = new ByteReader(headers, 'headers')
    const before = reader.varint() - originHeaderKeys.length
    const values = new Map<string, string>()
    let start: number | undefined
    for (let index = 0; reader.remaining > 0; index++) {
      if (index === before) start = reader.position
      const keyBytes = reader.varint()
      if (keyBytes < 0) reader.fail(`header key of ${keyBytes} bytes`)
      const key = reader.text(keyBytes)
      const bytes = reader.varint()
      const value = bytes < 0 ? '' : reader.slice(bytes).toString()
      if (index < before) continue
      if (key !== originHeaderKeys[index - before]) return undefined
      values.set(key, value)
    }
    const { logId, topic, topicId, partition } = this.#origin
    const isOwn =
      values.get('gateway.log') === logId &&
      values.get('gateway.topic') === topic &&
      values.get('gateway.topic.id') === topicId &&
      values.get('gateway.partition') === String(partition)
    return isOwn ? start : undefined
  }

  /** Records of one device have the same headers, one after the other. */
  #strip(headers: Buffer, start: number): void {
    const count = new ByteReader(headers, 'headers').varint() - originHeaderKeys.length
    const countBytes = varintLength(count + originHeaderKeys.length)
    const published = headers.subarray(countBytes, start)
    if (this.#published?.equals(published)) return
    this.#published = Buffer.from(published)
    const prefix = Buffer.alloc(varintLength(count))
    writeVarint(prefix, 0, count)
    this.headers = Buffer.concat([prefix, published])
  }
}

const trailingDigits = (bytes: Buffer): number => {
  let at = bytes.length
  while (at > 0 && bytes[at - 1]! >= zero && bytes[at - 1]! <= nine) at--
  return bytes.length - at
}

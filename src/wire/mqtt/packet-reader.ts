import { ByteReader } from '../../core/byte-reader.ts'

// a byte order mark is a character like any other. [MQTT-1.5.4-3]
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const maxVariableByteIntegerBytes = 4

/** Reads the fields of an MQTT packet (MQTT 5 section 1.5) from bytes that are not trusted; what is wrong throws `MalformedFrame`. */
export class PacketReader extends ByteReader {
  readonly #bytes: Buffer

  constructor(bytes: Buffer, path: string, start: number, end: number) {
    super(bytes, path, start, end)
    this.#bytes = bytes
  }

  /** UTF-8 text after its length. */
  string(): string {
    const length = this.uint16()
    const start = this.take(length)
    return decodeText(this.#bytes, start, start + length) ?? this.fail('text that is not well-formed UTF-8')
  }

  /** Bytes after their length, referring to the packet. */
  binary(): Buffer {
    return this.slice(this.uint16())
  }

  /** At most 268,435,455. [MQTT-1.5.5-1] */
  variableByteInteger(): number {
    let value = 0
    for (let index = 0; index < maxVariableByteIntegerBytes; index++) {
      const byte = this.uint8()
      value |= (byte & 0x7f) << (7 * index)
      if (byte < 0x80) return value
    }
    return this.fail('a variable byte integer of more than 4 bytes')
  }

  /** Never 0. [MQTT-2.2.1-3] */
  packetId(): number {
    const id = this.uint16()
    return id === 0 ? this.fail('packet identifier 0') : id
  }

  /** Everything up to the end. */
  rest(): Buffer {
    return this.slice(this.remaining)
  }

  finish(): void {
    if (this.remaining > 0) this.fail(`${this.remaining} bytes after the last field`)
  }
}

/** The text, or undefined when the bytes are not well-formed UTF-8 or contain U+0000. [MQTT-1.5.4-1] [MQTT-1.5.4-2] */
export function decodeText(bytes: Buffer, start: number, end: number): string | undefined {
  let ascii = true
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte === 0) return undefined
    if (byte > 0x7f) ascii = false
  }
  if (ascii) return bytes.toString('latin1', start, end)
  try {
    return decoder.decode(bytes.subarray(start, end))
  } catch {
    return undefined
  }
}

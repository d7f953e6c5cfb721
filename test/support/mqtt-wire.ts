/**
 * MQTT 3.1.1 and 5.0 packets as bytes, written from the specification and sharing nothing with the broker: builders that can also build
 * what is forbidden, and a strict reader of what a broker sends.
 */

export const packetTypes = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const

export type PacketType = keyof typeof packetTypes

/** Properties by name (section 2.2.2.2); lists come several times, in their order. */
export interface Properties {
  payloadFormat?: number
  messageExpiry?: number
  contentType?: string
  responseTopic?: string
  correlationData?: Buffer
  subscriptionId?: number[]
  sessionExpiry?: number
  assignedClientId?: string
  serverKeepAlive?: number
  authMethod?: string
  authData?: Buffer
  requestProblem?: number
  willDelay?: number
  requestResponse?: number
  responseInformation?: string
  serverReference?: string
  reasonString?: string
  receiveMaximum?: number
  topicAliasMaximum?: number
  topicAlias?: number
  maximumQos?: number
  retainAvailable?: number
  user?: (readonly [string, string])[]
  maximumPacketSize?: number
  wildcardAvailable?: number
  subscriptionIdAvailable?: number
  sharedAvailable?: number
}

type Form = 'byte' | 'int16' | 'int32' | 'varint' | 'text' | 'binary' | 'pair'

interface PropertyRow {
  readonly id: number
  readonly name: keyof Properties
  readonly form: Form
  /** Packets of a broker in which it may stand. */
  readonly from: readonly PacketType[]
}

const acks = ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const
const answers = ['connack', ...acks, 'suback', 'unsuback', 'disconnect', 'auth'] as const

const propertyTable: readonly PropertyRow[] = [
  { id: 0x01, name: 'payloadFormat', form: 'byte', from: ['publish'] },
  { id: 0x02, name: 'messageExpiry', form: 'int32', from: ['publish'] },
  { id: 0x03, name: 'contentType', form: 'text', from: ['publish'] },
  { id: 0x08, name: 'responseTopic', form: 'text', from: ['publish'] },
  { id: 0x09, name: 'correlationData', form: 'binary', from: ['publish'] },
  { id: 0x0b, name: 'subscriptionId', form: 'varint', from: ['publish'] },
  { id: 0x11, name: 'sessionExpiry', form: 'int32', from: ['connack'] },
  { id: 0x12, name: 'assignedClientId', form: 'text', from: ['connack'] },
  { id: 0x13, name: 'serverKeepAlive', form: 'int16', from: ['connack'] },
  { id: 0x15, name: 'authMethod', form: 'text', from: ['connack', 'auth'] },
  { id: 0x16, name: 'authData', form: 'binary', from: ['connack', 'auth'] },
  { id: 0x17, name: 'requestProblem', form: 'byte', from: [] },
  { id: 0x18, name: 'willDelay', form: 'int32', from: [] },
  { id: 0x19, name: 'requestResponse', form: 'byte', from: [] },
  { id: 0x1a, name: 'responseInformation', form: 'text', from: ['connack'] },
  { id: 0x1c, name: 'serverReference', form: 'text', from: ['connack', 'disconnect'] },
  { id: 0x1f, name: 'reasonString', form: 'text', from: answers },
  { id: 0x21, name: 'receiveMaximum', form: 'int16', from: ['connack'] },
  { id: 0x22, name: 'topicAliasMaximum', form: 'int16', from: ['connack'] },
  { id: 0x23, name: 'topicAlias', form: 'int16', from: ['publish'] },
  { id: 0x24, name: 'maximumQos', form: 'byte', from: ['connack'] },
  { id: 0x25, name: 'retainAvailable', form: 'byte', from: ['connack'] },
  { id: 0x26, name: 'user', form: 'pair', from: ['publish', ...answers] },
  { id: 0x27, name: 'maximumPacketSize', form: 'int32', from: ['connack'] },
  { id: 0x28, name: 'wildcardAvailable', form: 'byte', from: ['connack'] },
  { id: 0x29, name: 'subscriptionIdAvailable', form: 'byte', from: ['connack'] },
  { id: 0x2a, name: 'sharedAvailable', form: 'byte', from: ['connack'] },
]

// ---- building

export const byte = (value: number): Buffer => Buffer.of(value)
export const int16 = (value: number): Buffer => Buffer.of((value >> 8) & 0xff, value & 0xff)

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  do {
    bytes.push((rest % 128) | (rest >= 128 ? 0x80 : 0))
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  return Buffer.from(bytes)
}

export const binary = (value: Uint8Array): Buffer => Buffer.concat([int16(value.length), value])
export const text = (value: string | Buffer): Buffer => binary(Buffer.from(value))

const forms: Readonly<Record<Form, (value: never) => Buffer>> = {
  byte,
  int16,
  int32,
  varint,
  text,
  binary,
  pair: ([name, value]: readonly [string, string]) => Buffer.concat([text(name), text(value)]),
}

/** One property as bytes, whatever its value. */
export function property(name: keyof Properties, value: unknown): Buffer {
  const row = propertyTable.find(one => one.name === name)!
  return Buffer.concat([byte(row.id), forms[row.form](value as never)])
}

/** The property part of a packet: its length, then the properties; a Buffer is put there as it is. */
export function properties(values: Properties | Buffer = {}): Buffer {
  if (Buffer.isBuffer(values)) return Buffer.concat([varint(values.length), values])
  const parts = Object.entries(values).flatMap(([name, value]) => {
    const all = name === 'user' || name === 'subscriptionId' ? (value as unknown[]) : [value]
    return all.map(one => property(name as keyof Properties, one))
  })
  const joined = Buffer.concat(parts)
  return Buffer.concat([varint(joined.length), joined])
}

/** A packet with its fixed header. */
export function packet(type: PacketType, flags: number, ...body: readonly Uint8Array[]): Buffer {
  const joined = Buffer.concat(body)
  return Buffer.concat([byte((packetTypes[type] << 4) | flags), varint(joined.length), joined])
}

export interface Will {
  readonly topic: string
  readonly payload?: string
  readonly qos?: number
  readonly retain?: boolean
  readonly properties?: Properties | Buffer
}

export interface Connect {
  readonly version?: number
  readonly protocol?: string
  readonly clientId?: string | Buffer
  readonly clean?: boolean
  readonly keepAlive?: number
  readonly properties?: Properties | Buffer
  readonly will?: Will
  readonly username?: string
  readonly password?: string
  /** Instead of the flags that follow from the rest. */
  readonly flags?: number
}

export function connect(options: Connect = {}): Buffer {
  const { version = 5, protocol = version === 3 ? 'MQIsdp' : 'MQTT', clean = true, will, username, password } = options
  const is5 = version === 5
  const flags =
    (clean ? 0x02 : 0) |
    (will === undefined ? 0 : 0x04 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0)) |
    (password === undefined ? 0 : 0x40) |
    (username === undefined ? 0 : 0x80)
  return packet(
    'connect',
    0,
    text(protocol),
    byte(version),
    byte(options.flags ?? flags),
    int16(options.keepAlive ?? 0),
    is5 ? properties(options.properties) : Buffer.of(),
    text(options.clientId ?? ''),
    ...(will === undefined
      ? []
      : [is5 ? properties(will.properties) : Buffer.of(), text(will.topic), text(will.payload ?? 'will')]),
    ...(username === undefined ? [] : [text(username)]),
    ...(password === undefined ? [] : [text(password)]),
  )
}

export interface Publish {
  readonly topic: string | Buffer
  readonly payload?: string | Buffer
  readonly qos?: number
  /** Packet identifier; absent for QoS 0 unless it is given. */
  readonly id?: number
  readonly dup?: boolean
  readonly retain?: boolean
  readonly properties?: Properties | Buffer
  readonly version?: number
}

export function publish({ topic, payload = '', qos = 0, id, dup, retain, version = 5, ...rest }: Publish): Buffer {
  const flags = (dup === true ? 0x08 : 0) | (qos << 1) | (retain === true ? 0x01 : 0)
  return packet(
    'publish',
    flags,
    text(topic),
    id === undefined ? Buffer.of() : int16(id),
    version === 5 ? properties(rest.properties) : Buffer.of(),
    Buffer.from(payload),
  )
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP in its short form, or with a reason code (5.0). */
export const ack = (type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp', id: number, reason?: number): Buffer =>
  packet(type, type === 'pubrel' ? 2 : 0, int16(id), reason === undefined ? Buffer.of() : byte(reason))

/** Options as the byte of section 3.8.3.1, or the QoS alone. */
export const subscribe = (
  id: number,
  filters: readonly (readonly [string | Buffer, number])[],
  more: { readonly version?: number; readonly properties?: Properties | Buffer } = {},
): Buffer =>
  packet(
    'subscribe',
    2,
    int16(id),
    (more.version ?? 5) === 5 ? properties(more.properties) : Buffer.of(),
    ...filters.flatMap(([filter, options]) => [text(filter), byte(options)]),
  )

export const unsubscribe = (id: number, filters: readonly (string | Buffer)[], version = 5): Buffer =>
  packet('unsubscribe', 2, int16(id), version === 5 ? properties() : Buffer.of(), ...filters.map(text))

export const pingreq = (): Buffer => packet('pingreq', 0)

export const disconnect = (reason?: number, values?: Properties | Buffer): Buffer =>
  packet(
    'disconnect',
    0,
    reason === undefined ? Buffer.of() : byte(reason),
    values === undefined ? Buffer.of() : properties(values),
  )

export const auth = (reason: number, values: Properties | Buffer = {}): Buffer =>
  packet('auth', 0, byte(reason), properties(values))

/** Bits of the subscription options. */
export const noLocal = 0x04
export const retainAsPublished = 0x08
export const retainHandling = (value: 0 | 1 | 2 | 3): number => value << 4

// ---- reading

/** A packet of the broker. Fields that its type does not have are absent. */
export interface Received {
  readonly type: PacketType
  readonly bytes: Buffer
  readonly id?: number
  readonly reason?: number
  readonly reasons?: readonly number[]
  readonly sessionPresent?: boolean
  readonly topic?: string
  readonly payload?: string
  readonly qos?: number
  readonly dup?: boolean
  readonly retain?: boolean
  readonly properties: Properties
}

/** Reads the first packet, or undefined when it is not all there. Throws when a broker must not send it. */
export function readPacket(bytes: Buffer, version: number): Received | undefined {
  let length = 0
  let at = 1
  for (; ; at++) {
    if (at === 5) throw new Error('a remaining length of more than four bytes')
    const digit = bytes[at]
    if (digit === undefined) return undefined
    length += (digit & 0x7f) * 128 ** (at - 1)
    if (digit < 0x80) break
  }
  const end = at + 1 + length
  if (bytes.length < end) return undefined
  return new PacketReader(bytes.subarray(0, end), at + 1, version).read()
}

const serverTypes: ReadonlyMap<number, PacketType> = new Map(
  (Object.entries(packetTypes) as [PacketType, number][])
    .filter(([type]) => !['connect', 'subscribe', 'unsubscribe', 'pingreq'].includes(type))
    .map(([type, value]) => [value, type]),
)

class PacketReader {
  readonly #bytes: Buffer
  readonly #version: number
  #at: number

  constructor(bytes: Buffer, at: number, version: number) {
    this.#bytes = bytes
    this.#at = at
    this.#version = version
  }

  read(): Received {
    const first = this.#bytes[0]!
    const type = serverTypes.get(first >> 4)
    const is5 = this.#version === 5
    if (type === undefined || (!is5 && type === 'auth')) throw new Error(`a broker does not send ${first.toString(16)}`)
    const flags = first & 0x0f
    if (type !== 'publish' && flags !== (type === 'pubrel' ? 2 : 0)) throw new Error(`${type} with flags ${flags}`)
    const fields = this.#fields(type, flags)
    if (this.#at !== this.#bytes.length) throw new Error(`${type} goes on behind its end`)
    return { type, bytes: this.#bytes, ...fields }
  }

  #fields(type: PacketType, flags: number): Omit<Received, 'type' | 'bytes'> {
    switch (type) {
      case 'connack': {
        const connackFlags = this.#byte()
        if (connackFlags > 1) throw new Error('reserved flags in CONNACK')
        const reason = this.#byte()
        return { sessionPresent: connackFlags === 1, reason, properties: this.#properties(type) }
      }
      case 'publish':
        return this.#publish(flags)
      case 'suback':
      case 'unsuback': {
        const id = this.#int16()
        const found = this.#properties(type)
        return { id, properties: found, reasons: [...this.#rest()] }
      }
      case 'pingresp':
        return { properties: {} }
      case 'disconnect':
      case 'auth':
        return { ...this.#reason(type) }
      default:
        return { id: this.#int16(), ...this.#reason(type) }
    }
  }

  #publish(flags: number): Omit<Received, 'type' | 'bytes'> {
    const qos = (flags >> 1) & 3
    if (qos === 3) throw new Error('PUBLISH with QoS 3')
    const topic = this.#text()
    const id = qos === 0 ? {} : { id: this.#int16() }
    if (id.id === 0) throw new Error('PUBLISH with packet identifier 0')
    const found = this.#properties('publish')
    const payload = this.#rest().toString()
    return { topic, payload, qos, ...id, dup: (flags & 8) !== 0, retain: (flags & 1) !== 0, properties: found }
  }

  /** Reason code and properties may be left out. */
  #reason(type: PacketType): { reason: number; properties: Properties } {
    const isShort = this.#at === this.#bytes.length
    if (this.#version !== 5 && !isShort) throw new Error(`${type} with a reason code in an old version`)
    const reason = isShort ? 0 : this.#byte()
    return { reason, properties: this.#at === this.#bytes.length ? {} : this.#properties(type) }
  }

  #properties(type: PacketType): Properties {
    if (this.#version !== 5) return {}
    const length = this.#varint()
    const end = this.#at + length
    if (end > this.#bytes.length) throw new Error(`properties of ${type} are longer than the packet`)
    const found: Record<string, unknown> = {}
    while (this.#at < end) {
      const id = this.#varint()
      const row = propertyTable.find(one => one.id === id)
      if (row === undefined || !row.from.includes(type)) throw new Error(`property ${id} in ${type}`)
      const value = this.#value(row.form)
      const isList = row.name === 'user' || row.name === 'subscriptionId'
      if (isList) found[row.name] = [...((found[row.name] as unknown[]) ?? []), value]
      else if (row.name in found) throw new Error(`${row.name} twice in ${type}`)
      else found[row.name] = value
    }
    if (this.#at !== end) throw new Error(`a property of ${type} is cut off`)
    return found as Properties
  }

  #value(form: Form): unknown {
    switch (form) {
      case 'byte':
        return this.#byte()
      case 'int16':
        return this.#int16()
      case 'int32':
        return this.#int16() * 65_536 + this.#int16()
      case 'varint':
        return this.#varint()
      case 'text':
        return this.#text()
      case 'binary':
        return this.#binary()
      case 'pair':
        return [this.#text(), this.#text()]
    }
  }

  #byte(): number {
    const value = this.#bytes[this.#at++]
    if (value === undefined) throw new Error('a packet that is too short')
    return value
  }

  #int16(): number {
    return this.#byte() * 256 + this.#byte()
  }

  #varint(): number {
    let value = 0
    for (let power = 0; power < 4; power++) {
      const digit = this.#byte()
      value += (digit & 0x7f) * 128 ** power
      if (digit >= 0x80) continue
      if (digit === 0 && power > 0) throw new Error('a number with more bytes than it needs')
      return value
    }
    throw new Error('a number of more than four bytes')
  }

  #binary(): Buffer {
    const length = this.#int16()
    if (this.#at + length > this.#bytes.length) throw new Error('a string that is longer than its packet')
    const found = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return found
  }

  #text(): string {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.#binary())
  }

  #rest(): Buffer {
    const rest = this.#bytes.subarray(this.#at)
    this.#at = this.#bytes.length
    return rest
  }
}

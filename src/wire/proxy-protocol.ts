import { crc32c } from '../core/crc32c.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'

/** PROXY protocol version 2 (HAProxy, doc/proxy-protocol.txt, section 2.2): the binary header that a proxy sends before the bytes of its client. */

export interface ProxiedEnds {
  /** The client of the proxy. */
  readonly source: ProxiedAddress
  /** What the client connected to. */
  readonly destination: ProxiedAddress
}

export interface ProxiedAddress {
  readonly host: string
  readonly port: number
}

export interface ProxyHeader {
  /** Where the bytes of the client begin. */
  readonly length: number
  /** Absent for a connection of the proxy itself (LOCAL), and where it does not know: then those of the socket hold. */
  readonly ends: ProxiedEnds | undefined
}

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const fixedBytes = 16
const commands = { local: 0, proxy: 1 } as const
/** Upper four bits: version 2. */
const version = 0x20
const tcp4 = 0x11
const tcp6 = 0x21
/** Unspecified, datagrams, Unix sockets: valid, and nothing that we could use. */
const otherFamilies = new Set([0x00, 0x01, 0x02, 0x10, 0x12, 0x20, 0x22, 0x30, 0x31, 0x32])
const checksumType = 0x03
/** Proxies send some hundred bytes, certificates of clients included. */
export const maxProxyHeaderBytes = 4096

/** The header at the beginning of `bytes`; undefined while it is not all there. Throws `MalformedFrame`. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  const start = bytes.subarray(0, signature.length)
  if (!start.equals(signature.subarray(0, start.length))) throw malformed('the signature of version 2 is missing')
  if (bytes.length < fixedBytes) return undefined
  const command = bytes[12]! - version
  if (command !== commands.local && command !== commands.proxy)
    throw malformed(`version and command 0x${bytes[12]!.toString(16)} are not known`)
  const length = fixedBytes + bytes.readUInt16BE(14)
  if (length > maxProxyHeaderBytes) throw malformed(`${length} bytes, at most ${maxProxyHeaderBytes} are taken`)
  if (bytes.length < length) return undefined
  // what comes with LOCAL has no meaning, whatever it is
  if (command === commands.local) return { length, ends: undefined }
  return { length, ends: readEnds(bytes.subarray(0, length)) }
}

function readEnds(header: Buffer): ProxiedEnds | undefined {
  const family = header[13]!
  if (family !== tcp4 && family !== tcp6) {
    if (otherFamilies.has(family)) return undefined
    throw malformed(`family 0x${family.toString(16)} is not known`)
  }
  const addressBytes = family === tcp4 ? 4 : 16
  const portsAt = fixedBytes + 2 * addressBytes
  const fieldsAt = portsAt + 4
  if (header.length < fieldsAt) throw malformed('it ends inside the addresses')
  checkFields(header, fieldsAt)
  const addressAt = family === tcp4 ? ipv4At : ipv6At
  return {
    source: { host: addressAt(header, fixedBytes), port: header.readUInt16BE(portsAt) },
    destination: { host: addressAt(header, fixedBytes + addressBytes), port: header.readUInt16BE(portsAt + 2) },
  }
}

/** Fields are passed over, but for a checksum: that must be right. */
function checkFields(header: Buffer, from: number): void {
  let at = from
  while (at < header.length) {
    const valueAt = at + 3
    const end = valueAt > header.length ? valueAt : valueAt + header.readUInt16BE(at + 1)
    if (end > header.length) throw malformed('it ends inside a field')
    if (header[at] === checksumType) checkChecksum(header, valueAt, end)
    at = end
  }
}

/** CRC-32C of the header with its own four bytes zero. */
function checkChecksum(header: Buffer, at: number, end: number): void {
  const zeroed = Buffer.from(header)
  zeroed.fill(0, at, end)
  if (end - at !== 4 || crc32c(zeroed) !== header.readUInt32BE(at)) throw malformed('its checksum is wrong')
}

const malformed = (reason: string): MalformedFrame => new MalformedFrame('PROXY header', reason)

const ipv4At = (bytes: Buffer, at: number): string => bytes.subarray(at, at + 4).join('.')

/** As RFC 5952 writes it; addresses of IPv4 inside IPv6 as those. */
function ipv6At(bytes: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(at + 2 * index))
  if (groups.slice(0, 6).join() === '0,0,0,0,0,65535') return ipv4At(bytes, at + 12)
  const text = groups.map(group => group.toString(16)).join(':')
  return new URL(`http://[${text}]`).hostname.slice(1, -1)
}

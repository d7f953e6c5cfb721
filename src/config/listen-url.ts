import { nearestWord } from './nearest-word.ts'
import { type Parsed, quoted, type ValueType, wrong } from './value-types.ts'

/** Where a listener binds: one item of `mqtt.listen`, `kafka.listen` or `http.listen`. */
export interface ListenUrl {
  readonly scheme: string
  /** Without brackets: `::1`. Empty for a Unix socket. */
  readonly host: string
  /** 0 binds a free port. */
  readonly port: number
  /** Of a Unix socket. */
  readonly path?: string
}

interface SchemeRules {
  /** The port of a URL without one. The first scheme is meant by a bare address. */
  readonly ports: Readonly<Record<string, number>>
  /** Scheme of Unix sockets, where they are served. */
  readonly unix?: 'unix'
  /** Known, but not in this version, with the reason. */
  readonly notYet: Readonly<Record<string, string>>
}

const noSasl = 'SASL authentication is not in this version'

export const mqttSchemes: SchemeRules = {
  ports: { mqtt: 1883, mqtts: 8883, ws: 8083, wss: 8084 },
  unix: 'unix',
  notYet: {},
}
export const kafkaSchemes: SchemeRules = {
  ports: { plaintext: 9092, ssl: 9093 },
  notYet: { sasl_plaintext: noSasl, sasl_ssl: noSasl },
}
export const httpSchemes: SchemeRules = { ports: { http: 8190, https: 8190 }, notYet: {} }

/** Of any front. */
const allSchemes: SchemeRules = {
  ports: { ...mqttSchemes.ports, ...kafkaSchemes.ports, ...httpSchemes.ports },
  unix: 'unix',
  notYet: kafkaSchemes.notYet,
}

const addressPattern = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([^\s:/[\]]+))(?::(\d{1,5}))?$/
/** What the kernel takes, without the byte that ends it. */
const maxUnixPathBytes = 107

/** `scheme://host:port`, `host:port` for the first scheme served, or `unix:///path`. */
export function listenUrl({ ports, unix, notYet }: SchemeRules): ValueType<ListenUrl> {
  const served = Object.keys(ports)
  const usual = served[0]!
  const shapes = [...served.map(scheme => `\`${scheme}://HOST:PORT\``), ...(unix ? ['`unix:///PATH`'] : [])]
  return {
    configType: 'STRING',
    shape: `${shapes.join(', ')} or \`HOST:PORT\``,
    parse(text) {
      const [, scheme = usual, address = ''] = /^(?:([A-Za-z_]+):\/\/)?(.*)$/.exec(text.trim()) ?? []
      const lower = scheme.toLowerCase()
      const missing = notYet[lower]
      if (missing !== undefined) return wrong(`${quoted(text)}: ${missing}`, `${usual}://${address}`)
      if (lower === unix) return parseUnix(text, address)
      if (!Object.hasOwn(ports, lower)) {
        const meant = nearestWord(lower, served) ?? usual
        return wrong(`${quoted(text)}: ${scheme} is not a protocol of this setting`, `${meant}://${address}`)
      }
      return parseAddress(text, lower, address, ports[lower]!)
    },
    format: formatListenUrl,
    formatPlain: formatListenUrl,
  }
}

function parseAddress(text: string, scheme: string, address: string, usualPort: number): Parsed<ListenUrl> {
  const match = addressPattern.exec(address)
  if (match === null) return wrong(`${quoted(text)} is not ${scheme}://HOST:PORT`, `${scheme}://127.0.0.1:${usualPort}`)
  const port = Number(match[3] ?? usualPort)
  const host = match[1] ?? match[2] ?? ''
  if (port > 65_535) return wrong(`${quoted(text)}: ports end at 65535`, `${scheme}://${host}:${usualPort}`)
  return { value: { scheme, host: host === '*' ? '0.0.0.0' : host, port } }
}

function parseUnix(text: string, path: string): Parsed<ListenUrl> {
  if (!/^\/[^\0]*[^/\0]$/.test(path))
    return wrong(`${quoted(text)} is not unix:///PATH`, `unix:///${path.replace(/^\/+|\/+$/g, '') || 'run/mqtt.sock'}`)
  if (Buffer.byteLength(path) > maxUnixPathBytes)
    return wrong(
      `${quoted(text)}: paths of Unix sockets have at most ${maxUnixPathBytes} bytes`,
      'unix:///run/mqtt.sock',
    )
  return { value: { scheme: 'unix', host: '', port: 0, path } }
}

/** The URL of a listener of any front. */
export const listenerUrl = listenUrl(allSchemes)

export const frontOf = ({ scheme }: ListenUrl): 'mqtt' | 'kafka' | 'http' => {
  if (Object.hasOwn(kafkaSchemes.ports, scheme)) return 'kafka'
  return Object.hasOwn(httpSchemes.ports, scheme) ? 'http' : 'mqtt'
}

export function formatListenUrl({ scheme, host, port, path }: ListenUrl): string {
  return `${scheme}://${path ?? formatAddress(host, port)}`
}

/** TLS is spoken there. */
export const isTls = ({ scheme }: ListenUrl): boolean => ['mqtts', 'wss', 'ssl', 'https'].includes(scheme)

export const isWebSocket = ({ scheme }: ListenUrl): boolean => scheme === 'ws' || scheme === 'wss'

/** `host:port`, with brackets around an IPv6 address. */
export const formatAddress = (host: string, port: number): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`

/** Only programs of this machine can connect. */
export const isLocal = ({ host, path }: ListenUrl): boolean =>
  path !== undefined ||
  host === 'localhost' ||
  host === '::1' ||
  /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)

/** Bound to every address of the machine. */
export const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::'

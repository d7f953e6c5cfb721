import { nearestWord } from './nearest-word.ts'
import { quoted, type ValueType, wrong } from './value-types.ts'

/** Where a listener binds: one item of `mqtt.listen`, `kafka.listen` or `http.listen`. */
export interface ListenUrl {
  readonly scheme: string
  /** Without brackets: `::1`. */
  readonly host: string
  /** 0 binds a free port. */
  readonly port: number
}

interface SchemeRules {
  /** The first one is meant by a bare address. */
  readonly served: readonly [string, ...string[]]
  /** Known, but not in this version, with the reason. */
  readonly notYet: Readonly<Record<string, string>>
  readonly defaultPort: number
}

const noTls = 'TLS is not in this version'
const noSasl = 'SASL authentication is not in this version'

export const mqttSchemes: SchemeRules = {
  served: ['mqtt', 'ws'],
  notYet: { mqtts: noTls, wss: noTls, unix: 'Unix sockets are not in this version' },
  defaultPort: 1883,
}
export const kafkaSchemes: SchemeRules = {
  served: ['plaintext'],
  notYet: { ssl: noTls, sasl_plaintext: noSasl, sasl_ssl: noSasl },
  defaultPort: 9092,
}
export const httpSchemes: SchemeRules = { served: ['http'], notYet: { https: noTls }, defaultPort: 8190 }

const addressPattern = /^(?:\[([0-9a-fA-F:.%a-z]+)\]|([^\s:/[\]]+))(?::(\d{1,5}))?$/

/** `scheme://host:port`, or `host:port` for the first scheme served. */
export function listenUrl(rules: SchemeRules): ValueType<ListenUrl> {
  const usual = rules.served[0]
  return {
    configType: 'STRING',
    shape: `\`${usual}://HOST:PORT\`${rules.served
      .slice(1)
      .map(other => `, \`${other}://HOST:PORT\``)
      .join('')} or \`HOST:PORT\``,
    parse(text) {
      const [, scheme = usual, address = ''] = /^(?:([A-Za-z_]+):\/\/)?(.*)$/.exec(text.trim()) ?? []
      const lower = scheme.toLowerCase()
      const missing = rules.notYet[lower]
      if (missing !== undefined) return wrong(`${quoted(text)}: ${missing}`, `${usual}://${address}`)
      if (!rules.served.includes(lower)) {
        const meant = nearestWord(lower, rules.served) ?? usual
        return wrong(`${quoted(text)}: ${scheme} is not a protocol of this setting`, `${meant}://${address}`)
      }
      const match = addressPattern.exec(address)
      if (match === null)
        return wrong(`${quoted(text)} is not ${lower}://HOST:PORT`, `${lower}://127.0.0.1:${rules.defaultPort}`)
      const port = Number(match[3] ?? rules.defaultPort)
      if (port > 65_535)
        return wrong(`${quoted(text)}: ports end at 65535`, `${lower}://${match[2] ?? match[1]}:${rules.defaultPort}`)
      const host = match[1] ?? match[2] ?? ''
      return { value: { scheme: lower, host: host === '*' ? '0.0.0.0' : host, port } }
    },
    format: formatListenUrl,
    formatPlain: formatListenUrl,
  }
}

export const formatListenUrl = ({ scheme, host, port }: ListenUrl): string => `${scheme}://${formatAddress(host, port)}`

/** `host:port`, with brackets around an IPv6 address. */
export const formatAddress = (host: string, port: number): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`

/** Only programs of this machine can connect. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)

/** Bound to every address of the machine. */
export const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::'

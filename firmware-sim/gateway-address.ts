import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** Where a fleet connects to, and as whom. */
export interface GatewayAddress {
  /** As given, without the password. */
  readonly url: string
  readonly dial: () => Socket
  readonly username: string | undefined
  readonly password: string | undefined
}

const defaultPorts: Readonly<Record<string, number>> = { 'mqtt:': 1883, 'mqtts:': 8883 }

/** Reads `mqtt[s]://[user[:password]@]host[:port]`. @throws with a sentence about what is wrong. */
export const parseGatewayUrl = (text: string): GatewayAddress => {
  if (!URL.canParse(text)) throw new Error('is not a URL')
  const { protocol, hostname, port, username, password } = new URL(text)
  const defaultPort = defaultPorts[protocol]
  if (defaultPort === undefined || hostname === '') throw new Error('is not an mqtt:// or mqtts:// address')
  const host = hostname.replace(/^\[|\]$/g, '')
  const target = { host, port: port === '' ? defaultPort : Number(port), noDelay: true }
  return {
    url: `${protocol}//${hostname}:${target.port}`,
    dial: () => (protocol === 'mqtts:' ? connectTls({ ...target, servername: host }) : connectTcp(target)),
    username: username === '' ? undefined : decodeURIComponent(username),
    password: password === '' ? undefined : decodeURIComponent(password),
  }
}

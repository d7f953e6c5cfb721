import { formatListenUrl, frontOf, isTls, isWebSocket, type ListenUrl } from '../../config/listen-url.ts'
import type { ListenerSettings } from '../../config/listener-settings.ts'
import { type Settings, settingsOf } from '../../config/settings.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Listener } from '../../platform/network.ts'
import type { ListenStream, OnConnection, StreamOptions, WebSocketOptions } from '../../platform/stream-server.ts'
import type { TlsIdentity } from '../../platform/tls-identity.ts'
import { parseProxyHeader } from '../../wire/proxy-protocol.ts'
import { cannotBind } from './cannot-bind.ts'
import { ConnectionCount, CountingGate } from './connection-gate.ts'

export interface ListenersParts {
  readonly listen: ListenStream
  readonly settings: Settings
  readonly identityFor: (settings: ListenerSettings) => TlsIdentity
  readonly clock: Clock
}

/** What a front adds to the settings of a listener. */
export interface FrontOptions {
  /** For `ws` and `wss`. */
  readonly webSocket?: WebSocketOptions
  readonly onRefused: StreamOptions['onRefused']
  /** Its protocol can tell clients that they are too many. */
  readonly tells?: boolean
}

const maxTold = 16

/** Opens the listeners of the fronts as the settings say. */
export class Listeners {
  readonly #parts: ListenersParts
  readonly #mqttCount: ConnectionCount
  readonly #kafkaCount: ConnectionCount
  readonly #tlsCount: ConnectionCount

  constructor(parts: ListenersParts) {
    this.#parts = parts
    this.#mqttCount = mqttCount('mqtt', parts.settings)
    this.#kafkaCount = kafkaCount('kafka', parts.settings)
    this.#tlsCount = new ConnectionCount({
      ...unlimited,
      name: 'TLS',
      connections: parts.settings['tls.connections.max'],
    })
  }

  /** Rejects with `StartError` when it cannot bind. */
  async open(
    url: ListenUrl,
    { webSocket, onRefused, tells = false }: FrontOptions,
    onConnection: OnConnection,
  ): Promise<Listener> {
    const { host, port, path } = url
    const settings = this.settingsOf(url)
    const options: StreamOptions = {
      proxyHeader: settings['proxy.protocol'] === 'v2' ? parseProxyHeader : undefined,
      tls: this.identityOf(url),
      webSocket: isWebSocket(url) ? webSocket : undefined,
      setupTimeoutMs: settings['connection.setup.timeout.ms'],
      gate: this.#gateOf(url),
      maxTold: tells ? maxTold : 0,
      onRefused,
    }
    try {
      return await this.#parts.listen(path === undefined ? { host, port } : { path }, options, onConnection)
    } catch (error) {
      throw cannotBind(url, error)
    }
  }

  /** Undefined where no TLS is spoken. */
  identityOf(url: ListenUrl): TlsIdentity | undefined {
    return isTls(url) ? this.#parts.identityFor(this.settingsOf(url)) : undefined
  }

  /** Those of the listener, where it has its own. */
  settingsOf(url: ListenUrl): Settings {
    return settingsOf(this.#parts.settings, url)
  }

  /** A connection counts with all of its front, with all that speak TLS, and at a listener with settings of its own. HTTP has other limits. */
  #gateOf(url: ListenUrl): CountingGate {
    const { settings, clock } = this.#parts
    const isKafka = frontOf(url) === 'kafka'
    const counts = [isKafka ? this.#kafkaCount : this.#mqttCount]
    if (isTls(url)) counts.push(this.#tlsCount)
    const name = formatListenUrl(url)
    if (settings.listeners.has(name)) counts.push((isKafka ? kafkaCount : mqttCount)(name, this.settingsOf(url)))
    return new CountingGate(counts, clock)
  }
}

const unlimited = { perAddress: Number.POSITIVE_INFINITY, newPerSecond: Number.POSITIVE_INFINITY }

const mqttCount = (name: string, settings: Settings): ConnectionCount =>
  new ConnectionCount({
    name,
    connections: settings['mqtt.connections.max'],
    perAddress: settings['mqtt.connections.per.address.max'],
    newPerSecond: settings['mqtt.connection.rate.max'],
  })

const kafkaCount = (name: string, settings: Settings): ConnectionCount =>
  new ConnectionCount({
    name,
    connections: settings['kafka.connections.max'],
    perAddress: settings['kafka.connections.per.address.max'],
    newPerSecond: settings['kafka.connection.rate.max'],
  })

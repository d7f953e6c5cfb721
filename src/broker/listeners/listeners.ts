import { isTls, isWebSocket, type ListenUrl } from '../../config/listen-url.ts'
import type { ListenerSettings } from '../../config/listener-settings.ts'
import type { Settings } from '../../config/settings.ts'
import type { Connection, Listener } from '../../platform/network.ts'
import type { ListenStream, StreamOptions, WebSocketOptions } from '../../platform/stream-server.ts'
import type { TlsIdentity } from '../../platform/tls-identity.ts'

export interface ListenersParts {
  readonly listen: ListenStream
  readonly settings: Settings
  readonly identityFor: (settings: ListenerSettings) => TlsIdentity
}

/** What a front adds to the settings of a listener. */
export interface FrontOptions {
  /** For `ws` and `wss`. */
  readonly webSocket?: WebSocketOptions
  readonly onRefused: StreamOptions['onRefused']
}

/** Opens the listeners of the fronts as the settings say. */
export class Listeners {
  readonly #parts: ListenersParts

  constructor(parts: ListenersParts) {
    this.#parts = parts
  }

  /** Rejects with Node's `code` when it cannot bind. */
  open(
    url: ListenUrl,
    { webSocket, onRefused }: FrontOptions,
    onConnection: (connection: Connection) => void,
  ): Promise<Listener> {
    const { listen, settings } = this.#parts
    const { host, port, path } = url
    const options: StreamOptions = {
      tls: this.identityOf(url),
      webSocket: isWebSocket(url) ? webSocket : undefined,
      setupTimeoutMs: settings['connection.setup.timeout.ms'],
      onRefused,
    }
    return listen(path === undefined ? { host, port } : { path }, options, onConnection)
  }

  /** Undefined where no TLS is spoken. */
  identityOf(url: ListenUrl): TlsIdentity | undefined {
    return isTls(url) ? this.#parts.identityFor(this.#parts.settings) : undefined
  }
}

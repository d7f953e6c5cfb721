import { createConnection, createServer, type Server, type Socket } from 'node:net'
import type { Connection, ListenAddress, Network } from '../network.ts'
import { connectTls, tlsFault } from './tls-client.ts'

/** The two ends of a connection, as `Connection` names them. */
export interface Ends extends Pick<Connection, 'remote' | 'local'> {
  /** Address of the client. */
  readonly host: string
}

const plainAddress = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '')

export const remoteOf = (host: string, port: number | undefined): string => `${host}:${port}`

export const endsOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): Ends => ({
  host: plainAddress(remoteAddress),
  remote: remoteOf(plainAddress(remoteAddress), remotePort),
  local: { host: plainAddress(localAddress), port: localPort ?? 0 },
})

const asItIs = (error: Error): Error => error

/** A socket, or the TLS socket around one. */
export class SocketConnection implements Connection {
  readonly remote: string
  readonly local: ListenAddress
  readonly #socket: Socket
  #error: Error | undefined

  /** `cause`: what an error of the socket is to its user. */
  constructor(socket: Socket, { remote, local }: Ends = endsOf(socket), cause = asItIs) {
    this.#socket = socket
    this.remote = remote
    this.local = local
    socket.on('error', error => {
      this.#error = cause(error)
    })
  }

  onData(callback: (chunk: Buffer) => void): void {
    this.#socket.on('data', callback)
  }

  onClose(callback: (error?: Error) => void): void {
    this.#socket.on('close', () => callback(this.#error))
  }

  onDrain(callback: () => void): void {
    this.#socket.on('drain', callback)
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (chunks.length === 1) return this.#socket.write(chunks[0]!)
    this.#socket.cork()
    let drained = true
    for (const chunk of chunks) drained = this.#socket.write(chunk)
    this.#socket.uncork()
    return drained
  }

  get pendingBytes(): number {
    return this.#socket.writableLength
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

/** Connections that wait to be accepted: what comes beyond it tries again after 1, 3 and 7 seconds. Linux lowers it to `net.core.somaxconn`. */
const backlog = 4096

/** Rejects with Node's `code` when it cannot bind. */
export const listenTcp = (server: Server, { host, port }: ListenAddress): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, backlog }, () => {
      server.off('error', reject)
      // an accept that fails (no descriptor is left) costs that connection, not the process
      server.on('error', () => undefined)
      resolve()
    })
  })

export const boundAddress = (server: Server): ListenAddress => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the listener has no TCP address')
  return { host: address.address, port: address.port }
}

/** Of the time to connect, for each address of a name with several. Node's 250 ms are less than one round trip over a satellite. */
const attemptShare = 0.25

export const nodeNetwork: Network = {
  async listen(address, onConnection) {
    const server = createServer({ noDelay: true, keepAlive: true }, socket =>
      onConnection(new SocketConnection(socket)),
    )
    await listenTcp(server, address)
    return { address: boundAddress(server), close: async () => void server.close() }
  },

  connect: ({ host, port }, timeoutMs, tls) =>
    new Promise((resolve, reject) => {
      const isPlain = tls === undefined
      // Node takes whole ones only
      const attemptMs = Math.ceil(timeoutMs * attemptShare)
      const socket = isPlain
        ? createConnection({ host, port, noDelay: true, keepAlive: true, autoSelectFamilyAttemptTimeout: attemptMs })
        : connectTls({ host, port }, tls, attemptMs)
      const timer = setTimeout(() => {
        socket.destroy(
          Object.assign(new Error(`no answer from ${host}:${port} within ${timeoutMs} ms`), { code: 'ETIMEDOUT' }),
        )
      }, timeoutMs)
      const failed = (error: Error): void => {
        clearTimeout(timer)
        reject(isPlain ? error : tlsFault(error))
      }
      socket.once('error', failed)
      socket.once(isPlain ? 'connect' : 'secureConnect', () => {
        clearTimeout(timer)
        socket.off('error', failed)
        resolve(new SocketConnection(socket, endsOf(socket), isPlain ? undefined : tlsFault))
      })
    }),
}

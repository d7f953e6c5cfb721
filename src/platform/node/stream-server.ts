import { createServer, type Server } from 'node:http'
import type { WebSocket } from 'ws'
import type { Connection, Listener } from '../network.ts'
import type { ListenWebSocket } from '../stream-server.ts'

const plainAddress = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '')
const unsupportedFrame = 1003
const normalClosure = 1000

class WebSocketConnection implements Connection {
  readonly remote: string
  readonly local: { readonly host: string; readonly port: number }
  readonly #socket: WebSocket
  #error: Error | undefined
  #drained: () => void = () => {}

  constructor(socket: WebSocket, remote: string, local: { readonly host: string; readonly port: number }) {
    this.remote = remote
    this.local = local
    this.#socket = socket
    socket.on('error', error => {
      this.#error = error
    })
  }

  onData(callback: (chunk: Buffer) => void): void {
    this.#socket.on('message', (data: Buffer, isBinary: boolean) => {
      // [MQTT-6.0.0-1]
      if (isBinary) callback(data)
      else this.#socket.close(unsupportedFrame, 'binary frames only')
    })
  }

  onClose(callback: (error?: Error) => void): void {
    this.#socket.once('close', () => callback(this.#error))
  }

  onDrain(callback: () => void): void {
    this.#drained = callback
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (this.#socket.readyState !== this.#socket.OPEN) return false
    const frame = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    this.#socket.send(frame, { binary: true }, () => {
      if (this.#socket.bufferedAmount === 0) this.#drained()
    })
    return this.#socket.bufferedAmount === 0
  }

  get pendingBytes(): number {
    return this.#socket.bufferedAmount
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.close(normalClosure)
  }

  destroy(): void {
    this.#socket.terminate()
  }
}

export const listenWebSocket: ListenWebSocket = async (address, { subprotocol, maxFrameBytes }, onConnection) => {
  // loaded only where there is such a listener
  const { WebSocketServer } = await import('ws')
  return new Promise((resolve, reject) => {
    const server = createServer((_request, response) => {
      response.writeHead(426, { 'content-type': 'text/plain', connection: 'close' }).end('WebSocket only\n')
    })
    // compression would cost memory per connection, and payloads of devices are small
    const sockets = new WebSocketServer({ noServer: true, maxPayload: maxFrameBytes, perMessageDeflate: false })
    server.on('upgrade', (request, socket, head) => {
      socket.on('error', () => socket.destroy())
      const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map(text => text.trim())
      if (!offered.includes(subprotocol)) {
        socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
        return
      }
      sockets.handleUpgrade(request, socket, head, webSocket => {
        const { remoteAddress, remotePort, localAddress, localPort } = request.socket
        const local = { host: plainAddress(localAddress), port: localPort ?? 0 }
        onConnection(new WebSocketConnection(webSocket, `${plainAddress(remoteAddress)}:${remotePort}`, local))
      })
    })
    sockets.options.handleProtocols = () => subprotocol
    server.on('connection', socket => socket.setNoDelay(true))
    server.once('error', reject)
    server.listen(address.port, address.host, () => {
      server.off('error', reject)
      // as in network.ts: a failed accept costs one connection
      server.on('error', () => undefined)
      resolve(listenerOf(server))
    })
  })
}

const listenerOf = (server: Server): Listener => {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('the listener has no TCP address')
  return {
    address: { host: bound.address, port: bound.port },
    close: async () => {
      server.close()
      server.closeIdleConnections()
    },
  }
}

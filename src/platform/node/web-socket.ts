import { createServer, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { WebSocket, WebSocketServer } from 'ws'
import type { Connection, ListenAddress } from '../network.ts'
import type { OnConnection, WebSocketOptions } from '../stream-server.ts'
import type { Arrival } from './arrival.ts'
import type { Ends } from './network.ts'

const unsupportedFrame = 1003
const normalClosure = 1000
const badRequest = 'HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n'

class WebSocketConnection implements Connection {
  readonly remote: string
  readonly local: ListenAddress
  readonly #socket: WebSocket
  #error: Error | undefined
  #drained: () => void = () => {}

  constructor(socket: WebSocket, { remote, local }: Ends) {
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

/** The upgrades of one listener: HTTP on streams that somebody else accepted. A connection that is through goes to `onConnection`. */
export class WebSocketUpgrades {
  readonly #server = createServer()
  readonly #sockets: WebSocketServer
  readonly #subprotocol: string
  readonly #onConnection: OnConnection
  readonly #underWay = new WeakMap<Duplex, Arrival>()

  /** `ws` is loaded only where there is such a listener. */
  static async open(options: WebSocketOptions, onConnection: OnConnection): Promise<WebSocketUpgrades> {
    const { WebSocketServer: Server } = await import('ws')
    // compression would cost memory per connection, and payloads of devices are small
    const sockets = new Server({ noServer: true, maxPayload: options.maxFrameBytes, perMessageDeflate: false })
    return new WebSocketUpgrades(sockets, options, onConnection)
  }

  private constructor(sockets: WebSocketServer, { subprotocol }: WebSocketOptions, onConnection: OnConnection) {
    this.#sockets = sockets
    this.#subprotocol = subprotocol
    this.#onConnection = onConnection
    sockets.options.handleProtocols = () => subprotocol
    sockets.on('wsClientError', (error, stream) => this.#refuse(stream, error.message))
    this.#server.on('request', (request, response) => {
      const answer = (): void => {
        response.writeHead(426, { 'content-type': 'text/plain', connection: 'close' }).end('WebSocket only\n')
      }
      this.#underWay.get(request.socket)?.refuse('websocket', 'a request that is no upgrade', answer)
    })
    this.#server.on('clientError', (error, stream) => this.#refuse(stream, error.message))
    this.#server.on('upgrade', (request, stream, head) => this.#upgrade(request, stream, head))
  }

  /** `stream`: of the arrival, or the TLS socket around it. */
  begin(stream: Socket, arrival: Arrival): void {
    arrival.stage = 'websocket'
    arrival.whyClosed = 'the client closed the connection before it was upgraded'
    this.#underWay.set(stream, arrival)
    this.#server.emit('connection', stream)
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const arrival = this.#underWay.get(stream)
    stream.on('error', () => stream.destroy())
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map(text => text.trim())
    if (!offered.includes(this.#subprotocol)) {
      this.#refuse(stream, `the client does not offer the subprotocol ${this.#subprotocol}`)
      return
    }
    this.#sockets.handleUpgrade(request, stream, head, webSocket => {
      if (arrival?.settle()) this.#onConnection(new WebSocketConnection(webSocket, arrival.ends), arrival.refusal)
      else webSocket.terminate()
    })
  }

  #refuse(stream: Duplex, why: string): void {
    this.#underWay.get(stream)?.refuse('websocket', why, () => stream.end(badRequest, () => stream.destroy()))
  }
}

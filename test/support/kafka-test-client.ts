import { connect, type Socket } from 'node:net'
import {
  type AnyApi,
  decodeResponse,
  encodeRequest,
  type RequestInputOf,
  type ResponseOf,
} from '../../src/wire/kafka/api.ts'
import { FrameSplitter } from '../../src/wire/kafka/frames.ts'

type Waiter = { resolve(frame: Buffer): void; reject(error: Error): void }

/** A bare client: one socket, any API at any version, frames in order; requests may be pipelined. */
export class KafkaTestClient {
  readonly socket: Socket
  readonly closed: Promise<void>
  readonly #splitter = new FrameSplitter(1 << 30)
  readonly #waiters: Waiter[] = []
  #correlationId = 0

  static connect(port: number, host = '127.0.0.1'): Promise<KafkaTestClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new KafkaTestClient(socket))
      })
    })
  }

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => undefined)
    socket.on('data', chunk => {
      for (const frame of this.#splitter.push(chunk)) this.#waiters.shift()?.resolve(frame)
    })
    this.closed = new Promise(resolve => {
      socket.once('close', () => {
        for (const waiter of this.#waiters.splice(0)) waiter.reject(new Error('connection closed'))
        resolve()
      })
    })
  }

  /** Resolves with the decoded answer; rejects when the connection closes first. */
  async request<A extends AnyApi>(api: A, version: number, body: RequestInputOf<A>): Promise<ResponseOf<A>> {
    const correlationId = this.send(api, version, body)
    const answer = decodeResponse(api, version, await this.frame())
    if (answer.correlationId !== correlationId)
      throw new Error(`answer to ${answer.correlationId}, not ${correlationId}`)
    return answer.body
  }

  /** Sends without waiting (acks 0, pipelines); returns the correlation id. */
  send<A extends AnyApi>(api: A, version: number, body: RequestInputOf<A>): number {
    const correlationId = this.#correlationId++
    this.socket.write(Buffer.concat(encodeRequest(api, version, { correlationId, clientId: 'test' }, body)))
    return correlationId
  }

  /** The next frame, without its size. */
  frame(): Promise<Buffer> {
    if (this.socket.destroyed) return Promise.reject(new Error('connection closed'))
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  destroy(): void {
    this.socket.destroy()
  }
}

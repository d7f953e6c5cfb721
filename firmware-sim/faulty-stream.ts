import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { DelayLine, type LinkConditions } from './delay-line.ts'
import type { Random } from './random.ts'

/** Bytes under way in one direction before the sender has to wait: a small device's send buffer. */
const maxUnderWayBytes = 65_536

export interface FaultyStreamOptions {
  readonly conditions: LinkConditions
  readonly random: Random
  readonly now: () => number
  readonly dial: () => Socket
  /** True when the link is silent at the moment: then it dials only after `thaw`. */
  readonly isStalled: boolean
}

/** A real socket behind a bad link: what is written to the one comes out of the other late, or never. */
export class FaultyStream extends Duplex {
  private readonly up: DelayLine
  private readonly down: DelayLine
  private readonly dial: () => Socket
  private socket: Socket | undefined
  private upBytes = 0
  private downBytes = 0
  private waiting: (() => void) | undefined

  constructor({ conditions, random, now, dial, isStalled }: FaultyStreamOptions) {
    super()
    const giveUp = () => this.destroy(Object.assign(new Error('too many segments lost'), { code: 'ETIMEDOUT' }))
    this.up = new DelayLine(conditions, random.split('up'), now, giveUp)
    this.down = new DelayLine(conditions, random.split('down'), now, giveUp)
    this.dial = dial
    if (isStalled) this.freeze()
    else this.connect()
  }

  /** The link goes silent: bytes stay under way in both directions, and no end sees why. */
  freeze(): void {
    this.up.freeze()
    this.down.freeze()
  }

  thaw(): void {
    if (this.socket === undefined && !this.destroyed) this.connect()
    this.up.thaw()
    this.down.thaw()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.upBytes += chunk.length
    this.up.send(chunk.length, () => {
      this.upBytes -= chunk.length
      this.socket?.write(chunk)
      this.waiting?.()
      this.waiting = undefined
    })
    if (this.upBytes < maxUnderWayBytes) done()
    else this.waiting = done
  }

  override _final(done: (error?: Error | null) => void): void {
    this.up.send(0, () => {
      this.socket?.end()
      done()
    })
  }

  override _read(): void {
    this.socket?.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.up.clear()
    this.down.clear()
    this.socket?.destroy()
    done(error)
  }

  private connect(): void {
    const socket = this.dial()
    this.socket = socket
    socket.on('data', chunk => this.receive(chunk))
    socket.on('end', () => this.down.send(0, () => this.push(null)))
    socket.on('error', error => this.destroy(error))
    socket.on('close', () => this.down.send(0, () => this.destroy()))
  }

  private receive(chunk: Buffer): void {
    this.downBytes += chunk.length
    if (this.downBytes >= maxUnderWayBytes) this.socket?.pause()
    this.down.send(chunk.length, () => {
      this.downBytes -= chunk.length
      if (this.push(chunk) && this.downBytes < maxUnderWayBytes) this.socket?.resume()
    })
  }
}

import type { ReadGate } from '../broker/read-gate.ts'
import type { RefusalLog } from '../broker/refusal-log.ts'
import { AssertionError } from '../core/assert.ts'
import { MalformedFrame } from '../core/malformed-frame.ts'
import type { Metrics } from '../core/metrics.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Connection, ListenAddress } from '../platform/network.ts'
import { FrameSplitter } from '../wire/kafka/frames.ts'
import { CloseConnection, type RefusalReason } from './errors.ts'
import type { Peer } from './handler.ts'
import type { ResponseShare } from './response-share.ts'
import type { Router } from './router.ts'

/** A connection with more than this in its pipeline is not read. One frame may exceed it, up to `socket.request.max.bytes`. */
const maxPipelinedBytes = 4 << 20
/** Requests received and not answered. */
const maxPipelinedRequests = 256
/** While more than this waits in the socket, the peer is a slow reader: nothing is read from it and nothing new is started. */
const maxPendingBytes = 256 << 10
/** Half a request that waits for memory this long is given up, and so are answers that nobody reads: they hold what others wait for. */
const memoryPatienceMs = 30_000

export interface ConnectionParts {
  readonly router: Router
  readonly clock: Clock
  readonly metrics: Metrics
  readonly gate: ReadGate
  readonly responses: ResponseShare
  readonly refusals: RefusalLog<RefusalReason>
  readonly maxRequestBytes: number
  readonly maxIdleMs: number
}

/** A request under way: answers leave in the order of the requests. */
interface Slot {
  readonly requestBytes: number
  answer: Buffer[] | undefined
  answerBytes: number
  answered: boolean
}

/**
 * One Kafka client: frames in, answers out in order. A request starts when the one before it is answered or lets it (see
 * `RequestContext.startNext`). All that the peer makes us hold is accounted in `memory.budget`.
 */
export class KafkaConnection implements Peer {
  readonly clientHost: string
  readonly advertised: ListenAddress
  readonly #connection: Connection
  readonly #parts: ConnectionParts
  readonly #splitter: FrameSplitter
  readonly #onEnd: () => void
  readonly #frames: Buffer[] = []
  readonly #slots: Slot[] = []
  readonly #gone = new Set<() => void>()
  readonly #resume = (): void => this.#memoryRelieved()
  #queuedBytes = 0
  #runningBytes = 0
  #answerBytes = 0
  #accountedRequestBytes = 0
  #accountedAnswerBytes = 0
  #starting = false
  #paused = false
  #draining = false
  #closed = false
  #patience: Timer | undefined
  #lastActiveMs: number

  /** `onEnd` is called once, when the connection is gone and nothing of it is held. */
  constructor(connection: Connection, advertised: ListenAddress, parts: ConnectionParts, onEnd: () => void) {
    this.#connection = connection
    this.#parts = parts
    this.#onEnd = onEnd
    this.advertised = advertised
    this.clientHost = `/${connection.remote.slice(0, connection.remote.lastIndexOf(':'))}`
    this.#splitter = new FrameSplitter(parts.maxRequestBytes)
    this.#lastActiveMs = parts.clock.monotonicMs()
    connection.onData(chunk => this.#receive(chunk))
    connection.onDrain(() => this.#drained())
    connection.onClose(() => this.#end())
    this.#updateReading()
  }

  onGone(callback: () => void): () => void {
    this.#gone.add(callback)
    return () => this.#gone.delete(callback)
  }

  /**
   * Closes the connection when nothing was heard of the peer for too long; a request that waits here is no silence. While others wait for
   * memory, a peer that takes no answers has less time.
   */
  closeIfIdle(nowMs: number): void {
    const takesNothing = this.#connection.pendingBytes > 0 && nowMs - this.#lastActiveMs > memoryPatienceMs
    if (takesNothing && (this.#parts.gate.awaited || this.#parts.responses.exhausted)) {
      this.refuse('memory', 'answers wait too long for a peer that does not read, and others wait for the memory')
      return
    }
    const waitsForUs = this.#slots.length > 0 && this.#connection.pendingBytes === 0
    if (waitsForUs || nowMs - this.#lastActiveMs <= this.#parts.maxIdleMs) return
    this.refuse('idle', 'no request and no progress for connections.max.idle.ms')
  }

  /** Starts nothing new, answers what is under way, then closes. */
  drain(): void {
    this.#draining = true
    this.#tellGone()
    this.#updateReading()
    if (this.#slots.length === 0) this.#connection.end()
  }

  refuse(reason: RefusalReason, why: string): void {
    if (this.#closed) return
    this.#parts.refusals.refused(reason, { remote: this.#connection.remote, why })
    this.destroy()
  }

  destroy(): void {
    this.#connection.destroy()
    this.#end()
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return
    this.#lastActiveMs = this.#parts.clock.monotonicMs()
    this.#parts.metrics.add('kafkaBytesIn', chunk.length)
    try {
      for (const frame of this.#splitter.push(chunk)) {
        this.#frames.push(frame)
        this.#queuedBytes += frame.length
      }
    } catch (error) {
      this.#failed(error)
      return
    }
    this.#run()
  }

  /** Starts what may start. */
  #run(): void {
    while (!this.#starting && this.#mayStart()) this.#start(this.#frames.shift()!)
    this.#updateReading()
  }

  #mayStart(): boolean {
    if (this.#frames.length === 0 || this.#closed || this.#draining) return false
    return this.#connection.pendingBytes <= maxPendingBytes && this.#slots.length < maxPipelinedRequests
  }

  #start(frame: Buffer): void {
    const slot: Slot = { requestBytes: frame.length, answer: undefined, answerBytes: 0, answered: false }
    this.#slots.push(slot)
    this.#queuedBytes -= frame.length
    this.#runningBytes += frame.length
    this.#starting = true
    let letNext = true
    const startNext = (): void => {
      if (!letNext) return
      letNext = false
      this.#starting = false
      this.#run()
    }
    this.#parts.router.serve(frame, this, startNext).then(
      answer => {
        this.#answered(slot, answer)
        startNext()
        // also where the next one had started long ago: there is room again
        this.#run()
      },
      (error: unknown) => this.#failed(error),
    )
  }

  #answered(slot: Slot, answer: Buffer[] | undefined): void {
    if (this.#closed) return
    this.#lastActiveMs = this.#parts.clock.monotonicMs()
    slot.answered = true
    slot.answer = answer
    for (const chunk of answer ?? []) slot.answerBytes += chunk.length
    this.#answerBytes += slot.answerBytes
    while (this.#slots[0]?.answered) this.#send(this.#slots.shift()!)
    this.#account()
    if (this.#draining && this.#slots.length === 0) this.#connection.end()
  }

  #send({ answer, answerBytes, requestBytes }: Slot): void {
    this.#runningBytes -= requestBytes
    this.#answerBytes -= answerBytes
    if (answer === undefined) return
    this.#parts.metrics.add('kafkaBytesOut', answerBytes)
    this.#connection.write(answer)
  }

  #failed(error: unknown): void {
    if (error instanceof MalformedFrame) this.refuse('malformed', error.message)
    else if (error instanceof CloseConnection) this.refuse(error.reason, error.message)
    else if (error instanceof AssertionError) throw error
    else this.refuse('internal', error instanceof Error ? (error.stack ?? error.message) : String(error))
  }

  #drained(): void {
    if (this.#closed) return
    this.#lastActiveMs = this.#parts.clock.monotonicMs()
    this.#run()
  }

  #memoryRelieved(): void {
    this.#patience?.cancel()
    this.#patience = undefined
    this.#run()
  }

  #updateReading(): void {
    this.#account()
    if (this.#closed) return
    const pause = this.#draining || this.#isFull() || this.#waitsForMemory()
    if (pause === this.#paused) return
    this.#paused = pause
    if (pause) this.#connection.pause()
    else this.#connection.resume()
  }

  #isFull(): boolean {
    return (
      this.#queuedBytes + this.#runningBytes > maxPipelinedBytes ||
      this.#frames.length + this.#slots.length > maxPipelinedRequests ||
      this.#connection.pendingBytes > maxPendingBytes
    )
  }

  #waitsForMemory(): boolean {
    if (!this.#parts.gate.closed) return false
    if (this.#patience === undefined) {
      this.#parts.gate.park(this.#resume)
      this.#patience = this.#parts.clock.after(memoryPatienceMs, () => this.#outOfPatience())
    }
    return true
  }

  #outOfPatience(): void {
    if (this.#splitter.bufferedBytes > 0) this.refuse('memory', 'half a request waited too long for memory.budget')
  }

  #account(): void {
    const requestBytes = this.#closed ? 0 : this.#splitter.bufferedBytes + this.#queuedBytes + this.#runningBytes
    const answerBytes = this.#closed ? 0 : this.#answerBytes + this.#connection.pendingBytes
    const moreRequestBytes = requestBytes - this.#accountedRequestBytes
    const moreAnswerBytes = answerBytes - this.#accountedAnswerBytes
    // first, because giving memory back can wake connections, this one too
    this.#accountedRequestBytes = requestBytes
    this.#accountedAnswerBytes = answerBytes
    if (moreRequestBytes > 0) this.#parts.gate.memory.take(moreRequestBytes)
    else if (moreRequestBytes < 0) this.#parts.gate.memory.give(-moreRequestBytes)
    if (moreAnswerBytes !== 0) this.#parts.responses.hold(moreAnswerBytes)
  }

  #tellGone(): void {
    const gone = [...this.#gone]
    this.#gone.clear()
    for (const callback of gone) callback()
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#frames.length = 0
    this.#slots.length = 0
    this.#patience?.cancel()
    this.#parts.gate.forget(this.#resume)
    this.#account()
    this.#tellGone()
    this.#onEnd()
  }
}

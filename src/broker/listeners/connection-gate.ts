import { TokenBucket } from '../../core/token-bucket.ts'
import type { Clock } from '../../platform/clock.ts'
import type { ConnectionGate, ConnectionRefusal } from '../../platform/stream-server.ts'

export interface ConnectionLimits {
  /** Where they stand, for the log line: `mqtt.`, or a URL. */
  readonly name: string
  readonly connections: number
  /** From one address; clients of Unix sockets have none. */
  readonly perAddress: number
  readonly newPerSecond: number
}

/** Connections of a front, or of one listener, held against its limits. Their number bounds what it keeps. */
export class ConnectionCount {
  readonly #limits: ConnectionLimits
  readonly #rate: TokenBucket
  readonly #byAddress = new Map<string, number>()
  #open = 0

  constructor(limits: ConnectionLimits) {
    this.#limits = limits
    this.#rate = new TokenBucket(limits.newPerSecond)
  }

  /** Why one more is too many. */
  refusal(host: string, nowMs: number): ConnectionRefusal | undefined {
    const { name, connections, perAddress, newPerSecond } = this.#limits
    if (this.#open >= connections)
      return { reason: 'connections.max', why: `${name} has ${connections} connections`, mayBeTold: true }
    if (host !== '' && (this.#byAddress.get(host) ?? 0) >= perAddress)
      return {
        reason: 'address.connections.max',
        why: `${name} has ${perAddress} connections from this address`,
        mayBeTold: true,
      }
    if (this.#rate.waitMs(nowMs) > 0)
      return {
        reason: 'connection.rate.max',
        why: `${name} had ${newPerSecond} new connections within a second`,
        mayBeTold: false,
      }
    return undefined
  }

  add(host: string): void {
    this.#open++
    this.#rate.take(1)
    if (host !== '') this.#byAddress.set(host, (this.#byAddress.get(host) ?? 0) + 1)
  }

  remove(host: string): void {
    this.#open--
    const left = (this.#byAddress.get(host) ?? 0) - 1
    if (left > 0) this.#byAddress.set(host, left)
    else this.#byAddress.delete(host)
  }
}

/** The gate of one listener: a connection must fit into all the counts that it is part of. */
export class CountingGate implements ConnectionGate {
  readonly #counts: readonly ConnectionCount[]
  readonly #clock: Clock

  constructor(counts: readonly ConnectionCount[], clock: Clock) {
    this.#counts = counts
    this.#clock = clock
  }

  enter(host: string): ConnectionRefusal | undefined {
    const nowMs = this.#clock.monotonicMs()
    for (const count of this.#counts) {
      const refusal = count.refusal(host, nowMs)
      if (refusal !== undefined) return refusal
    }
    for (const count of this.#counts) count.add(host)
    return undefined
  }

  leave(host: string): void {
    for (const count of this.#counts) count.remove(host)
  }
}

import { systemErrorText } from '../core/system-error.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Connection, ListenAddress, Network } from '../platform/network.ts'
import { type AnyApi, decodeResponse, encodeRequest, type RequestInputOf, type ResponseOf } from '../wire/kafka/api.ts'
import { apiVersions } from '../wire/kafka/contracts/api-versions.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import { UnencodableField } from '../wire/kafka/field.ts'
import { FrameSplitter } from '../wire/kafka/frames.ts'
import type { Credentials } from './credentials.ts'
import { ConnectionLost, checkCode, KafkaError } from './kafka-error.ts'
import { logIn } from './sasl.ts'

const maxFrameBytes = 100 << 20
const softwareName = 'brooklet'
const correlationIdBytes = 4
/** A peer that does not close its side within this time is cut off. */
const closeMs = 1_000
/** A login is renewed after this share of its life, and once a day at least. */
const loginShare = 0.85
const longestLoginMs = 86_400_000
/** What a TLS server says to someone who does not speak it: an alert (RFC 8446, section 5.1). */
const tlsAlert = Buffer.of(0x15, 0x03)

export interface ConnectOptions {
  readonly clientId: string
  readonly connectTimeoutMs: number
  /** After this without a byte of an answer that is due the connection counts as dead (a black hole does not reset). */
  readonly requestTimeoutMs: number
  /** Shown to the broker (KIP-511). */
  readonly softwareVersion: string
  /** Absent: neither TLS nor login. */
  readonly credentials?: Credentials
  /** Hears of the bytes of each request. */
  readonly countSent?: (bytes: number) => void
}

/** The body, or what makes it for a version: fields that a version lacks must be left out. */
export type RequestBody<A extends AnyApi> = RequestInputOf<A> | ((version: number) => RequestInputOf<A>)

interface Waiting {
  readonly api: AnyApi
  readonly version: number
  readonly correlationId: number
  timer: Timer
  resolve(body: unknown): void
  reject(error: Error): void
}

/** One connection to one broker: versions negotiated, requests answered in order, any failure ends it for all who wait. */
export class BrokerConnection {
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #options: ConnectOptions
  readonly #address: string
  readonly #splitter = new FrameSplitter(maxFrameBytes)
  readonly #waiting: Waiting[] = []
  readonly #ranges = new Map<number, { readonly min: number; readonly max: number }>()
  /** Finalized levels of the cluster's features (KIP-584). */
  readonly #features = new Map<string, number>()
  #correlationId = 0
  /** When the last bytes came; monotonic. */
  #heardMs = Number.NEGATIVE_INFINITY
  #failure: ConnectionLost | undefined
  #loginTimer: Timer | undefined
  /** While a login is renewed; what is asked meanwhile waits for its end (KIP-368). */
  #renewal: Promise<void> | undefined
  #onQuiet: () => void = () => undefined

  /** Connects, asks for the versions and logs in. Rejects with `ConnectionLost` or `CredentialsMissing`, with `KafkaError` when the login is refused. */
  static async open(
    network: Network,
    clock: Clock,
    address: ListenAddress,
    options: ConnectOptions,
  ): Promise<BrokerConnection> {
    const name = `${address.host}:${address.port}`
    const tls = await options.credentials?.trust()
    let stream: Connection
    try {
      stream = await network.connect(address, options.connectTimeoutMs, tls)
    } catch (error) {
      throw new ConnectionLost(`cannot connect to ${name}: ${systemErrorText(error as Error)}`)
    }
    const connection = new BrokerConnection(stream, clock, name, options)
    try {
      await connection.#negotiate()
      await connection.#logIn()
    } catch (error) {
      connection.close()
      throw error
    }
    return connection
  }

  private constructor(connection: Connection, clock: Clock, address: string, options: ConnectOptions) {
    this.#connection = connection
    this.#clock = clock
    this.#address = address
    this.#options = options
    connection.onData(chunk => this.#receive(chunk))
    connection.onClose(error => this.#fail(error?.message ?? this.#whyClosed))
  }

  get usable(): boolean {
    return this.#failure === undefined
  }

  /** Does the broker serve the API at all? */
  serves(api: AnyApi): boolean {
    return this.#ranges.has(api.key)
  }

  /** The level at which the cluster has finalized the feature (KIP-584); 0 when it has not. */
  featureLevel(name: string): number {
    return this.#features.get(name) ?? 0
  }

  /** The newest version up to `newest` that both sides have. Throws `KafkaError` UNSUPPORTED_VERSION when there is none. */
  versionOf(api: AnyApi, newest = api.versions[1]): number {
    const range = this.#ranges.get(api.key)
    const version = Math.min(range?.max ?? -1, api.versions[1], newest)
    if (range !== undefined && version >= range.min && version >= api.versions[0]) return version
    const theirs = range === undefined ? 'none' : `${range.min} to ${range.max}`
    throw new KafkaError(
      errorCodes.UNSUPPORTED_VERSION,
      `${api.name} of ${this.#address}`,
      `it has versions ${theirs}, this client ${api.versions[0]} to ${newest}`,
    )
  }

  /**
   * Sends a request in the newest common version, at most `newest`, and resolves with its answer; `body` may depend on that version.
   * `extraMs`: time the broker may sit on it (long polls).
   */
  request<A extends AnyApi>(api: A, body: RequestBody<A>, extraMs = 0, newest?: number): Promise<ResponseOf<A>> {
    const version = this.versionOf(api, newest)
    const send = () => this.#send(api, version, typeof body === 'function' ? body(version) : body, extraMs)
    return this.#renewal === undefined ? send() : this.#renewal.then(send)
  }

  close(): void {
    this.#connection.end()
    this.#clock.after(closeMs, () => this.#connection.destroy())
    this.#fail('closed by us')
  }

  #send<A extends AnyApi>(api: A, version: number, body: RequestInputOf<A>, extraMs: number): Promise<ResponseOf<A>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const correlationId = this.#correlationId++
    const chunks = this.#encoded(api, version, correlationId, body)
    const limitMs = this.#options.requestTimeoutMs + extraMs
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(limitMs, () => this.#overdue(waiting, limitMs))
      const waiting = { api, version, correlationId, timer, resolve: resolve as (body: unknown) => void, reject }
      this.#waiting.push(waiting)
      this.#options.countSent?.(chunks.reduce((sum, { length }) => sum + length, 0))
      this.#connection.write(chunks)
    })
  }

  /** A large answer over a slow link may take long: as long as it comes, it is waited for. */
  #overdue(waiting: Waiting, limitMs: number): void {
    const leftMs = this.#heardMs + this.#options.requestTimeoutMs - this.#clock.monotonicMs()
    if (leftMs > 0) {
      waiting.timer = this.#clock.after(leftMs, () => this.#overdue(waiting, limitMs))
      return
    }
    this.#connection.destroy()
    this.#fail(`no answer to ${waiting.api.name} within ${limitMs} ms`)
  }

  /** What the protocol has no room for is the caller's to hear of, as if the broker had refused it. */
  #encoded<A extends AnyApi>(api: A, version: number, correlationId: number, body: RequestInputOf<A>): Buffer[] {
    try {
      return encodeRequest(api, version, { correlationId, clientId: this.#options.clientId }, body)
    } catch (error) {
      if (error instanceof UnencodableField) throw new KafkaError(errorCodes.INVALID_REQUEST, api.name, error.message)
      throw error
    }
  }

  /** Version 3 tells the broker our name; one that does not have it answers in version 0 with the versions that it has (KIP-511). */
  async #negotiate(): Promise<void> {
    const caller = { clientSoftwareName: softwareName, clientSoftwareVersion: this.#options.softwareVersion }
    const newest = await this.#send(apiVersions, 3, caller, 0)
    const older = newest.errorCode === errorCodes.UNSUPPORTED_VERSION
    const known = newest.apiKeys.find(({ apiKey }) => apiKey === apiVersions.key)
    const answer = older ? await this.#send(apiVersions, Math.min(2, known?.maxVersion ?? 0), {}, 0) : newest
    checkCode(answer.errorCode, `ApiVersions of ${this.#address}`)
    for (const { apiKey, minVersion, maxVersion } of answer.apiKeys)
      this.#ranges.set(apiKey, { min: minVersion, max: maxVersion })
    for (const { name, maxVersionLevel } of answer.finalizedFeatures) this.#features.set(name, maxVersionLevel)
  }

  async #logIn(): Promise<void> {
    const exchange = await this.#options.credentials?.exchange()
    if (exchange === undefined) return
    const ask = <A extends AnyApi>(api: A, body: RequestInputOf<A>) => this.#send(api, this.versionOf(api), body, 0)
    const lifetimeMs = await logIn(ask, exchange, this.#address).catch((error: unknown) => {
      if (isRefusedLogin(error)) this.#options.credentials?.refused()
      throw error
    })
    if (lifetimeMs <= 0) return
    const renewMs = Math.min(lifetimeMs * loginShare, longestLoginMs)
    this.#loginTimer = this.#clock.after(renewMs, () => this.#renewLogin())
  }

  /** Once all that is under way is answered. A login that is refused now ends the connection. */
  #renewLogin(): void {
    const quiet = new Promise<void>(resolve => {
      if (this.#waiting.length === 0) resolve()
      else this.#onQuiet = resolve
    })
    this.#renewal = quiet
      .then(() => this.#logIn())
      .catch((error: Error) => {
        this.#connection.destroy()
        this.#fail(error.message)
      })
      .finally(() => {
        this.#renewal = undefined
      })
  }

  get #whyClosed(): string {
    const hasSpoken = this.#ranges.size > 0
    return hasSpoken
      ? 'the broker closed it'
      : 'the broker closed it before it said a word: it may want TLS, or another certificate (security.protocol)'
  }

  #receive(chunk: Buffer): void {
    this.#heardMs = this.#clock.monotonicMs()
    if (this.#ranges.size === 0 && chunk.subarray(0, tlsAlert.length).equals(tlsAlert)) {
      this.#connection.destroy()
      this.#fail('the broker speaks TLS there: security.protocol is to be SSL or SASL_SSL')
      return
    }
    try {
      for (const frame of this.#splitter.push(chunk)) this.#answer(frame)
    } catch (error) {
      this.#connection.destroy()
      this.#fail(`cannot be understood: ${(error as Error).message}`)
    }
  }

  #answer(frame: Buffer): void {
    const waiting = this.#waiting[0]
    if (waiting === undefined) throw new Error('an answer to nothing')
    const refused =
      waiting.api === apiVersions && frame.readInt16BE(correlationIdBytes) === errorCodes.UNSUPPORTED_VERSION
    const { correlationId, body } = decodeResponse(waiting.api, refused ? 0 : waiting.version, frame)
    if (correlationId !== waiting.correlationId)
      throw new Error(`answer ${correlationId} where ${waiting.correlationId} was due`)
    this.#waiting.shift()
    waiting.timer.cancel()
    waiting.resolve(body)
    if (this.#waiting.length === 0) this.#onQuiet()
  }

  #fail(reason: string): void {
    if (this.#failure !== undefined) return
    this.#failure = new ConnectionLost(`connection to ${this.#address}: ${reason}`)
    this.#loginTimer?.cancel()
    this.#onQuiet()
    for (const { timer, reject } of this.#waiting.splice(0)) {
      timer.cancel()
      reject(this.#failure)
    }
  }
}

const isRefusedLogin = (error: unknown): boolean =>
  error instanceof KafkaError && error.code === errorCodes.SASL_AUTHENTICATION_FAILED

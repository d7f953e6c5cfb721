import { errorCodeName, errorCodes, isRetriableCode } from '../wire/kafka/error-codes.ts'

/** A broker answered with an error code. */
export class KafkaError extends Error {
  override name = 'KafkaError'
  readonly code: number

  /** `about`: the request and what it was for; `detail`: the broker's own words, when it sent any. */
  constructor(code: number, about: string, detail?: string | null) {
    super(`${about}: ${errorCodeName(code)}${detail ? ` (${detail})` : ''}`)
    this.code = code
  }

  /** The same request may succeed later, after metadata or coordinator were asked for again. */
  get retriable(): boolean {
    return isRetriableCode(this.code)
  }
}

/** The connection is gone or was never there; what was asked may or may not have been done. */
export class ConnectionLost extends Error {
  override name = 'ConnectionLost'
}

/** A certificate, key or token for the connection cannot be read or fetched, in words for the user. */
export class CredentialsMissing extends Error {
  override name = 'CredentialsMissing'
}

/** A batch that was fetched cannot be read; whoever wants what comes after it must go on behind it. */
export class UnreadableBatch extends Error {
  override name = 'UnreadableBatch'
  /** Offsets of the batch, from the one that was wanted on; undefined where they cannot be told. */
  readonly span: OffsetSpan | undefined

  constructor(message: string, span?: OffsetSpan) {
    super(message)
    this.span = span
  }
}

export interface OffsetSpan {
  readonly first: number
  readonly last: number
}

/** Errors that are nobody's bug here: one line tells the user. */
export type ClientError = KafkaError | ConnectionLost | CredentialsMissing | UnreadableBatch

export const isClientError = (error: unknown): error is ClientError =>
  [KafkaError, ConnectionLost, CredentialsMissing, UnreadableBatch].some(kind => error instanceof kind)

/** The same may succeed later without anyone changing it. */
export const isTransient = (error: unknown): boolean =>
  error instanceof ConnectionLost || (error instanceof KafkaError && error.retriable)

/** Counts as transient in Kafka: metadata may be late. Where the cluster was asked, the topic is not there. */
export const isUnknownTopic = (error: unknown): boolean =>
  error instanceof KafkaError && error.code === errorCodes.UNKNOWN_TOPIC_OR_PARTITION

/** Throws unless the code is NONE. */
export const checkCode = (code: number, about: string, detail?: string | null): void => {
  if (code !== errorCodes.NONE) throw new KafkaError(code, about, detail)
}

import type { ErrorKind } from '../core/errors.ts'
import type { ListenAddress } from '../platform/network.ts'
import {
  type AnyApi,
  decodeRequest,
  encodeResponse,
  type RequestOf,
  type ResponseInputOf,
  supportsVersion,
} from '../wire/kafka/api.ts'
import { type Refusal, refusalOf, refusedKind } from './errors.ts'
import type { Services } from './services.ts'

/** The connection as a handler sees it. */
export interface Peer {
  /** Kafka's form of the client's address: `/127.0.0.1`. */
  readonly clientHost: string
  /** Where clients of this listener reach the gateway. */
  readonly advertised: ListenAddress
  /** Calls back when nobody waits for answers any more, or the gateway stops; returns what takes it back. */
  onGone(callback: () => void): () => void
}

/** One API as ApiVersions shows it. */
export interface ServedRange {
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
}

/** What surrounds one request. */
export interface RequestContext {
  readonly services: Services
  readonly peer: Peer
  /** Everything that is registered. */
  readonly served: readonly ServedRange[]
  readonly version: number
  /** '' when the request has none. */
  readonly clientId: string
  /** The next request of the connection may start. By default it starts when this one is answered. */
  startNext(): void
  /** The answer for an expected failure; a bug is thrown on. */
  refusal(error: unknown): Refusal
  /** The code of a failure that came as part of a result; 0 for none. */
  codeOf(kind: ErrorKind | undefined): number
}

/** What a handler returns when the protocol has no answer (Produce with acks 0). */
export const noResponse = Symbol('no response')

export type Handler<A extends AnyApi> = (
  request: RequestOf<A>,
  context: RequestContext,
) => ResponseInputOf<A> | typeof noResponse | Promise<ResponseInputOf<A> | typeof noResponse>

/** A frame to serve, its header already looked at. */
export interface RawRequest {
  readonly frame: Buffer
  readonly apiVersion: number
  readonly correlationId: number
}

type Surroundings = Pick<RequestContext, 'services' | 'peer' | 'served' | 'startNext'>

export interface RegisteredHandler {
  readonly api: AnyApi
  supports(version: number): boolean
  /** The encoded answer; undefined when there is none. Rejects with MalformedFrame, CloseConnection, or a bug. */
  serve(request: RawRequest, surroundings: Surroundings): Promise<Buffer[] | undefined>
}

/** Ties a contract to the function that serves all its versions. */
export function defineHandler<A extends AnyApi>(api: A, handle: Handler<A>): RegisteredHandler {
  return {
    api,
    supports: version => supportsVersion(api, version),
    async serve({ frame, apiVersion, correlationId }, surroundings) {
      const { header, body } = decodeRequest(api, frame)
      const { metrics } = surroundings.services.broker
      const response = await handle(body, {
        ...surroundings,
        version: apiVersion,
        clientId: header.clientId ?? '',
        refusal: error => refusalOf(error, metrics),
        codeOf: kind => (kind === undefined ? 0 : refusedKind(kind, metrics)),
      })
      metrics.add('kafkaRequests', 1, api.name)
      return response === noResponse ? undefined : encodeResponse(api, apiVersion, correlationId, response)
    },
  }
}

import { encodeResponse } from '../wire/kafka/api.ts'
import { apiVersions } from '../wire/kafka/contracts/index.ts'
import { errorCodes } from '../wire/kafka/error-codes.ts'
import { peekRequestHeader } from '../wire/kafka/header.ts'
import { CloseConnection } from './errors.ts'
import type { Peer, RegisteredHandler, ServedRange } from './handler.ts'
import type { Services } from './services.ts'

/** Finds the handler of a request. What is registered here is what ApiVersions says: there is no second list. */
export class Router {
  readonly #services: Services
  readonly #handlers = new Map<number, RegisteredHandler>()
  readonly served: readonly ServedRange[]

  constructor(services: Services, handlers: readonly RegisteredHandler[]) {
    this.#services = services
    for (const handler of handlers) this.#handlers.set(handler.api.key, handler)
    this.served = [...this.#handlers.values()].map(rangeOf).sort((one, other) => one.apiKey - other.apiKey)
  }

  /**
   * Serves one request frame; resolves with the encoded answer, or undefined when the protocol has none. `startNext` is called as soon as
   * the next request may start, at the latest when this one is answered. Rejects with MalformedFrame or CloseConnection.
   */
  async serve(frame: Buffer, peer: Peer, startNext: () => void): Promise<Buffer[] | undefined> {
    const { apiKey, apiVersion, correlationId } = peekRequestHeader(frame)
    const handler = this.#handlers.get(apiKey)
    if (handler?.supports(apiVersion)) {
      const surroundings = { services: this.#services, peer, served: this.served, startNext }
      return handler.serve({ frame, apiVersion, correlationId }, surroundings)
    }
    if (handler?.api === apiVersions) return answerInOldest(handler, correlationId)
    const name = handler?.api.name ?? `API key ${apiKey}`
    throw new CloseConnection('unsupported', `${name} version ${apiVersion} is not served`)
  }
}

/** A client newer than we are cannot know a version that we have: it gets the oldest form with our range (KIP-511). */
function answerInOldest(handler: RegisteredHandler, correlationId: number): Buffer[] {
  return encodeResponse(apiVersions, 0, correlationId, {
    errorCode: errorCodes.UNSUPPORTED_VERSION,
    apiKeys: [rangeOf(handler)],
  })
}

function rangeOf({ api }: RegisteredHandler): ServedRange {
  return { apiKey: api.key, minVersion: api.advertisedMin, maxVersion: api.versions[1] }
}

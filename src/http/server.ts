import { AssertionError } from '../core/assert.ts'
import { BrokerError } from '../core/errors.ts'
import type { Metrics } from '../core/metrics.ts'
import type { HttpHandler, HttpResponse, ListenHttp } from '../platform/http-server.ts'
import type { Logger } from '../platform/logger.ts'
import type { ListenAddress, Listener } from '../platform/network.ts'
import type { TlsIdentity } from '../platform/tls-identity.ts'
import { type Answer, errorAnswer } from './endpoints.ts'
import { route } from './router.ts'
import type { GatewayStatus } from './status.ts'

/** A body is read and thrown away; nothing served here needs one. */
const MAX_BODY_BYTES = 64 * 1024

export interface HttpFrontParts {
  readonly listenHttp: ListenHttp
  readonly status: GatewayStatus
  readonly metrics: Metrics
  readonly logger: Logger
  /** `http.connections.max` */
  readonly maxConnections: number
  /** `http.request.timeout.ms` */
  readonly requestTimeoutMs: number
  /** Of this listener; absent: plain HTTP. */
  readonly tls?: TlsIdentity | undefined
}

/** Health, metrics, the API and the page at `/` on one address. Rejects with Node's `code` when it cannot bind. */
export async function listenHttpFront(address: ListenAddress, parts: HttpFrontParts): Promise<Listener> {
  const { listenHttp, metrics, logger, maxConnections, requestTimeoutMs, tls } = parts
  const options = { tls, maxConnections, requestTimeoutMs, maxBodyBytes: MAX_BODY_BYTES }
  return listenHttp(address, options, httpHandler(parts), reason => {
    metrics.add('httpRequests', 1, `refused: ${reason}`)
    logger.debug({ reason }, 'HTTP connection refused')
  })
}

/** Answers requests; a bug in a status function is that request's 500, with the cause in the log. */
function httpHandler({ status, metrics, logger }: Pick<HttpFrontParts, 'status' | 'metrics' | 'logger'>): HttpHandler {
  return async request => {
    let answer: Answer
    try {
      answer = await route(request, status)
    } catch (error) {
      // a broken invariant ends the process, also when a browser found it
      if (error instanceof AssertionError) throw error
      if (error instanceof BrokerError) answer = errorAnswer(503, error.message)
      else {
        logger.error({ target: request.target, error: String(error) }, 'HTTP request failed')
        answer = errorAnswer(500, 'this request failed; the log of the gateway says why')
      }
    }
    metrics.add('httpRequests', 1, String(answer.status))
    return response(answer)
  }
}

function response({ status, contentType, body, allow }: Answer): HttpResponse {
  const headers = {
    'content-type': contentType,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-security-policy':
      "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'",
  }
  return { status, headers: allow === undefined ? headers : { ...headers, allow }, body }
}

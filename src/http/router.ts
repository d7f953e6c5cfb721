import type { HttpRequest } from '../platform/http-server.ts'
import { type Answer, type Arguments, type Endpoint, endpoints, errorAnswer, JSON_TYPE } from './endpoints.ts'
import type { GatewayStatus } from './status.ts'

const allowedFor = { GET: ['GET', 'HEAD'], POST: ['POST'] } as const

/** The answer to a request; each refusal is JSON with one line. Throws only what the status throws. */
export async function route(request: HttpRequest, status: GatewayStatus): Promise<Answer> {
  const [pathname = '/', search = ''] = request.target.split(/\?(.*)/s)
  const found = findEndpoint(pathname)
  if (found === undefined) return errorAnswer(404, 'there is nothing at this path; GET / lists what is here')
  const allowed: readonly string[] = allowedFor[found.endpoint.method]
  if (!allowed.includes(request.method)) {
    const refusal = errorAnswer(405, `only ${allowed.join(' and ')} ${allowed.length > 1 ? 'are' : 'is'} served here`)
    return { ...refusal, allow: allowed.join(', ') }
  }
  const foreign = found.endpoint.method === 'POST' ? foreignness(request) : undefined
  if (foreign !== undefined) return foreign
  const query = new URLSearchParams(search)
  for (const [name, what] of Object.entries(found.endpoint.query ?? {})) {
    if ((query.get(name) ?? '') === '')
      return errorAnswer(400, `the query parameter ${name} is missing: ?${name}=${what}`)
  }
  return found.endpoint.answer(status, { path: found.path, query })
}

/**
 * Why a request that changes something may come from a page in somebody's browser (decision 061); undefined: it cannot. A browser always names the
 * origin of a POST, also to a name that now resolves to the gateway; and no form can send this content type.
 */
function foreignness({ origin, contentType = '' }: HttpRequest): Answer | undefined {
  if (origin !== undefined) return errorAnswer(403, 'requests of pages in a browser may not change anything here')
  const [type = ''] = contentType.split(';')
  if (type.trim().toLowerCase() === JSON_TYPE) return undefined
  return errorAnswer(415, `send it with the header Content-Type: ${JSON_TYPE}`)
}

function findEndpoint(pathname: string): { endpoint: Endpoint; path: Arguments['path'] } | undefined {
  const segments = pathname.split('/')
  for (const endpoint of endpoints) {
    const path = matchPath(endpoint.path.split('/'), segments)
    if (path !== undefined) return { endpoint, path }
  }
  return undefined
}

function matchPath(pattern: readonly string[], segments: readonly string[]): Arguments['path'] | undefined {
  if (pattern.length !== segments.length) return undefined
  const values: Record<string, string> = {}
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index] ?? ''
    const name = /^\{(\w+)\}$/.exec(expected)?.[1]
    if (name === undefined) {
      if (segment !== expected) return undefined
    } else {
      const decoded = decode(segment)
      if (decoded === undefined || decoded === '') return undefined
      values[name] = decoded
    }
  }
  return values
}

/** Undefined for broken percent encoding. */
function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}

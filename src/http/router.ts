import type { HttpRequest } from '../platform/http-server.ts'
import { type Answer, type Arguments, type Endpoint, endpoints, errorAnswer } from './endpoints.ts'
import type { GatewayStatus } from './status.ts'

const allowed = ['GET', 'HEAD']

/** The answer to a request; 404, 405 and 400 are JSON with one line. Throws only what the status throws. */
export async function route(request: HttpRequest, status: GatewayStatus): Promise<Answer> {
  const [pathname = '/', search = ''] = request.target.split(/\?(.*)/s)
  const found = findEndpoint(pathname)
  if (found === undefined) return errorAnswer(404, 'there is nothing at this path; GET / lists what is here')
  if (!allowed.includes(request.method)) return errorAnswer(405, 'only GET and HEAD are served here')
  const query = new URLSearchParams(search)
  for (const [name, what] of Object.entries(found.endpoint.query ?? {})) {
    if ((query.get(name) ?? '') === '')
      return errorAnswer(400, `the query parameter ${name} is missing: ?${name}=${what}`)
  }
  return found.endpoint.answer(status, { path: found.path, query })
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

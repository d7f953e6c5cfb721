import type { Endpoint } from './endpoints.ts'

const description =
  'One gateway. Every POST changes something, or uses the link: it needs the header Content-Type: application/json and must have no Origin header, so that ' +
  'no page in a browser can send it. Its body is ignored.'

/** OpenAPI 3.1 description of the endpoints; the schemas of the answers are left open in this version. */
export function openApiDescription(endpoints: readonly Endpoint[], version: string): object {
  const paths = endpoints.map(endpoint => [endpoint.path, { [endpoint.method.toLowerCase()]: operation(endpoint) }])
  return {
    openapi: '3.1.0',
    info: { title: 'Brooklet', version, description },
    paths: Object.fromEntries(paths),
    components: {
      schemas: {
        Error: { type: 'object', required: ['error'], properties: { error: { type: 'string' } } },
      },
    },
  }
}

function operation(endpoint: Endpoint): object {
  const inPath = [...endpoint.path.matchAll(/\{(\w+)\}/g)].map(match => parameter('path', match[1] ?? ''))
  const inQuery = Object.entries(endpoint.query ?? {}).map(([name, what]) => parameter('query', name, what))
  const [type = ''] = endpoint.contentType.split(';')
  const error = { content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } }
  return {
    summary: endpoint.summary,
    parameters: [...inPath, ...inQuery],
    responses: {
      200: { description: endpoint.summary, content: { [type]: {} } },
      ...(inPath.length > 0 ? { 404: { description: 'Not there', ...error } } : {}),
      ...(inQuery.length > 0 ? { 400: { description: 'A parameter is missing', ...error } } : {}),
      ...(endpoint.method === 'POST'
        ? {
            403: { description: 'A browser sent it', ...error },
            409: { description: 'Not now; the error says why', ...error },
            415: { description: 'Not sent as application/json', ...error },
          }
        : {}),
      ...(endpoint.path === '/readyz'
        ? { 503: { description: 'Not ready; the checks say why', content: { [type]: {} } } }
        : {}),
    },
  }
}

const parameter = (place: 'path' | 'query', name: string, description?: string): object => ({
  name,
  in: place,
  required: true,
  schema: { type: 'string' },
  ...(description === undefined ? {} : { description }),
})

import { request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { endpoints } from '../../../src/http/endpoints.ts'
import { listenHttpFront } from '../../../src/http/server.ts'
import type { Logger } from '../../../src/platform/logger.ts'
import type { Listener } from '../../../src/platform/network.ts'
import { listenHttp } from '../../../src/platform/node/http-server.ts'
import { FakeStatus } from './fake-status.ts'

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }

let status: FakeStatus
let listener: Listener
let base: string

const listen = (changes: { maxConnections?: number; requestTimeoutMs?: number } = {}) =>
  listenHttpFront(
    { host: '127.0.0.1', port: 0 },
    {
      listenHttp,
      status,
      metrics: status.metrics,
      logger: silent,
      maxConnections: 20,
      requestTimeoutMs: 5000,
      ...changes,
    },
  )

beforeEach(async () => {
  status = new FakeStatus()
  listener = await listen()
  base = `http://127.0.0.1:${listener.address.port}`
})
afterEach(() => listener.close())

const getJson = async (path: string) => {
  const response = await fetch(base + path)
  expect(response.headers.get('content-type')).toBe('application/json')
  return { status: response.status, body: (await response.json()) as never }
}

/** Sends raw bytes and gathers the answer until the server closes. */
const raw = (bytes: string | Buffer, port = listener.address.port): Promise<string> =>
  new Promise(resolve => {
    let answer = ''
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', chunk => {
      answer += chunk
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
  })

describe('health', () => {
  test('healthz says ok, readyz shows its checks', async () => {
    expect(await (await fetch(`${base}/healthz`)).text()).toBe('ok\n')
    expect(await getJson('/readyz')).toEqual({ status: 200, body: status.ready })
  })

  test('readyz is 503 with the reason when the log cannot be written', async () => {
    status.ready = { ready: false, checks: [{ name: 'log', ok: false, detail: 'a sync failed: restart' }] }
    expect(await getJson('/readyz')).toEqual({ status: 503, body: status.ready })
  })

  test('metrics are in the text format of Prometheus', async () => {
    const response = await fetch(`${base}/metrics`)
    expect(response.headers.get('content-type')).toContain('version=0.0.4')
    expect(await response.text()).toContain('# TYPE brooklet_http_requests_total counter')
  })
})

describe('API', () => {
  test('every endpoint of the table answers, and is in the OpenAPI description', async () => {
    const { body } = await getJson('/api/v1/openapi.json')
    const described = Object.keys((body as { paths: object }).paths)
    expect(described).toEqual(endpoints.map(endpoint => endpoint.path))
    for (const { path, query } of endpoints.filter(({ method }) => method === 'GET')) {
      const filled = path.replace('{name}', 'sensors%20%26%20%3Cco%3E')
      const response = await fetch(`${base}${filled}${query === undefined ? '' : '?topic=sensors'}`)
      expect([path, response.status]).toEqual([path, path.includes('{id}') ? 404 : 200])
      await response.arrayBuffer()
    }
  })

  test('a topic is found by its percent-encoded name', async () => {
    const { status: code, body } = await getJson('/api/v1/topics/sensors%20%26%20%3Cco%3E')
    expect(code).toBe(200)
    expect(body).toEqual(status.topic('sensors & <co>'))
  })

  test('unknown topics, groups and paths are 404 with one line', async () => {
    for (const path of [
      '/api/v1/topics/none',
      '/api/v1/groups/none',
      '/api/v2',
      '/api/v1/topics/',
      '/api/v1/topics/%zz',
    ]) {
      const { status: code, body } = await getJson(path)
      expect(code).toBe(404)
      expect((body as { error: string }).error).toMatch(/^there is no[^\n]+$/)
    }
  })

  test('routes asks for its parameter and decodes it', async () => {
    expect((await getJson('/api/v1/routes')).status).toBe(400)
    expect((await getJson('/api/v1/routes?topic=a%2Fb%3Fc')).body).toMatchObject({ mqttTopic: 'a/b?c' })
  })

  test('other methods are 405, HEAD has no body', async () => {
    const post = await fetch(`${base}/api/v1/topics`, { method: 'POST', body: 'x' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    expect(await post.json()).toEqual({ error: 'only GET and HEAD are served here' })
    const head = await fetch(`${base}/api/v1/topics`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(10)
  })

  test('a command is taken from a program, and not from a page in a browser', async () => {
    const json = { 'content-type': 'application/json' }
    const post = async (headers: Record<string, string>, name = 'pause') => {
      const response = await fetch(`${base}/api/v1/uplink/${name}`, { method: 'POST', headers, body: '{}' })
      await response.arrayBuffer()
      return [response.status, status.isPaused]
    }
    expect(await post({ 'content-type': 'text/plain' })).toEqual([415, false])
    expect(await post({})).toEqual([415, false])
    expect(await post({ ...json, origin: 'http://elsewhere.example' })).toEqual([403, false])
    // a name that now resolves to the gateway makes its page one of the same origin
    expect(await post({ ...json, origin: base })).toEqual([403, false])
    const get = await fetch(`${base}/api/v1/uplink/pause`)
    expect([get.status, get.headers.get('allow'), status.isPaused]).toEqual([405, 'POST', false])
    const preflight = await fetch(`${base}/api/v1/uplink/pause`, { method: 'OPTIONS' })
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([405, null])
    expect(await post(json)).toEqual([200, true])
    expect(await post({ 'content-type': 'application/json; charset=utf-8' }, 'resume')).toEqual([200, false])
  })

  test('a bug in a status function is a 500 of that request only', async () => {
    status.broken = true
    expect((await getJson('/api/v1/topics')).status).toBe(500)
    expect((await getJson('/api/v1/gateway')).status).toBe(200)
    expect(status.metrics.count('httpRequests', '500')).toBe(1)
  })

  test('the page at / links to what is here and escapes names', async () => {
    const page = await (await fetch(`${base}/`)).text()
    expect(page).toContain('<h1>Brooklet pi &lt;1&gt;</h1>')
    expect(page).toContain('<a href="/api/v1/topics">')
    expect(page).not.toContain('href="/api/v1/topics/{name}"')
  })
})

describe('bounds', () => {
  test('garbage is answered with 400, counted, and others are served on', async () => {
    expect(await raw('\x16\x03\x01\x00\xa5garbage\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
    expect(status.metrics.count('httpRequests', 'refused: malformed')).toBe(1)
    expect((await fetch(`${base}/healthz`)).status).toBe(200)
  })

  test('headers over 16 KiB are refused', async () => {
    expect(await raw(`GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 /)
    expect(status.metrics.count('httpRequests', 'refused: too large')).toBe(1)
  })

  test('a body over 64 KiB ends the connection', async () => {
    await raw(
      Buffer.concat([
        Buffer.from('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n'),
        Buffer.alloc(200_000),
      ]),
    )
    expect(status.metrics.count('httpRequests', 'refused: too large')).toBe(1)
  })

  test('a request that does not end is given up', async () => {
    const impatient = await listen({ requestTimeoutMs: 200 })
    // either Node's request timeout (408) or the silence of the socket (no answer) ends it
    expect(await raw('GET / HTTP/1.1\r\nhost: x\r\n', impatient.address.port)).toMatch(/^(HTTP\/1.1 408 |$)/)
    await impatient.close()
  })

  test('connections past the limit are closed and counted', async () => {
    const narrow = await listen({ maxConnections: 1 })
    const first = connect(narrow.address.port, '127.0.0.1')
    await new Promise<void>(resolve => first.once('connect', () => resolve()))
    expect(await raw('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n', narrow.address.port)).toBe('')
    expect(status.metrics.count('httpRequests', 'refused: too many connections')).toBe(1)
    first.destroy()
    await narrow.close()
  })

  test('close ends idle keep-alive connections and frees the port', async () => {
    await new Promise<void>(resolve => {
      httpRequest(`${base}/healthz`, { headers: { connection: 'keep-alive' } }, response => {
        response.resume().on('end', () => resolve())
      }).end()
    })
    await listener.close()
    await expect(fetch(`${base}/healthz`)).rejects.toThrow()
    listener = await listen()
  })

  test('a port that is taken rejects with the code of the system', async () => {
    const { port } = listener.address
    const again = listenHttp(
      { host: '127.0.0.1', port },
      { maxConnections: 1, requestTimeoutMs: 100, maxBodyBytes: 1 },
      async () => ({ status: 200, headers: {}, body: '' }),
      () => undefined,
    )
    await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })
})

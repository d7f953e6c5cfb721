import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { afterEach, expect, it } from 'vitest'
import { nodePostForm } from '../../../src/platform/node/http-post.ts'
import { makeCertificate } from '../../support/test-certificates.ts'

const ca = makeCertificate('ca', { isCa: true })
const closers: (() => unknown)[] = []

afterEach(() => {
  for (const close of closers.splice(0)) close()
})

const serve = async (answer: (request: IncomingMessage, response: ServerResponse) => void, secure = false) => {
  const server = secure ? createSecureServer(makeCertificate('server', { issuer: ca }), answer) : createServer(answer)
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return `${secure ? 'https' : 'http'}://127.0.0.1:${(server.address() as { port: number }).port}/token`
}
const post = (url: string, authority = ca, timeoutMs = 5_000) =>
  nodePostForm({
    url,
    fields: { grant_type: 'client_credentials', scope: 'a b' },
    user: 'me',
    password: 'secret',
    trust: { ca: Buffer.from(authority.cert), own: undefined, checkHostName: true },
    timeoutMs,
  })

it('posts a form with basic authentication, over TLS as well', async () => {
  for (const secure of [false, true]) {
    let seen = ''
    const url = await serve((request, response) => {
      request.setEncoding('utf8').on('data', part => (seen += part))
      request.on('end', () => {
        seen += ` ${request.method} ${request.url} ${request.headers.authorization}`
        response.writeHead(201).end('answer')
      })
    }, secure)
    expect(await post(url)).toEqual({ status: 201, body: 'answer' })
    const basic = Buffer.from('me:secret').toString('base64')
    expect(seen).toBe(`grant_type=client_credentials&scope=a+b POST /token Basic ${basic}`)
  }
})

it('says why there is no answer', async () => {
  const silent = await serve(() => undefined)
  await expect(post(silent, ca, 50)).rejects.toThrow('no answer within 50 ms')
  const endless = await serve((_request, response) => response.end('x'.repeat((1 << 20) + 1)))
  await expect(post(endless)).rejects.toThrow('the answer has more than 1048576 bytes')
  const secure = await serve((_request, response) => response.end(), true)
  await expect(post(secure, makeCertificate('other', { isCa: true }))).rejects.toThrow('comes from a CA')
})

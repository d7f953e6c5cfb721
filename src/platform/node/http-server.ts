import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { HttpHandler, HttpOptions, HttpRefusal, ListenHttp } from '../http-server.ts'
import type { TlsIdentity } from '../tls-identity.ts'
import { clientFault, contextOptions, serverOptions } from './tls-server.ts'

const KEEP_ALIVE_MS = 5000
const CLOSE_GRACE_MS = 2000
const MAX_HEADER_BYTES = 16 * 1024

/** The real HTTP listener: HTTP/1.1 on `node:http` or `node:https`. */
export const listenHttp: ListenHttp = async (address, limits, handler, onRefusal) => {
  const options = {
    maxHeaderSize: MAX_HEADER_BYTES,
    requestTimeout: limits.requestTimeoutMs,
    headersTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // how often Node looks for requests that are late
    connectionsCheckingInterval: Math.min(1000, limits.requestTimeoutMs),
  }
  const server = limits.tls === undefined ? createServer(options) : secureServer(limits.tls, limits, options, onRefusal)
  server.maxConnections = limits.maxConnections
  // ends also who takes an answer too slowly, or not at all
  server.setTimeout(limits.requestTimeoutMs)
  server.on('drop', () => onRefusal('too many connections'))
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuse(error, socket, onRefusal))
  server.on('request', (request, response) => serve(request, response, handler, limits, onRefusal))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: address.host, port: address.port }, resolve)
  })
  const bound = server.address() as AddressInfo
  return { address: { host: bound.address, port: bound.port }, close: () => close(server) }
}

function secureServer(
  identity: TlsIdentity,
  { requestTimeoutMs }: HttpOptions,
  options: ServerOptions,
  onRefusal: HttpRefusal,
): SecureServer {
  const server = createSecureServer({ ...options, ...serverOptions(identity), handshakeTimeout: requestTimeoutMs })
  identity.onRenewal(credentials => server.setSecureContext(contextOptions(credentials, identity.rules)))
  server.on('tlsClientError', (_error, socket) => {
    onRefusal('tls')
    socket.destroy()
  })
  server.on('secureConnection', socket => {
    if (clientFault(socket, identity.rules) === undefined) return
    onRefusal('tls')
    socket.destroy()
  })
  return server
}

function serve(
  request: IncomingMessage,
  response: ServerResponse,
  handler: HttpHandler,
  { maxBodyBytes }: HttpOptions,
  onRefusal: HttpRefusal,
): void {
  let bodyBytes = 0
  request.on('data', (chunk: Buffer) => {
    bodyBytes += chunk.length
    if (bodyBytes <= maxBodyBytes) return
    onRefusal('too large')
    request.destroy()
  })
  // an aborted request has nobody to answer; its error is the end of it
  request.on('error', () => response.destroy())
  response.on('error', () => response.destroy())
  request.on('end', async () => {
    const { status, headers, body } = await handler({
      method: request.method ?? '',
      target: request.url ?? '/',
      contentType: request.headers['content-type'],
      origin: request.headers.origin,
    })
    const content = Buffer.from(body)
    response.writeHead(status, { ...headers, 'content-length': content.length })
    response.end(request.method === 'HEAD' ? undefined : content)
  })
}

/** What never became a request: answered in one line and closed. */
function refuse(error: NodeJS.ErrnoException, socket: Socket, onRefusal: HttpRefusal): void {
  const isTimeout = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  const isLarge = error.code === 'HPE_HEADER_OVERFLOW'
  if (error.code !== 'ECONNRESET') onRefusal(isTimeout ? 'timeout' : isLarge ? 'too large' : 'malformed')
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const status = isTimeout ? '408 Request Timeout' : isLarge ? '431 Request Header Fields Too Large' : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}

/** Idle connections end at once, answers under way get a short time. */
function close(server: Server): Promise<void> {
  return new Promise(resolve => {
    const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
    server.close(() => {
      clearTimeout(deadline)
      resolve()
    })
    server.closeIdleConnections()
  })
}

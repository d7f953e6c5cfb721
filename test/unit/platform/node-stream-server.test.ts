import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import type { Connection, Listener } from '../../../src/platform/network.ts'
import { listenStream } from '../../../src/platform/node/stream-server.ts'
import type { ConnectionRefusal, StreamAddress, StreamOptions } from '../../../src/platform/stream-server.ts'
import type { TlsCredentials, TlsIdentity, TlsRules } from '../../../src/platform/tls-identity.ts'
import { parseProxyHeader } from '../../../src/wire/proxy-protocol.ts'
import { SimRandom } from '../../support/sim/random.ts'
import { makeCertificate, type TestCertificate } from '../../support/test-certificates.ts'

const openGate = { enter: () => undefined, leave: () => undefined }
const loopback = { host: '127.0.0.1', port: 0 }
const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** Echoes, and keeps what was refused. */
class EchoServer {
  readonly refused: [reason: string, why: string][] = []
  readonly connections: Connection[] = []
  readonly refusals: (ConnectionRefusal | undefined)[] = []
  listener!: Listener

  static async start(options: Partial<StreamOptions> = {}, address: StreamAddress = loopback): Promise<EchoServer> {
    const server = new EchoServer()
    const onRefused: StreamOptions['onRefused'] = (reason, remote, why) => {
      expect(remote).toMatch(/^(127\.0\.0\.1|203\.0\.113\.7):\d+$/)
      server.refused.push([reason, why])
    }
    server.listener = await listenStream(
      address,
      { setupTimeoutMs: 5000, gate: openGate, maxTold: 0, onRefused, ...options },
      (connection, refusal) => {
        server.refusals.push(refusal)
        server.connections.push(connection)
        connection.onData(chunk => connection.write([chunk]))
      },
    )
    closers.push(() => server.listener.close())
    return server
  }

  get port(): number {
    return this.listener.address.port
  }
}

class TestIdentity implements TlsIdentity {
  credentials: TlsCredentials
  readonly rules: TlsRules
  #renew: (credentials: TlsCredentials) => void = () => {}

  constructor(certificate: TestCertificate, rules: Partial<TlsRules> = {}) {
    this.credentials = credentialsOf(certificate)
    this.rules = { clientAuth: 'none', minVersion: 'TLSv1.2', ...rules }
  }

  onRenewal(listener: (credentials: TlsCredentials) => void): void {
    this.#renew = listener
  }

  renew(certificate: TestCertificate): void {
    this.#renew(credentialsOf(certificate))
  }
}

let ca: TestCertificate
let gateway: TestCertificate
let device: TestCertificate
let stranger: TestCertificate
beforeAll(() => {
  ca = makeCertificate('ca', { isCa: true })
  gateway = makeCertificate('gateway', { issuer: ca })
  device = makeCertificate('device', { issuer: ca })
  stranger = makeCertificate('device', { issuer: makeCertificate('ca', { isCa: true }) })
})

const credentialsOf = ({ cert, key }: TestCertificate): TlsCredentials => ({
  cert: Buffer.from(cert),
  key: Buffer.from(key),
  ca: Buffer.from(ca.cert),
})

const dial = (port: number): Promise<Socket> =>
  new Promise(resolve => {
    const socket = connectTcp(port, '127.0.0.1', () => resolve(socket))
    socket.on('error', () => undefined)
    closers.push(() => socket.destroy())
  })

const dialTls = (port: number, options: ConnectionOptions = {}): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', ca: ca.cert, ...options }, () => resolve(socket))
    socket.on('error', reject)
    closers.push(() => socket.destroy())
  })

const echoed = (socket: Socket, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let seen = ''
    socket.on('data', chunk => {
      seen += chunk
      if (seen.length >= text.length) resolve(seen)
    })
    socket.once('close', () => reject(new Error(`closed after ${JSON.stringify(seen)}`)))
    socket.write(text)
  })
const closed = (socket: Socket): Promise<unknown> => new Promise(resolve => socket.once('close', resolve).resume())
const until = async (what: () => boolean): Promise<void> => {
  while (!what()) await new Promise(resolve => setTimeout(resolve, 5))
}

describe('TLS', () => {
  it('carries bytes both ways and names both ends', async () => {
    const server = await EchoServer.start({ tls: new TestIdentity(gateway) })
    const socket = await dialTls(server.port)
    const text = 'x'.repeat(1 << 20)
    expect(await echoed(socket, text)).toBe(text)
    const [connection] = server.connections
    expect([connection?.remote, connection?.local.port]).toEqual([`127.0.0.1:${socket.localPort}`, server.port])
    expect(server.refused).toEqual([])
  })

  it('tells both sides of the end', async () => {
    const server = await EchoServer.start({ tls: new TestIdentity(gateway) })
    const socket = await dialTls(server.port)
    await until(() => server.connections.length === 1)
    const ends: unknown[] = []
    server.connections[0]!.onClose(error => ends.push(error))
    socket.end()
    await until(() => ends.length > 0)
    expect(ends).toEqual([undefined])
    const other = await dialTls(server.port)
    await until(() => server.connections.length === 2)
    server.connections[1]!.end()
    await closed(other)
  })

  it('is refused for what is no TLS, and after a timeout for silence', async () => {
    const server = await EchoServer.start({ tls: new TestIdentity(gateway), setupTimeoutMs: 200 })
    const plain = await dial(server.port)
    plain.write('\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00')
    await closed(plain)
    const silent = await dial(server.port)
    await closed(silent)
    const half = await dial(server.port)
    half.write(Buffer.from('16030100', 'hex'))
    await closed(half)
    expect(server.refused.map(([reason]) => reason)).toEqual(['tls', 'setup.timeout', 'setup.timeout'])
    expect(server.connections).toEqual([])
  })

  it('counts clients that break off, but not those that only look whether we are there', async () => {
    const server = await EchoServer.start({ tls: new TestIdentity(gateway) })
    const look = await dial(server.port)
    look.end()
    await closed(look)
    const half = await dial(server.port)
    half.write(Buffer.from('16030100', 'hex'))
    await new Promise(resolve => setTimeout(resolve, 20))
    half.resetAndDestroy()
    await until(() => server.refused.length > 0)
    expect(server.refused).toEqual([['tls', 'the client closed the connection in its TLS handshake']])
  })

  it('shows a renewed certificate to new connections and keeps those that are open', async () => {
    const identity = new TestIdentity(gateway)
    const server = await EchoServer.start({ tls: identity })
    const before = await dialTls(server.port)
    expect(before.getPeerCertificate().subject.CN).toBe('gateway')
    identity.renew(makeCertificate('renewed', { issuer: ca }))
    const after = await dialTls(server.port)
    expect(after.getPeerCertificate().subject.CN).toBe('renewed')
    expect([await echoed(before, 'old'), await echoed(after, 'new')]).toEqual(['old', 'new'])
  })

  it('is not spoken below tls.min.version', async () => {
    const server = await EchoServer.start({ tls: new TestIdentity(gateway, { minVersion: 'TLSv1.3' }) })
    await expect(dialTls(server.port, { maxVersion: 'TLSv1.2' })).rejects.toThrow()
    expect((await dialTls(server.port)).getProtocol()).toBe('TLSv1.3')
  })
})

describe('certificates of clients', () => {
  /** True: let in. In TLS 1.3 a client only learns of a refusal when it reads. */
  const admitted = async (port: number, options: ConnectionOptions): Promise<boolean> => {
    try {
      return (await echoed(await dialTls(port, options), 'in?')) === 'in?'
    } catch {
      return false
    }
  }
  describe.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', version => {
    it.each([
      ['none', [true, true, true]],
      ['requested', [true, true, false]],
      ['required', [false, true, false]],
    ] as const)('%s: without, with, with one of a stranger: %j', async (clientAuth, expected) => {
      const server = await EchoServer.start({ tls: new TestIdentity(gateway, { clientAuth }) })
      const only = { minVersion: version, maxVersion: version }
      const seen = [
        await admitted(server.port, only),
        await admitted(server.port, { ...only, cert: device.cert, key: device.key }),
        await admitted(server.port, { ...only, cert: stranger.cert, key: stranger.key }),
      ]
      expect(seen).toEqual(expected)
      if (clientAuth === 'required') {
        expect(server.refused[0]?.[1]).toMatch(/did not return a certificate/)
        expect(server.refused[1]?.[1]).toMatch(/or its certificate is not of tls\.ca$/)
      }
      expect(server.refused.map(([reason]) => reason)).toEqual(expected.filter(isIn => !isIn).map(() => 'tls'))
    })

    it('a session that was begun without one does not open the door later', async () => {
      const server = await EchoServer.start({ tls: new TestIdentity(gateway, { clientAuth: 'required' }) })
      const only = { minVersion: version, maxVersion: version }
      let session: Buffer | undefined
      const socket = connectTls({ port: server.port, host: '127.0.0.1', ca: ca.cert, ...only })
      socket.on('session', ticket => {
        session = ticket
      })
      socket.on('error', () => undefined)
      await closed(socket)
      expect(await admitted(server.port, { ...only, ...(session && { session }) })).toBe(false)
      expect(server.connections).toEqual([])
    })
  })
})

describe('WebSocket', () => {
  const webSocket = { subprotocol: 'mqtt', maxFrameBytes: 1000 }
  const open = (url: string, protocol = 'mqtt'): Promise<WebSocket> =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(url, protocol, { ca: ca.cert })
      socket.once('open', () => resolve(socket))
      socket.once('error', reject)
      closers.push(() => socket.terminate())
    })

  it.each(['ws', 'wss'])('%s carries binary frames and names both ends', async scheme => {
    const server = await EchoServer.start({ webSocket, tls: scheme === 'wss' ? new TestIdentity(gateway) : undefined })
    const socket = await open(`${scheme}://127.0.0.1:${server.port}/mqtt`)
    const answer = new Promise(resolve => socket.once('message', resolve))
    socket.send(Buffer.from('frame'))
    expect(String(await answer)).toBe('frame')
    expect(server.connections[0]?.remote).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(server.connections[0]?.local.port).toBe(server.port)
  })

  it.each([
    ['GET / HTTP/1.1\r\nhost: x\r\n\r\n', /^HTTP\/1\.1 426 /, 'a request that is no upgrade'],
    ['nonsense\r\n\r\n', /^HTTP\/1\.1 400 /, 'Parse Error'],
    [
      'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\nsec-websocket-protocol: mqtt\r\n\r\n',
      /^HTTP\/1\.1 400 /,
      'Sec-WebSocket-Key',
    ],
  ])('%j is answered and counted', async (request, answer, why) => {
    const server = await EchoServer.start({ webSocket })
    const socket = await dial(server.port)
    let seen = ''
    socket.on('data', chunk => {
      seen += chunk
    })
    socket.write(request)
    await closed(socket)
    expect(seen).toMatch(answer)
    expect(server.refused).toEqual([['websocket', expect.stringContaining(why)]])
  })

  it('needs the subprotocol, and in time', async () => {
    const server = await EchoServer.start({ webSocket, setupTimeoutMs: 200 })
    await expect(open(`ws://127.0.0.1:${server.port}`, 'other')).rejects.toThrow('400')
    const slow = await dial(server.port)
    slow.write('GET / HTTP/1.1\r\n')
    await closed(slow)
    expect(server.refused.map(([reason]) => reason)).toEqual(['websocket', 'setup.timeout'])
  })
})

describe('the header of a proxy', () => {
  const signature = '0d0a0d0a000d0a515549540a'
  // 203.0.113.7:51234 -> 192.0.2.10:8883
  const header = Buffer.from(`${signature}2111000ccb007107c000020ac82222b3`, 'hex')
  const local = Buffer.from(`${signature}20000000`, 'hex')
  const proxyHeader = parseProxyHeader

  it('names the ends of the connection, and the bytes after it are those of the client', async () => {
    const server = await EchoServer.start({ proxyHeader })
    const without = await dial(server.port)
    without.write('x')
    await closed(without)
    const other = await dial(server.port)
    other.write(Buffer.concat([header, Buffer.from('first ')]))
    expect(await echoed(other, 'second')).toMatch(/^first /)
    const [{ remote, local: destination }] = server.connections as [Connection]
    expect([remote, destination]).toEqual(['203.0.113.7:51234', { host: '192.0.2.10', port: 8883 }])
    expect(server.refused).toEqual([['proxy.header', 'PROXY header: the signature of version 2 is missing']])
  })

  it('may come byte by byte, and be of the proxy itself', async () => {
    const server = await EchoServer.start({ proxyHeader })
    const socket = await dial(server.port)
    socket.setNoDelay(true)
    for (const byte of local) {
      socket.write(Buffer.from([byte]))
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(await echoed(socket, 'after')).toBe('after')
    expect(server.connections[0]?.remote).toBe(`127.0.0.1:${socket.localPort}`)
  })

  it('comes before TLS, and before WebSocket over TLS', async () => {
    const tls = new TestIdentity(gateway)
    const server = await EchoServer.start({ proxyHeader, tls })
    const socket = await dial(server.port)
    socket.write(header)
    const secure = await dialTls(server.port, { socket })
    expect(await echoed(secure, 'hidden')).toBe('hidden')
    expect(server.connections[0]?.remote).toBe('203.0.113.7:51234')

    const webServer = await EchoServer.start({
      proxyHeader,
      tls,
      webSocket: { subprotocol: 'mqtt', maxFrameBytes: 100 },
    })
    const under = await dial(webServer.port)
    under.write(header)
    const stream = await dialTls(webServer.port, { socket: under })
    const web = new WebSocket('ws://127.0.0.1/', 'mqtt', { createConnection: () => stream })
    const answer = new Promise(resolve => web.once('message', resolve))
    await new Promise(resolve => web.once('open', resolve))
    web.send(Buffer.from('frame'))
    expect(String(await answer)).toBe('frame')
    expect(webServer.connections[0]?.remote).toBe('203.0.113.7:51234')
  })

  it('that does not come, or only half, ends the connection', async () => {
    const server = await EchoServer.start({ proxyHeader, setupTimeoutMs: 200 })
    const silent = await dial(server.port)
    await closed(silent)
    const half = await dial(server.port)
    half.write(header.subarray(0, 20))
    await closed(half)
    const gone = await dial(server.port)
    gone.write(header.subarray(0, 20))
    await new Promise(resolve => setTimeout(resolve, 20))
    gone.end()
    await until(() => server.refused.length === 3)
    expect(server.refused.map(([reason]) => reason)).toEqual(['setup.timeout', 'setup.timeout', 'proxy.header'])
  })

  it('does not undo a pause of who takes the connection', async () => {
    let taken: Connection | undefined
    const seen: string[] = []
    const options = { setupTimeoutMs: 5000, gate: openGate, maxTold: 0, proxyHeader, onRefused: () => undefined }
    const listener = await listenStream(loopback, options, connection => {
      taken = connection
      connection.onData(chunk => seen.push(String(chunk)))
      connection.pause()
    })
    closers.push(() => listener.close())
    const socket = await dial(listener.address.port)
    socket.write(Buffer.concat([header, Buffer.from('early')]))
    await until(() => taken !== undefined)
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(seen).toEqual([])
    taken!.resume()
    await until(() => seen.join('') === 'early')
  })
})

describe('a gate', () => {
  it('is asked with the address of the client, told of its end, and closes before TLS', async () => {
    const inside: string[] = []
    const gate: StreamOptions['gate'] = {
      enter(host) {
        if (inside.length === 1) return { reason: 'connections.max', why: 'full', mayBeTold: true }
        inside.push(host)
        return undefined
      },
      leave: host => void inside.splice(inside.indexOf(host), 1),
    }
    const server = await EchoServer.start({ gate, tls: new TestIdentity(gateway) })
    const first = await dialTls(server.port)
    await expect(dialTls(server.port)).rejects.toThrow()
    expect([inside, server.refused]).toEqual([['127.0.0.1'], [['connections.max', 'full']]])
    first.end()
    await until(() => inside.length === 0)
    await echoed(await dialTls(server.port), 'in again')
    // a handshake that fails leaves too
    const [connection] = server.connections.splice(1)
    connection!.destroy()
    await until(() => inside.length === 0)
    const plain = await dial(server.port)
    plain.write('no TLS')
    await closed(plain)
    await until(() => inside.length === 0)
  })
})

describe('those who are refused and may be told', () => {
  const full: ConnectionRefusal = { reason: 'connections.max', why: 'full', mayBeTold: true }

  it('are set up and handed over with the reason, so many at a time; counted once each', async () => {
    const gate: StreamOptions['gate'] = { enter: () => full, leave: () => expect.unreachable('nobody came in') }
    const server = await EchoServer.start({ gate, maxTold: 1, tls: new TestIdentity(gateway) })
    const first = await dialTls(server.port)
    expect(await echoed(first, 'why?')).toBe('why?')
    await expect(dialTls(server.port)).rejects.toThrow()
    expect([server.refusals, server.refused.length]).toEqual([[full], 2])
    const firstClosed = new Promise<void>(resolve => server.connections[0]!.onClose(() => resolve()))
    first.destroy()
    await firstClosed
    const broken = await dial(server.port)
    broken.write('no TLS')
    await closed(broken)
    expect(server.refused.map(([reason]) => reason)).toEqual(Array(3).fill('connections.max'))
  })

  it('are closed at once where telling is not worth it', async () => {
    const gate: StreamOptions['gate'] = { enter: () => ({ ...full, mayBeTold: false }), leave: () => undefined }
    const server = await EchoServer.start({ gate, maxTold: 5 })
    await closed(await dial(server.port))
    expect([server.refused, server.connections]).toEqual([[['connections.max', 'full']], []])
  })
})

describe('closing a listener', () => {
  it('cuts what is not set up, and keeps what is', async () => {
    const server = await EchoServer.start({ tls: new TestIdentity(gateway) })
    const ready = await dialTls(server.port)
    const half = await dial(server.port)
    await echoed(ready, 'there')
    const halfClosed = closed(half)
    await server.listener.close()
    await halfClosed
    expect(server.refused).toEqual([])
    expect(await echoed(ready, 'still')).toBe('still')
  })
})

describe('a Unix socket', () => {
  const temporary = async (): Promise<string> => {
    const directory = await mkdtemp(join(tmpdir(), 'brooklet-unix-'))
    closers.push(() => rm(directory, { recursive: true, force: true }))
    return join(directory, 'socket')
  }
  const dialUnix = (path: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connectTcp({ path }, () => resolve(socket))
      socket.once('error', reject)
      closers.push(() => socket.destroy())
    })

  it('carries bytes, is for owner and group, and goes with its listener', async () => {
    const path = await temporary()
    const server = await EchoServer.start({}, { path })
    expect(((await stat(path)).mode & 0o777).toString(8)).toBe('660')
    expect(await echoed(await dialUnix(path), 'local')).toBe('local')
    expect(server.connections[0]?.remote).toBe(`unix:${path}`)
    await server.listener.close()
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('that a dead process left is replaced', async () => {
    const path = await temporary()
    const { fork } = await import('node:child_process')
    const script = `${path}.mjs`
    await writeFile(
      script,
      `import { createServer } from 'node:net'
      createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
    )
    await new Promise(resolve => fork(script, { execArgv: [] }).once('exit', resolve))
    expect((await stat(path)).isSocket()).toBe(true)
    const server = await EchoServer.start({}, { path })
    expect(await echoed(await dialUnix(path), 'new')).toBe('new')
    expect(server.connections).toHaveLength(1)
  })

  it('that somebody listens at, and any other file, is left alone', async () => {
    const path = await temporary()
    const other = createServer(socket => socket.on('error', () => undefined).end('other'))
    await new Promise<void>(resolve => other.listen(path, resolve))
    closers.push(() => other.close())
    await expect(EchoServer.start({}, { path })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect(await echoed(await dialUnix(path), 'other')).toBe('other')
    const file = `${path}.txt`
    await writeFile(file, 'kept')
    await expect(EchoServer.start({}, { path: file })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await expect(EchoServer.start({}, { path: join(path, 'below') })).rejects.toMatchObject({ code: 'ENOTDIR' })
  })
})

it('random bytes at every kind of listener leave nothing behind', async () => {
  const random = new SimRandom(20_261_122)
  let inside = 0
  const gate: StreamOptions['gate'] = {
    enter() {
      inside++
      return undefined
    },
    leave: () => void inside--,
  }
  const webSocket = { subprotocol: 'mqtt', maxFrameBytes: 100 }
  const kinds: Partial<StreamOptions>[] = [{}, { tls: new TestIdentity(gateway) }, { webSocket }].flatMap(options => [
    options,
    { ...options, proxyHeader: parseProxyHeader },
  ])
  const beginnings = [
    Buffer.from('0d0a0d0a000d0a515549540a2111000ccb007107c000020ac82222b3', 'hex'),
    Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex'),
    Buffer.from('16030100ff010000fb0303', 'hex'),
    Buffer.from('GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'),
    Buffer.alloc(0),
  ]
  for (const options of kinds) {
    const server = await EchoServer.start({ ...options, gate, setupTimeoutMs: 100 })
    const ends = Array.from({ length: 40 }, async () => {
      const socket = await dial(server.port)
      const end = closed(socket)
      socket.write(Buffer.concat([beginnings[random.below(beginnings.length)]!, random.bytes(random.below(200))]))
      if (random.chance(0.5)) socket.resetAndDestroy()
      else socket.end()
      await end
    })
    await Promise.all(ends)
    await until(() => inside === 0)
  }
})

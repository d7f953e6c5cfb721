import { createServer as createPlainServer } from 'node:net'
import { createServer, type TlsOptions } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { nodeNetwork } from '../../../src/platform/node/network.ts'
import type { TlsTrust } from '../../../src/platform/tls-trust.ts'
import { type CertificateOptions, makeCertificate, type TestCertificate } from '../../support/test-certificates.ts'

const dayMs = 86_400_000
const ca = makeCertificate('ca', { isCa: true })
const closers: (() => unknown)[] = []

afterEach(() => {
  for (const close of closers.splice(0).reverse()) close()
})

/** Echoes; its certificate is of `ca` unless told otherwise. */
const serve = (options: CertificateOptions = {}, more: TlsOptions = {}): Promise<number> => {
  const server = createServer({ ...makeCertificate('server', { issuer: ca, ...options }), ...more }, socket => {
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  closers.push(() => server.close())
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
}

const trust = (change: Partial<TlsTrust> = {}): TlsTrust => ({
  ca: Buffer.from(ca.cert),
  own: undefined,
  checkHostName: true,
  ...change,
})
const shown = ({ cert, key }: TestCertificate, passphrase = ''): TlsTrust['own'] => ({
  cert: Buffer.from(cert),
  key: Buffer.from(key),
  passphrase,
})

const dial = async (port: number, tls = trust(), host = '127.0.0.1') => {
  const connection = await nodeNetwork.connect({ host, port }, 5_000, tls)
  closers.push(() => connection.destroy())
  return connection
}

/** What comes back, or why it ended. */
const echo = async (port: number, tls?: TlsTrust): Promise<string> => {
  const connection = await dial(port, tls)
  return new Promise((resolve, reject) => {
    connection.onData(chunk => resolve(chunk.toString()))
    connection.onClose(error => reject(error ?? new Error('closed')))
    connection.write([Buffer.from('x')])
  })
}

describe('a TLS connection to a server', () => {
  it('whose certificate is good carries bytes, by name and by address', async () => {
    const port = await serve()
    expect(await echo(port)).toBe('x')
    await dial(port, trust(), 'localhost')
  })

  it.each<[string, CertificateOptions, RegExp]>([
    ['has expired', { from: new Date(0), to: new Date(Date.now() - dayMs) }, /has expired, or the clock here is wrong: it says \d{4}-/],
    ['is of tomorrow', { from: new Date(Date.now() + dayMs) }, /is not valid yet, or the clock here is wrong: it says \d{4}-/],
    ['is of another CA', { issuer: makeCertificate('other', { isCa: true }) }, /comes from a CA that this client does not trust/],
    ['is of a CA of that name with another key', { issuer: makeCertificate('ca', { isCa: true }) }, /comes from a CA that this client does not trust/],
  ])('whose certificate %s is refused', async (_what, options, why) => {
    await expect(dial(await serve(options))).rejects.toThrow(why)
  }) // biome-ignore format: a table

  it('whose certificate names another host is refused, unless that does not matter', async () => {
    const port = await serve()
    // another address of this machine, which the certificate does not name
    const address = '127.0.0.2'
    const elsewhere = createServer(makeCertificate('server', { issuer: ca }), socket =>
      socket.on('error', () => undefined),
    )
    closers.push(() => elsewhere.close())
    await new Promise<void>(resolve => elsewhere.listen(port, address, resolve))
    await expect(dial(port, trust(), address)).rejects.toThrow(
      /is for another host: IP: 127\.0\.0\.2 is not in the cert's list: 127\.0\.0\.1/,
    )
    await dial(port, trust({ checkHostName: false }), address)
  })

  it('that wants a certificate gets one; without one it says so', async () => {
    const port = await serve({}, { requestCert: true, ca: ca.cert })
    expect(await echo(port, trust({ own: shown(makeCertificate('me', { issuer: ca })) }))).toBe('x')
    await expect(echo(port)).rejects.toThrow('the server does not accept the certificate of this client, or misses one')
  })

  it('cannot be made with a key that is not that of the certificate', async () => {
    const { cert } = makeCertificate('me', { issuer: ca })
    const { key } = makeCertificate('other')
    const own = { cert: Buffer.from(cert), key: Buffer.from(key), passphrase: '' }
    await expect(dial(await serve(), trust({ own }))).rejects.toThrow('the key is not that of the certificate')
  })

  it('that speaks no TLS is called that', async () => {
    const server = createPlainServer(socket => {
      socket.on('error', () => undefined)
      socket.end('220 hello\r\n')
    })
    closers.push(() => server.close())
    const port = await new Promise<number>(resolve => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
    })
    await expect(dial(port)).rejects.toThrow('the server does not speak TLS there')
  })

  it('that says nothing is given up', async () => {
    const server = createPlainServer(socket => socket.on('error', () => undefined))
    closers.push(() => server.close())
    const port = await new Promise<number>(resolve => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
    })
    await expect(nodeNetwork.connect({ host: '127.0.0.1', port }, 50, trust())).rejects.toThrow(
      /no answer from .* within 50 ms/,
    )
  })
})

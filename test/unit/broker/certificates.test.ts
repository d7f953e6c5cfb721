import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { validityAt } from '../../../src/broker/listeners/certificate-check.ts'
import { Certificates } from '../../../src/broker/listeners/certificates.ts'
import { defaultSettings, type Settings } from '../../../src/config/settings.ts'
import { StartError } from '../../../src/core/errors.ts'
import { Metrics } from '../../../src/core/metrics.ts'
import type { Logger } from '../../../src/platform/logger.ts'
import { tryNodeCredentials } from '../../../src/platform/node/tls-server.ts'
import type { TlsCredentials } from '../../../src/platform/tls-identity.ts'
import { makeCertificate, type TestCertificate } from '../../support/test-certificates.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const dayMs = 86_400_000
const nowMs = new VirtualClock().wallMs()
const at = (days: number): Date => new Date(nowMs + days * dayMs)

let ca: TestCertificate
let first: TestCertificate
let second: TestCertificate
beforeAll(() => {
  ca = makeCertificate('ca', { isCa: true, from: at(-1), to: at(3650) })
  first = makeCertificate('first', { issuer: ca, from: at(-1), to: at(100) })
  second = makeCertificate('second', { issuer: ca, from: at(-1), to: at(200) })
})

let files: Map<string, { content: Buffer; openToAll: boolean } | { code: string }>
/** Days pass at once. */
class LongClock extends VirtualClock {
  days = 0

  override wallMs(): number {
    return super.wallMs() + this.days * dayMs
  }
}

let clock: LongClock
let metrics: Metrics
let lines: string[]
beforeEach(() => {
  files = new Map()
  clock = new LongClock()
  metrics = new Metrics()
  lines = []
})

const put = (path: string, text: string): void => void files.set(path, { content: Buffer.from(text), openToAll: false })
const putPair = ({ cert, key }: TestCertificate): void => {
  put('gw.pem', cert)
  put('gw.key', key)
}
const logger: Logger = {
  debug() {},
  info: (_, event) => void lines.push(event),
  warn: (_, event) => void lines.push(event),
  error: (fields, event) => void lines.push(`${event}: ${(fields as { why?: string }).why ?? ''}`),
  child: () => logger,
}
const settingsWith = (changes: Partial<Settings> = {}): Settings => ({
  ...defaultSettings,
  'tls.cert': 'gw.pem',
  'tls.key': 'gw.key',
  ...changes,
})
const open = (...all: Settings[]): Promise<Certificates> =>
  Certificates.open(all.length === 0 ? [settingsWith()] : all, {
    read: async path => {
      const file = files.get(path) ?? { code: 'ENOENT' }
      if ('code' in file) throw Object.assign(new Error(file.code), file)
      return file
    },
    tryCredentials: tryNodeCredentials,
    clock,
    logger,
    metrics,
  })
const problemsOf = async (...all: Settings[]): Promise<string[]> => {
  const error = await open(...all).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(StartError)
  expect((error as StartError).exitCode).toBe(64)
  return (error as StartError).message
    .split('\n')
    .slice(1)
    .map(line => line.trim())
}

describe('a start', () => {
  it('takes certificate, key and CA', async () => {
    putPair(first)
    put('ca.pem', ca.cert)
    const settings = settingsWith({ 'tls.ca': 'ca.pem', 'tls.client.auth': 'required' })
    const certificates = await open(settings)
    const { credentials, rules } = certificates.identityFor(settings)
    expect(credentials.ca?.toString()).toBe(ca.cert)
    expect(rules).toEqual({ clientAuth: 'required', minVersion: 'TLSv1.2' })
    expect(lines).toEqual([])
    const seconds = at(100).getTime() / 1000
    expect(metrics.text()).toContain(
      `brooklet_tls_certificate_expiry_timestamp_seconds{certificate="gw.pem"} ${seconds}\n`,
    )
  })

  const broken: Readonly<Record<string, [change: () => void, problem: string]>> = {
    'no file': [() => files.delete('gw.pem'), 'tls.cert (gw.pem): there is no such file'],
    'no right': [() => files.set('gw.key', { code: 'EACCES' }), 'tls.key (gw.key): cannot be read (EACCES)'],
    'the key of another': [() => put('gw.key', second.key), 'is not the key of the certificate in tls.cert'],
    'key and certificate mixed up': [() => put('gw.pem', first.key), 'holds no certificate in PEM form'],
    'an empty file': [() => put('gw.key', ''), 'holds no private key in PEM form'],
    'half a certificate': [
      () => put('gw.pem', first.cert.slice(0, 200)),
      'tls.cert (gw.pem): cannot be read as a certificate',
    ],
    'a key with a passphrase': [
      () =>
        put(
          'gw.key',
          String(first.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes256', passphrase: 'x' })),
        ),
      'is protected by a passphrase; store it without',
    ],
  }
  it.each(Object.keys(broken))('with %s ends in one line that says so', async name => {
    putPair(first)
    const [change, problem] = broken[name]!
    change()
    const problems = await problemsOf()
    expect(problems).toEqual([expect.stringContaining(problem)])
  })

  it('names the problems of all listeners at once', async () => {
    putPair(first)
    const problems = await problemsOf(settingsWith({ 'tls.ca': 'ca.pem' }), settingsWith({ 'tls.cert': 'other.pem' }))
    expect(problems).toEqual(['tls.ca (ca.pem): there is no such file', 'tls.cert (other.pem): there is no such file'])
  })

  it('warns of a key that everybody may read', async () => {
    putPair(first)
    files.set('gw.key', { content: Buffer.from(first.key), openToAll: true })
    await open()
    expect(lines).toEqual(['every user of this machine may read the private key: chmod o-r'])
  })

  it.each([
    ['has expired', -100, -1, ['the certificate has expired, or the clock of this gateway is wrong']],
    ['is not valid yet', 1, 100, ['the certificate is not valid yet, or the clock of this gateway is wrong']],
    ['expires soon', -100, 20, ['the certificate expires soon']],
    ['is good', -100, 22, []],
  ])('goes on with a certificate that %s', async (_, from, to, expected) => {
    putPair(makeCertificate('x', { issuer: ca, from: at(from), to: at(to) }))
    await open()
    expect(lines).toEqual(expected)
  })
})

describe('while it runs', () => {
  const renewed = async (): Promise<{ certificates: Certificates; taken: TlsCredentials[] }> => {
    putPair(first)
    const certificates = await open()
    const taken: TlsCredentials[] = []
    certificates.identityFor(settingsWith()).onRenewal(credentials => taken.push(credentials))
    certificates.watch()
    return { certificates, taken }
  }
  /** To the next look, and through it. */
  const look = (): Promise<void> => clock.advance(5000)

  it('files that changed are taken when they have held still for two looks', async () => {
    const { taken } = await renewed()
    await look()
    putPair(second)
    await look()
    expect(taken).toEqual([])
    await look()
    expect(taken.map(({ cert }) => cert.toString())).toEqual([second.cert])
    await look()
    expect(taken).toHaveLength(1)
    expect(lines).toEqual(['a changed certificate is taken for new TLS connections'])
    expect(metrics.count('tlsRenewals', 'taken')).toBe(1)
  })

  it('a renewal that is caught half way is no fault', async () => {
    const { taken } = await renewed()
    put('gw.pem', second.cert)
    await look()
    put('gw.key', second.key)
    await look()
    await look()
    expect(taken).toHaveLength(1)
    expect(metrics.count('tlsRenewals', 'refused')).toBe(0)
  })

  it('what cannot be used is said once, and what was before stays', async () => {
    const { certificates, taken } = await renewed()
    put('gw.key', second.key)
    for (let count = 0; count < 5; count++) await look()
    expect(lines).toEqual([
      'changed certificate files cannot be used: TLS goes on with those before: tls.key is not the key of the certificate in tls.cert',
    ])
    files.delete('gw.key')
    for (let count = 0; count < 5; count++) await look()
    expect(lines).toHaveLength(2)
    expect([taken, metrics.count('tlsRenewals', 'refused')]).toEqual([[], 2])
    expect(certificates.identityFor(settingsWith()).credentials.cert.toString()).toBe(first.cert)
    putPair(second)
    await look()
    await look()
    expect(taken).toHaveLength(1)
  })

  it('a reload takes them at once, and says each time what is wrong', async () => {
    const { certificates, taken } = await renewed()
    put('gw.pem', second.cert)
    await certificates.reload()
    await certificates.reload()
    expect(metrics.count('tlsRenewals', 'refused')).toBe(2)
    put('gw.key', second.key)
    await certificates.reload()
    expect(taken).toHaveLength(1)
    certificates.close()
    putPair(first)
    await look()
    await look()
    expect(taken).toHaveLength(1)
  })

  it('warns once when the certificate begins to run out, and again when it has', async () => {
    await renewed()
    clock.days = 80
    await look()
    await look()
    expect(lines).toEqual(['the certificate expires soon'])
    clock.days = 105
    await look()
    await look()
    expect(lines).toHaveLength(2)
  })
})

it('validity has bounds on both sides', () => {
  const valid = { fromMs: 1000, toMs: 1000 + 30 * dayMs }
  expect(
    [999, 1000, valid.toMs - 21 * dayMs, valid.toMs - 21 * dayMs + 1, valid.toMs].map(ms => validityAt(ms, valid)),
  ).toEqual(['is not valid yet', 'good', 'good', 'expires soon', 'has expired'])
})

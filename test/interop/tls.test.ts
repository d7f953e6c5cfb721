import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { Gateway } from '../support/gateway.ts'
import { makeCertificate } from '../support/test-certificates.ts'
import { requireTool, runTool } from '../support/tools.ts'

const test = requireTool('mosquitto_pub', 'mosquitto_sub', 'kcat')

let directory: string
let gateway: Gateway
const at = (name: string): string => join(directory, name)

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-tls-'))
  const ca = makeCertificate('ca', { isCa: true })
  await writeFile(at('ca.pem'), ca.cert)
  for (const name of ['gw', 'device']) {
    const { cert, key } = makeCertificate(name, { issuer: ca })
    await writeFile(at(`${name}.pem`), cert)
    await writeFile(at(`${name}.key`), key, { mode: 0o600 })
  }
  await writeFile(at('other.pem'), makeCertificate('other', { isCa: true }).cert)
})
afterEach(async () => {
  await gateway.dispose()
  await rm(directory, { recursive: true, force: true })
})

const start = async (settings: Record<string, string> = {}): Promise<void> => {
  gateway = await Gateway.start({
    settings: {
      'mqtt.listen': `mqtts://127.0.0.1:0,unix://${at('mqtt.sock')}`,
      'kafka.listen': 'ssl://127.0.0.1:0',
      'tls.cert': at('gw.pem'),
      'tls.key': at('gw.key'),
      ...settings,
    },
  })
}
const secure = (): string[] => ['-h', '127.0.0.1', '-p', gateway.addresses['mqtts']!.split(':')[1]!]
const kcat = (...args: string[]) =>
  runTool('kcat', [
    ...['-b', gateway.addresses['ssl']!, '-X', 'security.protocol=ssl', '-X', `ssl.ca.location=${at('ca.pem')}`],
    ...args,
  ])

test('Mosquitto clients publish over TLS and a Unix socket; kcat reads it over TLS', async () => {
  await start()
  const secured = [...secure(), '--cafile', at('ca.pem')]
  await runTool('mosquitto_pub', [...secured, '-t', 'sensors/t1', '-q', '1', '-r', '-m', 'tls'])
  await runTool('mosquitto_pub', ['--unix', at('mqtt.sock'), '-t', 'sensors/t1/u', '-q', '1', '-r', '-m', 'unix'])
  const subscribed = await runTool('mosquitto_sub', [...secured, '-t', 'sensors/#', '-q', '1', '-C', '2', '-W', '60'])
  expect(subscribed.stdout.trim().split('\n').sort()).toEqual(['tls', 'unix'])
  const { stdout } = await kcat('-C', '-t', 'sensors', '-o', 'beginning', '-e', '-q')
  expect(stdout.trim().split('\n').sort()).toEqual(['tls', 'unix'])
})

test('clients that do not trust the CA, and those without a certificate where one is required, stay out', async () => {
  await start({ 'tls.ca': at('ca.pem'), 'tls.client.auth': 'required' })
  const publish = ['-t', 'sensors/t1', '-q', '1', '-m', 'x']
  const device = ['--cafile', at('ca.pem'), '--cert', at('device.pem'), '--key', at('device.key')]
  await runTool('mosquitto_pub', [...secure(), ...device, ...publish])
  await expect(runTool('mosquitto_pub', [...secure(), '--cafile', at('ca.pem'), ...publish])).rejects.toThrow()
  await expect(runTool('mosquitto_pub', [...secure(), '--cafile', at('other.pem'), ...publish])).rejects.toThrow()
  const certificate = [
    '-X',
    `ssl.certificate.location=${at('device.pem')}`,
    '-X',
    `ssl.key.location=${at('device.key')}`,
  ]
  const { stdout } = await kcat(...certificate, '-C', '-t', 'sensors', '-o', 'beginning', '-e', '-q')
  expect(stdout).toBe('x\n')
  await expect(kcat('-L', '-m', '5')).rejects.toThrow()
})

import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { Kafka, logLevel } from 'kafkajs'
import { connectAsync, connect as connectMqtt, MqttClient } from 'mqtt'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Gateway, type GatewayOptions, runBrooklet, serveArguments } from '../support/gateway.ts'
import { makeCertificate, type TestCertificate } from '../support/test-certificates.ts'

let directory: string
let gateway: Gateway | undefined
let ca: TestCertificate
const clients: MqttClient[] = []
const at = (name: string): string => join(directory, name)

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-listeners-'))
  ca = makeCertificate('ca', { isCa: true })
  await writeFile(at('ca.pem'), ca.cert)
  await install(makeCertificate('gateway', { issuer: ca }))
})
afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true)
  await gateway?.dispose()
  gateway = undefined
  await rm(directory, { recursive: true, force: true })
})

const install = async ({ cert, key }: TestCertificate): Promise<void> => {
  await writeFile(at('gw.pem'), cert)
  await writeFile(at('gw.key'), key)
  await chmod(at('gw.key'), 0o600)
}
const tlsSettings = (): Record<string, string> => ({ 'tls.cert': at('gw.pem'), 'tls.key': at('gw.key') })
const start = async (settings: Record<string, string>): Promise<Gateway> => {
  gateway = await Gateway.start({ settings })
  return gateway
}
const connect = async (url: string, options: object = {}): Promise<MqttClient> => {
  const client = await connectAsync(url, { ca: ca.cert, reconnectPeriod: 0, ...options }, false)
  clients.push(client)
  return client
}
/** How a connection fails: the error of the client, or that it was closed. */
const refusal = (url: string, options: object = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    const client = connectMqtt(url, { ca: ca.cert, reconnectPeriod: 0, ...options })
    clients.push(client)
    client.on('error', error => resolve(error.message))
    client.once('close', () => resolve('closed'))
    client.once('connect', () => reject(new Error('connected')))
  })
/** The name in the certificate that the listener shows now. */
const shownName = (address: string): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port: Number(address.split(':')[1]), ca: ca.cert }, () => {
      resolve(socket.getPeerCertificate().subject.CN)
      socket.destroy()
    })
    socket.on('error', reject)
  })
const getHttps = (address: string, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    request(`https://${address}${path}`, { ca: ca.cert, agent: false }, response => {
      let body = ''
      response.on('data', chunk => {
        body += chunk
      })
      response.on('end', () => resolve(body))
    })
      .on('error', reject)
      .end()
  })

test('one publish from each kind of MQTT listener is read by a Kafka client over TLS', async () => {
  const { addresses } = await start({
    'mqtt.listen': `mqtt://127.0.0.1:0,mqtts://127.0.0.1:0,ws://127.0.0.1:0,wss://127.0.0.1:0,unix://${at('mqtt.sock')}`,
    'kafka.listen': 'plaintext://127.0.0.1:0,ssl://127.0.0.1:0',
    'http.listen': 'https://127.0.0.1:0',
    ...tlsSettings(),
  })
  expect(Object.keys(addresses).slice(0, 3)).toEqual(['mqtt', 'kafka', 'http'])
  expect(addresses.http).toBe('')
  const urls = [
    `mqtt://${addresses.mqtt}`,
    `mqtts://${addresses['mqtts']}`,
    `ws://${addresses['ws']}/mqtt`,
    `wss://${addresses['wss']}/mqtt`,
    `mqtt+unix://${addresses['unix']}`,
  ]
  for (const url of urls) {
    const client = await connect(url)
    await client.publishAsync('sensors/x', url.split('://')[0]!, { qos: 1 })
  }
  const kafka = new Kafka({ brokers: [addresses['ssl']!], ssl: { ca: [ca.cert] }, logLevel: logLevel.NOTHING })
  const consumer = kafka.consumer({ groupId: 'g' })
  await consumer.connect()
  await consumer.subscribe({ topic: 'sensors', fromBeginning: true })
  const values: string[] = []
  await consumer.run({
    eachMessage: async ({ message }) => void values.push(String(message.value)),
  })
  await expect.poll(() => values.length).toBe(5)
  expect(values.sort()).toEqual(['mqtt', 'mqtt+unix', 'mqtts', 'ws', 'wss'])
  await consumer.disconnect()
  expect(await getHttps(addresses['https']!, '/healthz')).toBe('ok\n')
  expect(((await stat(at('mqtt.sock'))).mode & 0o777).toString(8)).toBe('660')
  expect(await gateway!.stop()).toEqual({ code: 0, signal: null })
  await expect(stat(at('mqtt.sock'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a renewed certificate is shown without a restart, and nobody is disconnected; SIGHUP takes it at once', async () => {
  const { addresses, pid } = await start({
    'mqtt.listen': 'mqtts://127.0.0.1:0',
    'http.listen': 'http://127.0.0.1:0,https://127.0.0.1:0',
    ...tlsSettings(),
  })
  const client = await connect(`mqtts://${addresses['mqtts']}`)
  expect(await shownName(addresses['mqtts']!)).toBe('gateway')
  await install(makeCertificate('renewed', { issuer: ca }))
  await expect.poll(() => shownName(addresses['mqtts']!), { interval: 500 }).toBe('renewed')
  await install(makeCertificate('again', { issuer: ca }))
  process.kill(pid, 'SIGHUP')
  await expect.poll(() => shownName(addresses['https']!), { timeout: 4000 }).toBe('again')
  await writeFile(at('gw.key'), 'no key')
  process.kill(pid, 'SIGHUP')
  await expect.poll(() => gateway!.stderr).toContain('TLS goes on with those before')
  expect(await shownName(addresses['mqtts']!)).toBe('again')
  await client.publishAsync('sensors/x', 'from the first connection', { qos: 1 })
  const metrics = await (await fetch(`${gateway!.httpUrl}/metrics`)).text()
  expect(metrics).toContain('brooklet_tls_renewals_total{result="taken"} 2\n')
})

test('with tls.client.auth=required only holders of a certificate of the CA get in, also from other machines', async () => {
  const { addresses } = await start({
    'mqtt.listen': 'mqtts://0.0.0.0:0,mqtt://127.0.0.1:0',
    'kafka.listen': '',
    ...tlsSettings(),
    'tls.ca': at('ca.pem'),
    'tls.client.auth': 'required',
  })
  const url = `mqtts://127.0.0.1:${addresses['mqtts']!.split(':')[1]}`
  const { cert, key } = makeCertificate('device-7', { issuer: ca })
  const device = await connect(url, { cert, key })
  await device.publishAsync('sensors/x', 'in', { qos: 1 })
  const stranger = makeCertificate('device-7', { issuer: makeCertificate('ca', { isCa: true }) })
  await refusal(url, { cert: stranger.cert, key: stranger.key })
  await refusal(url)
  await device.publishAsync('sensors/x', 'still in', { qos: 1 })
  const metrics = await (await fetch(`${gateway!.httpUrl}/metrics`)).text()
  expect(metrics).toContain('brooklet_mqtt_refused_connections_total{reason="tls"} 2\n')
  const lines = gateway!.stderr.split('\n').filter(line => line.includes('mqtt connection closed'))
  expect(lines).toHaveLength(1)
})

test('listeners have rules of their own: a proxy in front of one, a CA for another, limits for a third', async () => {
  const directory = `mqtt+unix://${at('a.sock')}`
  const { addresses } = await start({
    'mqtt.listen': `mqtt://127.0.0.1:0,mqtts://127.0.0.1:0,unix://${at('a.sock')}`,
    ...tlsSettings(),
    listeners: JSON.stringify({
      'mqtt://127.0.0.1:0': { 'proxy.protocol': 'v2', 'mqtt.connections.per.address.max': 1 },
      'mqtts://127.0.0.1:0': { tls: { ca: at('ca.pem'), 'client.auth': 'required' } },
      [`unix://${at('a.sock')}`]: { 'mqtt.connections.max': 1 },
    }),
  })
  // 203.0.113.N:51234 -> 192.0.2.10:1883
  const proxied = (lastByte: number): Promise<MqttClient> => {
    const header = Buffer.from('0d0a0d0a000d0a515549540a2111000ccb007107c000020ac822075b', 'hex')
    header[19] = lastByte
    const streamBuilder = (): Socket => {
      const socket = connectTcp(Number(addresses.mqtt.split(':')[1]), '127.0.0.1')
      socket.write(header)
      return socket
    }
    return new Promise((resolve, reject) => {
      const client = new MqttClient(streamBuilder, { reconnectPeriod: 0, clientId: `proxied-${lastByte}` })
      clients.push(client)
      client.once('connect', () => resolve(client))
      client.on('error', reject)
      client.once('close', () => reject(new Error('closed')))
    })
  }
  const seven = await proxied(7)
  await proxied(8)
  await expect(proxied(7)).rejects.toThrow('Connection refused: Server unavailable')
  await seven.publishAsync('sensors/x', 'from behind the proxy', { qos: 1 })
  const listed = (await (await fetch(`${gateway!.httpUrl}/api/v1/clients`)).json()) as {
    clients: { address: string }[]
  }
  expect(JSON.stringify(listed)).toContain('"203.0.113.7:51234"')
  await refusal(`mqtt://${addresses.mqtt}`)
  await refusal(`mqtts://${addresses['mqtts']}`)
  await connect(directory)
  expect(await refusal(directory)).toBe('Connection refused: Server unavailable')
  const metrics = await (await fetch(`${gateway!.httpUrl}/metrics`)).text()
  for (const reason of ['proxy.header', 'tls', 'connections.max', 'address.connections.max'])
    expect(metrics).toContain(`brooklet_mqtt_refused_connections_total{reason="${reason}"} 1\n`)
})

describe('a start that cannot be', () => {
  const tls = (changes: Record<string, string>): GatewayOptions => ({
    settings: { 'mqtt.listen': 'mqtts://127.0.0.1:0', ...tlsSettings(), ...changes },
  })
  test.each([
    ['a missing file', { 'tls.cert': '/nonexistent/gw.pem' }, 64, /tls\.cert .*there is no such file/],
    ['no key', { 'tls.key': '' }, 64, /tls\.key .*is missing/],
    ['an address of others', { 'mqtt.listen': 'mqtts://0.0.0.0:0' }, 64, /tls\.client\.auth=required/],
    ['a directory that is not there', { 'mqtt.listen': 'unix:///nonexistent/x.sock' }, 69, /mqtt\.listen: .*ENOENT/],
  ])('%s: exit code and one line that says what to do', async (_, changes, code, line) => {
    const options = tls(changes)
    const ended = await runBrooklet(serveArguments(at('data'), options), options)
    expect([ended.code, ended.stdout]).toEqual([code, ''])
    expect(ended.stderr).toMatch(line)
  })

  test('the key of another certificate, also seen by config check', async () => {
    await writeFile(at('gw.key'), makeCertificate('other').key)
    const args = Object.entries(tls({}).settings!).flatMap(([key, value]) => ['--set', `${key}=${value}`])
    for (const command of [
      ['serve', '--data-dir', at('data')],
      ['config', 'check'],
    ]) {
      const ended = await runBrooklet([...command, ...args])
      expect([ended.code, ended.stdout]).toEqual([64, ''])
      expect(ended.stderr).toContain('is not the key of the certificate in tls.cert')
    }
  })
})

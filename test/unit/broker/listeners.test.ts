import { beforeEach, expect, it } from 'vitest'
import { Listeners } from '../../../src/broker/listeners/listeners.ts'
import type { ListenUrl } from '../../../src/config/listen-url.ts'
import { defaultSettings, type Settings } from '../../../src/config/settings.ts'
import type { StreamAddress, StreamOptions } from '../../../src/platform/stream-server.ts'
import type { TlsIdentity } from '../../../src/platform/tls-identity.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const identity = {} as TlsIdentity
const webSocket = { subprotocol: 'mqtt', maxFrameBytes: 1 }
let opened: { address: StreamAddress; options: StreamOptions }[]
beforeEach(() => {
  opened = []
})

const openAll = async (settings: Partial<Settings>, ...urls: ListenUrl[]): Promise<void> => {
  const listeners = new Listeners({
    listen: async (address, options) => {
      opened.push({ address, options })
      return { address: { host: '', port: 0 }, close: async () => {} }
    },
    settings: { ...defaultSettings, ...settings },
    identityFor: () => identity,
    clock: new VirtualClock(),
  })
  for (const url of urls) await listeners.open(url, { webSocket, onRefused: () => undefined }, () => undefined)
}
const at = (scheme: string, port = 1): ListenUrl => ({ scheme, host: 'x', port })
/** Reasons with which connections from `hosts` are refused at the listener in turn; `in` for those who are not. */
const enter = (listener: number, ...hosts: string[]): string[] =>
  hosts.map(host => opened[listener]!.options.gate.enter(host)?.why ?? 'in')

it('each scheme has what it needs, and no more', async () => {
  const schemes = ['mqtt', 'mqtts', 'ws', 'wss', 'plaintext', 'ssl']
  await openAll({}, ...schemes.map(scheme => at(scheme)), { scheme: 'unix', host: '', port: 0, path: '/m' })
  const shown = opened.map(({ options }) => [options.tls !== undefined, options.webSocket !== undefined])
  expect(shown).toEqual([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
    [false, false],
    [true, false],
    [false, false],
  ])
  expect(opened.every(({ options }) => options.proxyHeader === undefined)).toBe(true)
  expect(opened.map(({ address }) => address).slice(-2)).toEqual([{ host: 'x', port: 1 }, { path: '/m' }])
})

it('listeners of a front share its limits; one with settings of its own has those as well', async () => {
  const listeners = new Map([['mqtt://x:2', { 'mqtt.connections.max': 1, 'proxy.protocol': 'v2' as const }]])
  await openAll({ 'mqtt.connections.max': 3, listeners }, at('mqtt'), at('mqtt', 2), at('plaintext'))
  expect(opened.map(({ options }) => options.proxyHeader !== undefined)).toEqual([false, true, false])
  expect(enter(1, 'a', 'b')).toEqual(['in', 'mqtt://x:2 has 1 connections'])
  expect(enter(0, 'a', 'b', 'c')).toEqual(['in', 'in', 'mqtt has 3 connections'])
  expect(enter(2, 'a', 'b')).toEqual(['in', 'in'])
})

it('TLS connections of all fronts have one limit', async () => {
  await openAll({ 'tls.connections.max': 2 }, at('mqtts'), at('wss'), at('ssl'), at('mqtt'))
  expect([...enter(0, 'a'), ...enter(2, 'a'), ...enter(1, 'a'), ...enter(3, 'a')]).toEqual([
    'in',
    'in',
    'TLS has 2 connections',
    'in',
  ])
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect } from 'vitest'
import { pahoC, requireClient } from '../support/foreign-client.ts'
import { Gateway } from '../support/gateway.ts'
import { makeCertificate } from '../support/test-certificates.ts'
import { type RunningProgram, startProgram } from '../support/tools.ts'

/** Paho's C client keeps its session, buffers while it is away, and comes back by itself. */

let gateway: Gateway
let client: RunningProgram | undefined
let directory: string | undefined

afterEach(async () => {
  await client?.stop()
  await gateway?.dispose()
  if (directory !== undefined) await rm(directory, { recursive: true, force: true })
  client = undefined
  directory = undefined
})

const start = (...args: string[]): RunningProgram => (client = startProgram(pahoC.command[0], args))
const say = (...lines: string[]) => client!.child.stdin.write(lines.map(line => `${line}\n`).join(''))

/** Its lines that begin so, sorted, once there are `count` of them. */
async function linesOf(start: string, count: number): Promise<string[]> {
  const found = (): string[] => client!.lines().filter(line => line.startsWith(start))
  await expect.poll(found).toHaveLength(count)
  return found().sort()
}

/** Disconnects in its own way. */
async function leave(): Promise<void> {
  const ended = new Promise(resolve => client!.child.once('close', resolve))
  client!.child.stdin.end()
  expect(await ended, client!.stderr()).toBe(0)
}

const test = requireClient(pahoC)

describe('Paho for C', () => {
  for (const version of ['3', '4', '5'] as const) {
    const user = version === '5' ? ' unit=C unit=F' : ''
    const row = (payload: string, qos: number, retained = 0) => `received paho/x ${payload} ${qos} ${retained}${user}`

    test(`version ${version}: what is published while the gateway is dead arrives once it is back`, async () => {
      gateway = await Gateway.start({ keepsAddresses: true })
      const address = `tcp://${gateway.addresses.mqtt}`
      start(address, version)
      await linesOf('connected', 1)
      say('subscribe 2 paho/#')
      await linesOf('subscribed', 1)
      say('publish 0 0 paho/x live-0', 'publish 1 0 paho/x live-1', 'publish 2 0 paho/x live-2')
      await linesOf('delivered', 3)
      expect(await linesOf('received', 3)).toEqual([row('live-0', 0), row('live-1', 1), row('live-2', 2)])

      await gateway.kill()
      await linesOf('lost', 1)
      say('publish 1 1 paho/x away-0', 'publish 1 0 paho/x away-1', 'publish 2 0 paho/x away-2')
      await gateway.restart()
      await linesOf('connected', 2)
      await linesOf('delivered away', 3)
      // it does not subscribe again: the session was kept
      // live ones may come again after kill -9; it takes one of QoS 2 at PUBREL, after what came in between
      expect(await linesOf('received paho/x away', 3)).toEqual([row('away-0', 1), row('away-1', 1), row('away-2', 2)])
      await leave()

      start(address, version)
      await linesOf('connected', 1)
      say('subscribe 1 paho/#')
      expect(await linesOf('received', 1)).toEqual([row('away-0', 1, 1)])
      await leave()
    })
  }

  test('over TLS, and not without the CA', async () => {
    directory = await mkdtemp(join(tmpdir(), 'brooklet-paho-c-'))
    const at = (name: string): string => join(directory!, name)
    const ca = makeCertificate('ca', { isCa: true })
    const { cert, key } = makeCertificate('gw', { issuer: ca })
    await writeFile(at('ca.pem'), ca.cert)
    await writeFile(at('other.pem'), makeCertificate('other', { isCa: true }).cert)
    await writeFile(at('gw.pem'), cert)
    await writeFile(at('gw.key'), key, { mode: 0o600 })
    gateway = await Gateway.start({
      settings: { 'mqtt.listen': 'mqtts://127.0.0.1:0', 'tls.cert': at('gw.pem'), 'tls.key': at('gw.key') },
    })
    const address = `ssl://${gateway.addresses['mqtts']}`
    start(address, '5', at('ca.pem'))
    await linesOf('connected', 1)
    say('publish 2 0 paho/x secret')
    await linesOf('delivered', 1)
    await leave()

    start(address, '5', at('other.pem'))
    const code = await new Promise(resolve => client!.child.once('close', resolve))
    expect([code, client!.lines()]).toEqual([1, []])
  })
})

import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Gateway, type GatewayOptions, runBrooklet, serveArguments } from '../support/gateway.ts'

let directory = ''
let server: Server | undefined
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-start-'))
})
afterEach(async () => {
  server?.close()
  server = undefined
  await rm(directory, { recursive: true, force: true })
})

const takenPort = (): Promise<number> =>
  new Promise(resolve => {
    server = createServer().listen(0, '127.0.0.1', () => resolve((server!.address() as { port: number }).port))
  })
const start = (dataDirectory: string, options: GatewayOptions = {}) =>
  runBrooklet(serveArguments(dataDirectory, options), options)

describe.each([
  ['mqtt.listen', 'mqtt://127.0.0.1:'],
  ['mqtt.listen', 'ws://127.0.0.1:'],
  ['kafka.listen', 'plaintext://127.0.0.1:'],
  ['http.listen', 'http://127.0.0.1:'],
])('%s on a taken port (%s)', (key, url) => {
  it('ends with 69 as often as it is tried, and the next start is one after a clean stop', async () => {
    const settings = { [key]: `${url}${await takenPort()}` }
    const first = await Gateway.start({ dataDirectory: directory })
    const device = await connectAsync(first.mqttUrl)
    await device.publishAsync('kept/a', 'reading', { qos: 1, retain: true })
    await device.endAsync()
    expect(await first.stop()).toEqual({ code: 0, signal: null })
    for (let attempt = 0; attempt < 3; attempt++) {
      const { code, stdout, stderr } = await start(directory, { settings })
      expect([code, stdout]).toEqual([69, ''])
      expect(stderr).toMatch(new RegExp(`^brooklet: ${key}: .*EADDRINUSE.*; choose another address with --`, 'm'))
      const record = JSON.parse(await readFile(join(directory, 'views.starts'), 'utf8'))
      expect(record, 'no start without a clean stop is known').toMatchObject({ opening: false, starts: [] })
    }
    const gateway = await Gateway.start({ dataDirectory: directory })
    try {
      expect(gateway.stderr).not.toMatch(/rebuilt|abnormal|scanned/)
      const metrics = await (await fetch(`${gateway.httpUrl}/metrics`)).text()
      expect(metrics, 'views are used, not rebuilt').not.toMatch(/^brooklet_view_rebuilds_total\{.*\} [1-9]/m)
    } finally {
      await gateway.dispose()
    }
  })
})

describe('a data.dir that cannot be', () => {
  const isRoot = process.getuid?.() === 0
  const paths: Readonly<Record<string, () => Promise<string>>> = {
    'under /proc': async () => '/proc/brooklet/data',
    'under /sys': async () => '/sys/brooklet',
    'below a file': async () => {
      await writeFile(join(directory, 'file'), '')
      return join(directory, 'file/data')
    },
    'a file itself': async () => {
      await writeFile(join(directory, 'file'), '')
      return join(directory, 'file')
    },
    'a name that is too long': async () => join(directory, 'x'.repeat(300)),
    'a dangling link': async () => '/proc/self/fd/999/data',
  }
  it.each(Object.keys(paths))('%s: exit 65 and one line that says what to do', async name => {
    const path = await paths[name]!()
    const { code, stdout, stderr } = await start(path, { settings: { 'disk.budget': '40%' } })
    expect([code, stdout]).toEqual([65, ''])
    expect(stderr).toMatch(
      /^brooklet: data\.dir: .* cannot be used: .*; mend that, or choose another with --data-dir .*\n$/,
    )
  })

  it.skipIf(!isRoot)('in a directory of another user: exit 65 (needs root to become one)', async () => {
    const parent = join(directory, 'parent')
    await mkdir(parent)
    await chmod(directory, 0o755)
    await chown(parent, 0, 0)
    await chmod(parent, 0o555)
    const { code, stderr } = await start(join(parent, 'data'), {
      prefix: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
    })
    expect(code, stderr).toBe(65)
    expect(stderr).toMatch(/^brooklet: data\.dir: .*EACCES.* --data-dir /)
  })
})

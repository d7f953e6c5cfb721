import { execFile } from 'node:child_process'
import { createServer, connect as dial, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FaultProxy } from '../support/fault-proxy.ts'
import { LinkNamespace, requireLinkNamespace } from '../support/link-namespace.ts'

/** The links that the tests of the uplink cut, proven by themselves. */

let server: Server
let serverPort = 0
/** The sides of the broker. */
const served: Socket[] = []
const clients: Socket[] = []

beforeEach(async () => {
  server = createServer(socket => {
    served.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', chunk => socket.write(chunk))
  })
  await new Promise<void>(resolve => server.listen(0, '0.0.0.0', resolve))
  const address = server.address()
  if (address !== null && typeof address !== 'string') serverPort = address.port
})

afterEach(async () => {
  for (const socket of [...clients.splice(0), ...served.splice(0)]) socket.destroy()
  await new Promise(resolve => server.close(resolve))
})

/** A client whose bytes come back. */
const connect = async (port: number) => {
  const socket = dial({ port, host: '127.0.0.1' })
  clients.push(socket)
  const client = { socket, echoed: 0, closed: false }
  socket.on('data', ({ length }) => {
    client.echoed += length
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    client.closed = true
  })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return client
}

const until = async (done: () => boolean): Promise<void> => {
  while (!done()) await sleep(5)
}

test('the proxy hands bytes on whole, with the latency and at the rate that it is told', async () => {
  const proxy = await FaultProxy.start(serverPort)
  proxy.link = { latencyMs: 20, bytesPerSecond: 100_000 }
  const client = await connect(proxy.port)
  const startMs = Date.now()
  client.socket.write(Buffer.alloc(20_000))
  await until(() => client.echoed === 20_000)
  // it may be later, and never earlier
  expect(Date.now() - startMs).toBeGreaterThanOrEqual(200 + 40 - 2)
  expect(proxy.passedBytes).toEqual({ up: 20_000, down: 20_000 })
  await proxy.close()
})

test('what waits in a black hole arrives when it ends', async () => {
  const proxy = await FaultProxy.start(serverPort)
  const client = await connect(proxy.port)
  proxy.blackHole()
  client.socket.write('abc')
  const late = await connect(proxy.port)
  late.socket.write('de')
  await sleep(50)
  expect([client.echoed, late.echoed, client.closed, late.closed]).toEqual([0, 0, false, false])
  proxy.restore()
  await until(() => client.echoed === 3 && late.echoed === 2)
  await proxy.close()
})

test('a cut comes in the middle, a half-open connection says nothing, a refusing link resets', async () => {
  const proxy = await FaultProxy.start(serverPort)
  const cut = await connect(proxy.port)
  proxy.cutAfter('up', 5)
  cut.socket.write('0123456789')
  await until(() => cut.closed)
  expect(proxy.passedBytes.up).toBe(5)

  const half = await connect(proxy.port)
  await until(() => served.length === 2)
  proxy.halfOpen()
  await until(() => served[1]!.destroyed)
  half.socket.write('nobody hears')
  await sleep(30)
  expect([half.echoed, half.closed]).toEqual([0, false])

  proxy.refuse()
  await until(() => half.closed)
  const refused = await connect(proxy.port).catch(() => undefined)
  await until(() => refused?.closed ?? true)
  proxy.restore()
  const client = await connect(proxy.port)
  client.socket.write('abc')
  await until(() => client.echoed === 3)
  await proxy.close()
})

requireLinkNamespace()('packets of a namespace are dropped and let through again', async () => {
  const namespace = LinkNamespace.create()
  try {
    const program = `
      const socket = require('node:net').connect({ host: '${namespace.host}', port: ${serverPort}, timeout: 60000 })
      socket.on('connect', () => socket.write('abc')).on('data', () => process.exit(0))
      socket.on('timeout', () => process.exit(1)).on('error', () => process.exit(2))`
    const [file, ...args] = namespace.prefix
    namespace.blackHole()
    const ended = new Promise<number | null>(resolve => {
      const child = execFile(file, [...args, process.execPath, '-e', program])
      child.once('exit', resolve)
    })
    await sleep(300)
    expect(served).toHaveLength(0)
    namespace.restore()
    namespace.limit(50_000)
    expect(await ended).toBe(0)
    expect(served).toHaveLength(1)
  } finally {
    namespace.remove()
  }
})

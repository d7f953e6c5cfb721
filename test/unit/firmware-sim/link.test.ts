import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type LinkConditions, wire } from '../../../firmware-sim/delay-line.ts'
import { Link, linkDownCode } from '../../../firmware-sim/link.ts'
import { Random } from '../../../firmware-sim/random.ts'

let echo: Server
const accepted = new Set<Socket>()

beforeEach(async () => {
  echo = createServer(socket => {
    accepted.add(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
})
afterEach(() => {
  for (const socket of accepted) socket.destroy()
  accepted.clear()
  echo.close()
})

const link = (conditions: Partial<LinkConditions> = {}, mayStall = false) =>
  new Link({
    dial: () => connect({ port: (echo.address() as AddressInfo).port, host: '127.0.0.1' }),
    conditions: { ...wire, ...conditions },
    random: new Random(1),
    now: () => performance.now(),
    mayStall,
  })

/** The next bytes out of the stream, that many. */
const echoed = (stream: Duplex, bytes: number): Promise<Buffer> =>
  new Promise(resolve => {
    let received = Buffer.alloc(0)
    const take = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < bytes) return
      stream.off('data', take)
      resolve(received)
    }
    stream.on('data', take)
  })

test.each([
  ['perfect', {}],
  ['slow', { latencyMs: 2, jitterMs: 3 }],
  ['lossy', { lossRatio: 0.02 }],
])('a %s link carries every byte in order', async (_name, conditions) => {
  const stream = link(conditions).open()
  const sent = Buffer.alloc(200_000, 'brooklet ')
  const back = echoed(stream, sent.length)
  stream.write(sent)
  expect((await back).equals(sent)).toBe(true)
  stream.destroy()
})

test('a drop breaks the connection at once, refuses new ones, and ends', async () => {
  for (const conditions of [{}, { latencyMs: 5 }]) {
    const under = link(conditions)
    const stream = under.open()
    const broken = once(stream, 'error')
    under.begin('drop')
    expect((await broken)[0]).toMatchObject({ code: linkDownCode })
    const refused = under.open()
    expect((await once(refused, 'error'))[0]).toMatchObject({ code: linkDownCode })
    under.end('drop')
    const again = under.open()
    const back = echoed(again, 5)
    again.write('hello')
    expect((await back).toString()).toBe('hello')
    again.destroy()
  }
})

test('a stalled link says nothing and loses nothing; a connection opened in it is made after it', async () => {
  const under = link({}, true)
  const stream = under.open()
  const first = echoed(stream, 1)
  stream.write('a')
  await first
  under.begin('stall')
  let heard = 0
  stream.on('data', () => heard++)
  stream.write('bc')
  const opened = accepted.size
  const late = link({}, true)
  late.begin('stall')
  const lateStream = late.open()
  lateStream.write('x')
  await new Promise(resolve => setTimeout(resolve, 50))
  expect(heard).toBe(0)
  expect(accepted.size).toBe(opened)
  const rest = echoed(stream, 2)
  under.end('stall')
  expect((await rest).toString()).toBe('bc')
  const lateBack = echoed(lateStream, 1)
  late.end('stall')
  expect((await lateBack).toString()).toBe('x')
  stream.destroy()
  lateStream.destroy()
})

test('overlapping drops: the link is well when the last has ended, and none can end that has not begun', () => {
  const under = link()
  under.begin('drop')
  under.begin('drop')
  under.end('drop')
  expect(under.isDown).toBe(true)
  under.end('drop')
  expect(under.isDown).toBe(false)
  expect(() => under.end('drop')).toThrow()
})

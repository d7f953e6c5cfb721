import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Connection, Listener } from '../../../src/platform/network.ts'
import { nodeNetwork } from '../../../src/platform/node/network.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A listener of ours and a plain socket of Node connected to it. */
const accepted = async (host = '127.0.0.1'): Promise<{ connection: Connection; peer: Socket; listener: Listener }> => {
  let accept: (connection: Connection) => void = () => {}
  const connecting = new Promise<Connection>(resolve => {
    accept = resolve
  })
  const listener = await nodeNetwork.listen({ host, port: 0 }, connection => accept(connection))
  closers.push(() => listener.close())
  const peer = createConnection({ host: '127.0.0.1', port: listener.address.port })
  peer.on('error', () => undefined)
  closers.push(() => peer.destroy())
  const connection = await connecting
  closers.push(() => connection.destroy())
  return { connection, peer, listener }
}

const until = async (what: () => boolean): Promise<void> => {
  while (!what()) await new Promise(resolve => setTimeout(resolve, 5))
}
const received = (peer: Socket): { text: string } => {
  const seen = { text: '' }
  peer.on('data', chunk => {
    seen.text += chunk
  })
  return seen
}

describe('a connection', () => {
  it('names both ends, an IPv4 client of a wildcard listener plainly', async () => {
    const { connection, peer, listener } = await accepted('::')
    expect(connection.remote).toBe(`127.0.0.1:${peer.localPort}`)
    expect(connection.local).toEqual({ host: '127.0.0.1', port: listener.address.port })
  })

  it('sends chunks in the order of the calls, and all of them before it ends', async () => {
    const { connection, peer } = await accepted()
    const seen = received(peer)
    const closed = new Promise(resolve => peer.once('close', resolve))
    connection.write([Buffer.from('1')])
    connection.write([Buffer.from('2'), Buffer.from('3'), Buffer.from('4')])
    connection.write([Buffer.from('5')])
    connection.end()
    await closed
    expect(seen.text).toBe('12345')
  })

  it('tells what waits for a peer that does not read, and when it has gone', async () => {
    const { connection, peer } = await accepted()
    peer.pause()
    let drained = 0
    connection.onDrain(() => drained++)
    const chunk = Buffer.alloc(1 << 20)
    let isDrained = true
    for (let count = 0; count < 32; count++) isDrained = connection.write([chunk, chunk])
    expect(isDrained).toBe(false)
    expect(connection.pendingBytes).toBeGreaterThan(8 << 20)
    expect(drained).toBe(0)
    let bytes = 0
    peer.on('data', data => {
      bytes += data.length
    })
    peer.resume()
    await until(() => bytes === 64 << 20)
    await until(() => drained > 0)
    expect(connection.pendingBytes).toBe(0)
  })

  it('reads nothing while it is paused', async () => {
    const { connection, peer } = await accepted()
    let text = ''
    connection.onData(chunk => {
      text += chunk
    })
    connection.pause()
    peer.write('later')
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(text).toBe('')
    connection.resume()
    await until(() => text === 'later')
  })

  it('says once that it is closed: without an error at an end, with it at a reset', async () => {
    const ended = await accepted()
    const ends: (Error | undefined)[] = []
    ended.connection.onClose(error => ends.push(error))
    ended.connection.onData(() => undefined)
    ended.peer.end()
    await until(() => ends.length > 0)
    expect(ends).toEqual([undefined])

    const reset = await accepted()
    const resets: (Error | undefined)[] = []
    reset.connection.onClose(error => resets.push(error))
    reset.connection.onData(() => undefined)
    reset.peer.resetAndDestroy()
    await until(() => resets.length > 0)
    expect(resets).toEqual([expect.objectContaining({ code: 'ECONNRESET' })])
  })

  it('is gone at once when it is destroyed', async () => {
    const { connection, peer } = await accepted()
    let isClosed = false
    connection.onClose(() => {
      isClosed = true
    })
    peer.resume()
    connection.destroy()
    await new Promise(resolve => peer.once('close', resolve))
    await until(() => isClosed)
  })
})

describe('a listener', () => {
  it('that was closed accepts nobody, and keeps who is there', async () => {
    const { connection, peer, listener } = await accepted()
    await listener.close()
    await expect(nodeNetwork.connect(listener.address, 5000)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const seen = received(peer)
    connection.write([Buffer.from('still here')])
    await until(() => seen.text === 'still here')
  })

  it('cannot be where this machine is not', async () => {
    await expect(nodeNetwork.listen({ host: '192.0.2.1', port: 0 }, () => {})).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
    })
  })
})

describe('connecting', () => {
  it('gives a connection that works both ways', async () => {
    const server: Server = createServer(socket => socket.pipe(socket))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    closers.push(() => server.close())
    const { port } = server.address() as { port: number }
    const connection = await nodeNetwork.connect({ host: '127.0.0.1', port }, 5000)
    closers.push(() => connection.destroy())
    expect(connection.remote).toBe(`127.0.0.1:${port}`)
    let text = ''
    connection.onData(chunk => {
      text += chunk
    })
    connection.write([Buffer.from('echo')])
    await until(() => text === 'echo')
  })

  it('ends with ETIMEDOUT where nobody answers', async () => {
    // a process that listens and does nothing else: its backlog fills, after that the kernel answers nobody
    const directory = await mkdtemp(join(tmpdir(), 'brooklet-network-'))
    closers.push(() => rm(directory, { recursive: true, force: true }))
    const script = join(directory, 'deaf.mjs')
    await writeFile(
      script,
      `import { createServer } from 'node:net'
      const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () =>
        process.send(server.address().port, () => { for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) }))`,
    )
    const child: ChildProcess = fork(script, { execArgv: [] })
    closers.push(() => child.kill('SIGKILL'))
    const port = await new Promise<number>(resolve => child.once('message', message => resolve(message as number)))
    const failures = await Promise.all(
      Array.from({ length: 8 }, () =>
        nodeNetwork.connect({ host: '127.0.0.1', port }, 300).then(
          connection => {
            closers.push(() => connection.destroy())
            return 'connected'
          },
          (error: NodeJS.ErrnoException) => `${error.code}: ${error.message}`,
        ),
      ),
    )
    expect(failures).toContain(`ETIMEDOUT: no answer from 127.0.0.1:${port} within 300 ms`)
  })
})

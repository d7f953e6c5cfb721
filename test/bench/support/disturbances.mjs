// Loaded into the gateway's process before it (node --import): what others do in it to the pool of threads and to the CPU, on command. Listens on
// the Unix socket that BENCH_DISTURB names, and answers a line when the work is done.
import { scrypt } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { closeSync, constants, open, openSync } from 'node:fs'
import { createServer } from 'node:net'
import { promisify } from 'node:util'

const hash = promisify(scrypt)
const openFile = promisify(open)

/** Of libuv, unless the environment says otherwise. */
const poolThreads = 4

/** `count` jobs, `atOnce` of them at a time. */
const inTurn = async (count, atOnce, job) => {
  let left = count
  const work = async () => {
    while (left-- > 0) await job()
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

const works = {
  /** Logins: Node's default cost (16,384 x 8), which takes a core for some 50 ms. */
  scrypt: ({ count, atOnce }) => inTurn(count, atOnce, () => hash('password', 'salt', 32)),
  /** Names asked of a server that never answers, as the product resolves names: not in the pool. */
  resolve: async ({ count, server, timeoutMs }) => {
    const resolver = new Resolver({ timeout: timeoutMs, tries: 1 })
    resolver.setServers([server])
    await inTurn(count, count, () => resolver.resolve4('dead.example').catch(() => {}))
  },
  /** The same through getaddrinfo: each holds a thread of the pool as long as the resolver keeps silent. Here the open of a FIFO without a writer. */
  lookup: async ({ fifos, heldMs }) => {
    const waiting = [...fifos]
    // not through the pool, which is full
    const release = setInterval(() => {
      for (const fifo of waiting.splice(0, poolThreads))
        closeSync(openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK))
    }, heldMs)
    await Promise.all(fifos.map(async fifo => closeSync(await openFile(fifo, 'r'))))
    clearInterval(release)
  },
}

createServer(socket => {
  socket.on('error', () => {})
  socket.once('data', async text => {
    const { kind, ...work } = JSON.parse(text)
    await works[kind](work)
    socket.end('done\n')
  })
})
  .listen(process.env.BENCH_DISTURB)
  .unref()

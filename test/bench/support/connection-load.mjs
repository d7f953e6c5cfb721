// Many connections in a process of its own: node connection-load.mjs '{"port":1883,"connections":10000,"subscribes":true}'. They connect, wait for the line
// "storm" on standard input, are all cut, and come back all at once. Prints a line of JSON when all are there, and one when all are there again.
import { createInterface } from 'node:readline'
import { openClient } from './mqtt-frames.mjs'

const { port, connections, subscribes } = JSON.parse(process.argv[2])
/** Connects that the first time are under way together. */
const firstAtOnce = 200
const perAddress = 5000

// nothing that is said afterwards matters, so that all read into one buffer
const ignore = Object.assign(() => {}, { buffer: Buffer.alloc(64) })

const open = index =>
  openClient(
    {
      port,
      clientId: `idle-${index}`,
      localAddress: `127.0.0.${2 + Math.floor(index / perAddress)}`,
      ...(subscribes && { filter: `commands/idle-${index}/#`, qos: 1 }),
    },
    ignore,
  )

/** A broker whose backlog is full resets connections: devices try again. */
const persist = async index => {
  for (let tries = 0; ; tries++) {
    try {
      return { socket: await open(index), tries }
    } catch (error) {
      if (tries === 100) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

const report = figures => process.stdout.write(`${JSON.stringify(figures)}\n`)
const all = Array.from({ length: connections }, (_, index) => index)
const sockets = []
for (let from = 0; from < connections; from += firstAtOnce) {
  const opened = await Promise.all(all.slice(from, from + firstAtOnce).map(persist))
  sockets.push(...opened.map(({ socket }) => socket))
}
let lost = 0
for (const socket of sockets) socket.on('close', () => lost++)
report({ connected: sockets.length })

for await (const line of createInterface({ input: process.stdin })) {
  if (line !== 'storm') continue
  const lostBefore = lost
  for (const socket of sockets) socket.resetAndDestroy()
  const startedMs = performance.now()
  const cpuBefore = process.cpuUsage()
  const back = await Promise.all(all.map(persist))
  const elapsedMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(cpuBefore)
  report({
    seconds: elapsedMs / 1000,
    loadCore: (user + system) / 1000 / elapsedMs,
    retries: back.reduce((sum, { tries }) => sum + tries, 0),
    lostBefore,
  })
  break
}
process.exit(0)

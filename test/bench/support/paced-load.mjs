// QoS 1 publishes at a given rate, whatever the broker's pace: devices do not wait. In the bench's own process.
import { createConnection } from 'node:net'

const variableLength = value => (value < 128 ? [value] : [(value & 127) | 128, value >> 7])
const lengthOf = text => [text.length >> 8, text.length & 255, ...Buffer.from(text)]
const packet = (type, body) => Buffer.concat([Buffer.from([type, ...variableLength(body.length)]), body])
const connectPacket = name => packet(0x10, Buffer.from([...lengthOf('MQTT'), 4, 2, 0, 0, ...lengthOf(name)]))

const publishPacket = (topic, id, payload) =>
  packet(0x32, Buffer.concat([Buffer.from([...lengthOf(topic), id >> 8, id & 255]), payload]))

const connect = (port, name) =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port, noDelay: true })
    socket.once('error', reject)
    socket.once('data', first => (first[3] === 0 ? resolve(socket) : reject(new Error('refused'))))
    socket.write(connectPacket(name))
  })

const connections = 16
const tickMs = 2

/**
 * `rate` publishes a second over `devices` MQTT topics until `stop()`, which waits for what is under way and resolves with
 * `{ sent, acked, latencyMs: { p50, p99 } }`. Latency counts from the moment at which the publish was due.
 */
export const startLoad = async ({ port, rate, devices, payloadBytes, folder = 'wear' }) => {
  const sockets = await Promise.all(Array.from({ length: connections }, (_, index) => connect(port, `paced-${index}`)))
  const payload = Buffer.alloc(payloadBytes, 0x61)
  const state = sockets.map(() => ({ due: [], next: 0, rest: 0 }))
  const latencies = []
  let sent = 0
  let acked = 0
  for (const [index, socket] of sockets.entries()) {
    const mine = state[index]
    socket.on('data', chunk => {
      const bytes = mine.rest + chunk.length
      mine.rest = bytes % 4
      const now = performance.now()
      for (let left = (bytes - mine.rest) / 4; left > 0; left--) {
        latencies.push(now - mine.due[mine.next++])
        acked++
      }
    })
  }
  const startedMs = performance.now()
  const tick = () => {
    const target = Math.floor(((performance.now() - startedMs) / 1000) * rate)
    const frames = sockets.map(() => [])
    for (; sent < target; sent++) {
      const at = sent % connections
      state[at].due.push(startedMs + ((sent + 1) / rate) * 1000)
      const id = (Math.floor(sent / connections) % 65_535) + 1
      frames[at].push(publishPacket(`${folder}/device-${(sent * 7919) % devices}/reading`, id, payload))
    }
    for (const [index, list] of frames.entries()) if (list.length > 0) sockets[index].write(Buffer.concat(list))
  }
  const timer = setInterval(tick, tickMs)
  return {
    counts: () => ({ sent, acked }),
    async stop() {
      clearInterval(timer)
      for (let waited = 0; waited < 10_000 && acked < sent; waited += 20)
        await new Promise(done => setTimeout(done, 20))
      for (const socket of sockets) socket.destroy()
      latencies.sort((a, b) => a - b)
      const at = part => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))] ?? Number.NaN
      return { sent, acked, latencyMs: { p50: at(0.5), p99: at(0.99) } }
    },
  }
}

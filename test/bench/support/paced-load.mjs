// QoS 1 publishes at a given rate, whatever the broker's pace: devices do not wait. In the bench's own process.
import { openClient, publishFrame } from './mqtt-frames.mjs'

const connections = 16
const tickMs = 2

/**
 * `rate` publishes a second over `devices` MQTT topics until `stop()`, which waits for what is under way and resolves with
 * `{ sent, acked, latencyMs: { p50, p99 } }`. Latency counts from the moment at which the publish was due. `stamped`: that moment, in
 * nanoseconds of the machine's monotonic clock, are the first 8 bytes of the payload.
 */
export const startLoad = async ({ port, rate, devices, payloadBytes, folder = 'wear', stamped = false }) => {
  const state = Array.from({ length: connections }, () => ({ due: [], next: 0, rest: 0 }))
  const sockets = await Promise.all(
    state.map((mine, index) => openClient({ port, clientId: `paced-${index}` }, (_, chunk) => takeAcks(mine, chunk))),
  )
  const payload = Buffer.alloc(payloadBytes, 0x61)
  const latencies = []
  let sent = 0
  let acked = 0
  const takeAcks = (mine, chunk) => {
    const bytes = mine.rest + chunk.length
    mine.rest = bytes % 4
    const now = performance.now()
    for (let left = (bytes - mine.rest) / 4; left > 0; left--) {
      latencies.push(now - mine.due[mine.next++])
      acked++
    }
  }
  const startedMs = performance.now()
  const toNanoseconds = process.hrtime.bigint() - BigInt(Math.round(startedMs * 1e6))
  const tick = () => {
    const target = Math.floor(((performance.now() - startedMs) / 1000) * rate)
    const frames = sockets.map(() => [])
    for (; sent < target; sent++) {
      const at = sent % connections
      const dueMs = startedMs + ((sent + 1) / rate) * 1000
      state[at].due.push(dueMs)
      if (stamped) payload.writeBigInt64BE(BigInt(Math.round(dueMs * 1e6)) + toNanoseconds)
      const id = (Math.floor(sent / connections) % 65_535) + 1
      frames[at].push(publishFrame(`${folder}/device-${(sent * 7919) % devices}/reading`, 1, id, payload))
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

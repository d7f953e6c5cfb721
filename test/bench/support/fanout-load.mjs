// Publishers and subscribers in one process of its own: node fanout-load.mjs '{"port":1883,...}'; prints one line of JSON at the end. Every subscriber gets every
// publish. A publisher has `inFlight` publishes on their way to all subscribers, so that no broker has to drop any; QoS 1 is acknowledged.
import { openClient, pubackFrames, publishFrame } from './mqtt-frames.mjs'

const options = {
  publishers: 1,
  subscribers: 100,
  inFlight: 20,
  payloadBytes: 64,
  qos: 0,
  warmUpMs: 1000,
  runMs: 4000,
  ...JSON.parse(process.argv[2] ?? '{}'),
}
const { port, publishers, subscribers, inFlight, payloadBytes, qos, warmUpMs, runMs } = options

const stalledMs = 5000
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))
const ids = 4096

/** All topics are as long, so that all frames are. */
const topicOf = publisher => `fan/device-${String(publisher).padStart(4, '0')}/reading`
const frameBytes = publishFrame(topicOf(0), qos, 1, Buffer.alloc(payloadBytes)).length
const idAt = 2 + 2 + topicOf(0).length
const publisherAt = 2 + 2 + 'fan/device-'.length

let delivered = 0
let measuring = false
let measured = 0
let ended = false
const sent = new Array(publishers).fill(0)
/** Deliveries of each publisher's publishes; divided by the subscribers, how many are done. */
const arrived = new Array(publishers).fill(0)

class Subscriber {
  rest = Buffer.alloc(0)

  take(socket, chunk) {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    const count = Math.floor(bytes.length / frameBytes)
    const packetIds = []
    for (let at = 0; at < count * frameBytes; at += frameBytes) {
      if (bytes[at] >> 4 !== 3) throw new Error(`a packet that is no PUBLISH: ${bytes[at]}`)
      if (qos > 0) packetIds.push((bytes[at + idAt] << 8) | bytes[at + idAt + 1])
      arrived[publishers === 1 ? 0 : Number(bytes.latin1Slice(at + publisherAt, at + publisherAt + 4))]++
    }
    // the chunk is read over
    this.rest = Buffer.from(bytes.subarray(count * frameBytes))
    if (packetIds.length > 0) socket.write(pubackFrames(packetIds))
    delivered += count
    if (measuring) measured += count
    schedule()
  }
}

let isScheduled = false
const schedule = () => {
  if (isScheduled) return
  isScheduled = true
  setImmediate(proceed)
}

const sockets = []
const next = new Array(publishers).fill(1)
const payload = Buffer.alloc(payloadBytes, 0x61)
const proceed = () => {
  isScheduled = false
  if (ended) return
  for (const [publisher, socket] of sockets.entries()) {
    const room = inFlight - (sent[publisher] - Math.floor(arrived[publisher] / subscribers))
    // half a window at a time, as readings come
    if (room < inFlight / 2) continue
    const frames = []
    for (let index = 0; index < room; index++) {
      frames.push(publishFrame(topicOf(publisher), qos, next[publisher], payload))
      next[publisher] = (next[publisher] % ids) + 1
    }
    sent[publisher] += room
    socket.write(frames.length === 1 ? frames[0] : Buffer.concat(frames))
  }
}

for (let index = 0; index < subscribers; index++) {
  const subscriber = new Subscriber()
  const client = { port, clientId: `subscriber-${index}`, filter: 'fan/#', qos }
  await openClient(client, (socket, chunk) => subscriber.take(socket, chunk))
}
for (let index = 0; index < publishers; index++) {
  sockets.push(await openClient({ port, clientId: `publisher-${index}` }, () => {}))
}
proceed()
await sleep(warmUpMs)
measuring = true
const cpuBefore = process.cpuUsage()
const startedMs = performance.now()
await sleep(runMs)
const elapsedMs = performance.now() - startedMs
const { user, system } = process.cpuUsage(cpuBefore)
measuring = false
ended = true
const expected = () => sent.reduce((sum, count) => sum + count, 0) * subscribers
for (let waited = 0; waited < stalledMs && delivered < expected(); waited += 20) await sleep(20)
process.stdout.write(
  `${JSON.stringify({
    rate: Math.round((measured / elapsedMs) * 1000),
    // near 1 the generator may be the limit, not the broker
    loadCore: (user + system) / 1000 / elapsedMs,
    sent: expected() / subscribers,
    delivered,
    missing: expected() - delivered,
  })}\n`,
)
process.exit(0)

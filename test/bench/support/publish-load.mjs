// Publishes as fast as the broker takes them: `connections` clients, each with `inFlight` publishes under way. A publish is done with PUBACK (QoS 1), with
// PUBCOMP (QoS 2), or with the PINGRESP to a PINGREQ that follows it (QoS 0; one for each half window). Frames are encoded once; packet ids go
// round. Run as a process of its own: node publish-load.mjs '{"port":1883,...}'; prints one line of JSON at the end.
import { createConnection } from 'node:net'

const options = {
  host: '127.0.0.1',
  connections: 50,
  inFlight: 20,
  payloadBytes: 64,
  warmUpMs: 1000,
  runMs: 4000,
  topic: 'bench/device-{n}/reading',
  qos: 1,
  /** 4 or 5. */
  version: 4,
  /** MQTT 5: each publish carries a content type. */
  properties: false,
  retain: false,
  ...JSON.parse(process.argv[2] ?? '{}'),
}

/** Publishes are timed one in so many: the generator must not be what is measured. */
const sampleEvery = 8
const ids = Math.max(1024, 8 * options.inFlight)
const PUBACK = 0x40
const PUBREC = 0x50
const PUBREL = 0x62
const PUBCOMP = 0x70
const pingreq = Buffer.from([0xc0, 0])
const pingrespBytes = 2

const variableLength = value => (value < 128 ? [value] : [(value & 127) | 128, value >> 7])

const noProperties = options.version === 5 ? [Buffer.from([0])] : []
const contentType = Buffer.from([13, 3, 0, 10, ...Buffer.from('text/plain')])

const connectFrame = clientId => {
  const id = Buffer.from(clientId)
  const body = Buffer.concat([
    Buffer.from([0, 4, 77, 81, 84, 84, options.version, 2, 0, 0]),
    ...noProperties,
    Buffer.from([0, id.length]),
    id,
  ])
  return Buffer.concat([Buffer.from([0x10, ...variableLength(body.length)]), body])
}

const publishFrame = (topic, packetId, payload) => {
  const name = Buffer.from(topic)
  const head = Buffer.from([name.length >> 8, name.length & 255])
  const properties = options.properties ? [contentType] : noProperties
  const id = options.qos === 0 ? [] : [Buffer.from([packetId >> 8, packetId & 255])]
  const body = Buffer.concat([head, name, ...id, ...properties, payload])
  return Buffer.concat([
    Buffer.from([0x30 | (options.qos << 1) | (options.retain ? 1 : 0), ...variableLength(body.length)]),
    body,
  ])
}

let measuring = false
let ended = false
let measured = 0
const samples = []

class Client {
  constructor(number) {
    const payload = Buffer.alloc(options.payloadBytes, 0x61 + (number % 26))
    const topic = options.topic.replace('{n}', String(number))
    const frames = Array.from({ length: ids }, (_, index) => publishFrame(topic, index + 1, payload))
    this.frameBytes = frames[0].length
    this.frames = Buffer.concat(frames)
    this.sentAt = new Float64Array(ids)
    this.next = 0
    this.acked = 0
    /** QoS 2: PUBREC has come. */
    this.received = 0
    this.sent = 0
    this.rest = Buffer.alloc(0)
    this.credit = 0
    /** QoS 0: how many publishes each PINGREQ under way stands for. */
    this.pings = []
    this.clientId = `bench-${number}`
    this.ready = new Promise((resolve, reject) => {
      this.take = chunk => (chunk[0] === 0x20 && chunk[3] === 0 ? resolve() : reject(new Error('refused')))
      // reads into one buffer, past the stream machinery
      const callback = (length, buffer) => {
        this.take(buffer.subarray(0, length))
        return true
      }
      const onread = { buffer: Buffer.alloc(64 * 1024), callback }
      this.socket = createConnection({ host: options.host, port: options.port, noDelay: true, onread })
      this.socket.once('error', reject)
      this.socket.once('connect', () => this.socket.write(connectFrame(this.clientId)))
    })
  }

  start() {
    this.take = chunk => this.receive(chunk)
    this.socket.on('close', () => {
      if (!ended) throw new Error(`${this.clientId} was disconnected after ${this.acked} acknowledgements`)
    })
    this.send(options.inFlight)
  }

  send(count) {
    if (ended) return
    this.credit = 0
    const now = performance.now()
    let left = count
    while (left > 0) {
      const run = Math.min(left, ids - this.next)
      const first = this.next * this.frameBytes
      this.socket.write(this.frames.subarray(first, first + run * this.frameBytes))
      for (let index = 0; index < run; index++) {
        if ((this.next + index) % sampleEvery === 0) this.sentAt[this.next + index] = now
      }
      this.next = (this.next + run) % ids
      left -= run
    }
    this.sent += count
    if (options.qos > 0) return
    this.socket.write(pingreq)
    this.pings.push(count)
  }

  receive(chunk) {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    const end = options.qos === 0 ? this.pongs(bytes) : this.acks(bytes)
    // the chunk is read over
    this.rest = Buffer.from(bytes.subarray(end))
    // half a window at a time: one frame for each acknowledgement would measure wake-ups
    if (this.credit >= options.inFlight / 2) this.send(this.credit)
  }

  pongs(bytes) {
    const count = Math.floor(bytes.length / pingrespBytes)
    for (let index = 0; index < count; index++) this.done(this.pings.shift())
    return count * pingrespBytes
  }

  /** Acknowledgements come in the order of their packets; both kinds of QoS 2 do, each for itself. */
  acks(bytes) {
    const last = options.qos === 1 ? PUBACK : PUBCOMP
    let at = 0
    let released = 0
    let done = 0
    while (at + 4 <= bytes.length && at + 2 + bytes[at + 1] <= bytes.length) {
      const type = bytes[at]
      const id = (bytes[at + 2] << 8) | bytes[at + 3]
      // MQTT 5 lets the reason code be left out or not
      if (bytes[at + 1] > 2 && bytes[at + 4] >= 0x80) throw new Error(`${this.clientId}: refused with ${bytes[at + 4]}`)
      if (type === last) this.expect(type, id, this.acked + done++)
      else if (type === PUBREC) this.expect(type, id, this.received + released++)
      else throw new Error(`${this.clientId}: packet type ${type}`)
      at += 2 + bytes[at + 1]
    }
    if (released > 0) this.release(released)
    if (done > 0) this.done(done)
    return at
  }

  expect(type, id, index) {
    if (id !== (index % ids) + 1) throw new Error(`${this.clientId}: ${type} ${id} out of order after ${index}`)
  }

  release(count) {
    const packets = Buffer.allocUnsafe(4 * count)
    for (let index = 0; index < count; index++) {
      const id = ((this.received + index) % ids) + 1
      packets.writeUInt32BE(((PUBREL << 24) | (2 << 16) | id) >>> 0, 4 * index)
    }
    this.received += count
    this.socket.write(packets)
  }

  /** The next `count` publishes are. */
  done(count) {
    if (measuring) {
      const now = performance.now()
      for (let index = 0; index < count; index++) {
        const slot = (this.acked + index) % ids
        if (slot % sampleEvery === 0) samples.push(now - this.sentAt[slot])
      }
      measured += count
    }
    this.acked += count
    this.credit += count
  }
}

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))
const clients = Array.from({ length: options.connections }, (_, index) => new Client(index))
await Promise.all(clients.map(client => client.ready))
for (const client of clients) client.start()
await sleep(options.warmUpMs)
measuring = true
process.send?.('measuring')
const cpuBefore = process.cpuUsage()
const startedMs = performance.now()
await sleep(options.runMs)
const elapsedMs = performance.now() - startedMs
const cpuAfter = process.cpuUsage(cpuBefore)
measuring = false
process.send?.('measured')
ended = true
// what is under way is still acknowledged
for (let waited = 0; waited < 5000 && clients.some(client => client.acked < client.sent); waited += 20) await sleep(20)
samples.sort((a, b) => a - b)
const at = part => samples[Math.min(samples.length - 1, Math.floor(samples.length * part))] ?? 0
const { user, system } = cpuAfter
const result = {
  // near 1 the generator may be the limit, not the broker
  loadCore: (user + system) / 1000 / elapsedMs,
  rate: Math.round((measured / elapsedMs) * 1000),
  measured,
  p50Ms: at(0.5),
  p99Ms: at(0.99),
  sent: clients.reduce((sum, { sent }) => sum + sent, 0),
  acked: clients.reduce((sum, { acked }) => sum + acked, 0),
}
for (const { socket } of clients) socket.destroy()
process.stdout.write(`${JSON.stringify(result)}\n`)

// Readings of the profile env as `brooklet sim --seed 7` makes them, but as fast as they are taken. Bundled, as it imports TypeScript:
// node env-backlog.mjs '{"port":1883,"records":100000}' publishes them with QoS 1 and prints how many; '{"file":"/path","records":100000}' writes
// their payloads, one a line.
import { createWriteStream } from 'node:fs'
import { encodePayload } from '../../../devices/payload.ts'
import { fillTopic } from '../../../devices/topic.ts'
import { profileNamed } from '../../../firmware-sim/index.ts'
import { Random } from '../../../firmware-sim/random.ts'
import { readingsOf } from '../../../firmware-sim/readings.ts'
import { openClient, publishFrame } from './mqtt-frames.mjs'

const { port, file, records, devices = 200 } = JSON.parse(process.argv[2])
const seed = 7
const startMs = Date.UTC(2026, 0, 1)
/** Of each device; then they come again. */
const distinctReadings = 250
const connections = 20
const inFlight = 500
const pubackBytes = 4

const profile = profileNamed('env')
const { readingsPerSecond } = profile.sampling
const random = new Random(seed).split(profile.name)

const payloadsOf = device => {
  const next = readingsOf({ profile, random: random.split(device), startMs, readingsPerSecond })
  return Array.from({ length: distinctReadings }, () => encodePayload(profile, next(), 'json'))
}

const topicOf = device =>
  fillTopic(profile.mqttTopic, { site: 'lab', device: `env-${String(device).padStart(5, '0')}` })

/** The readings of these devices in turn, `quota` of them, over one connection. */
const publish = async (clientId, own, quota) => {
  const payloads = own.map(payloadsOf)
  const frames = []
  for (let reading = 0; reading < distinctReadings; reading++)
    for (const [at, device] of own.entries())
      frames.push(publishFrame(topicOf(device), 1, frames.length + 1, payloads[at][reading]))
  const ends = []
  for (const { length } of frames) ends.push((ends.at(-1) ?? 0) + length)
  const bytes = Buffer.concat(frames)
  let sent = 0
  let ackBytes = 0
  let done
  const finished = new Promise(resolve => (done = resolve))
  const send = socket => {
    let left = Math.min(inFlight - (sent - ackBytes / pubackBytes), quota - sent)
    while (left >= 1) {
      const first = sent % ends.length
      const run = Math.min(Math.floor(left), ends.length - first)
      socket.write(bytes.subarray(first === 0 ? 0 : ends[first - 1], ends[first + run - 1]))
      sent += run
      left -= run
    }
  }
  const socket = await openClient({ port, clientId }, (_, chunk) => {
    ackBytes += chunk.length
    const acked = ackBytes / pubackBytes
    if (acked >= quota) done()
    else if (sent - acked <= inFlight / 2) send(socket)
  })
  send(socket)
  await finished
  socket.destroy()
}

if (file !== undefined) {
  const all = Array.from({ length: devices }, (_, index) => payloadsOf(index + 1))
  const out = createWriteStream(file)
  let left = records
  for (let reading = 0; left > 0; reading++)
    for (const payloads of all) if (left-- > 0) out.write(`${payloads[reading % distinctReadings]}\n`)
  out.end()
} else {
  const quota = Math.ceil(records / connections)
  const ownOf = index => Array.from({ length: devices / connections }, (_, at) => at * connections + index + 1)
  await Promise.all(Array.from({ length: connections }, (_, index) => publish(`backlog-${index}`, ownOf(index), quota)))
  process.stdout.write(`${quota * connections}\n`)
}

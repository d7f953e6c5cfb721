// A client that subscribes and unsubscribes so many times a second, filters that nobody publishes to, until it is ended: node churn-load.mjs '{"port":1883,"perSecond":1000}'.
import { openClient, subscribeFrame, unsubscribeFrame } from './mqtt-frames.mjs'

const { port, perSecond } = JSON.parse(process.argv[2])
const everyMs = 10
const filters = 1000

const socket = await openClient({ port, clientId: 'churn' }, () => {})
const startedMs = performance.now()
let made = 0
setInterval(() => {
  const frames = []
  for (const due = ((performance.now() - startedMs) * perSecond) / 1000; made < due; made++) {
    const filter = `churn/${made % filters}/#`
    frames.push(subscribeFrame(filter, 0), unsubscribeFrame(filter))
  }
  if (frames.length > 0) socket.write(Buffer.concat(frames))
}, everyMs)

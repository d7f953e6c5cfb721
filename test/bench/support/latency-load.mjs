// A paced load with the time in each payload, in a process of its own: node latency-load.mjs '{"port":1883,"rate":10000,"seconds":5}'. One line of JSON at the end.
import { startLoad } from './paced-load.mjs'

const { seconds, ...load } = JSON.parse(process.argv[2])
const running = await startLoad({ devices: 100, payloadBytes: 64, stamped: true, ...load })
await new Promise(resolve => setTimeout(resolve, seconds * 1000))
process.stdout.write(`${JSON.stringify(await running.stop())}\n`)
process.exit(0)

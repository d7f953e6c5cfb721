// p99 of acknowledgements at the MQTT side, of gateways that are warm, while the uplink finds neither a resolver that answers nor a way to the central cluster, beside that with a good
// link. Root only: the gateway gets a resolv.conf of its own.
import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gatewayCore, sleep } from './backlog-gateway.mjs'
import { startGateway } from './gateway-process.mjs'
import { median } from './machine.mjs'
import { startLoad } from './paced-load.mjs'

const [rate, seconds, warmUpSeconds] = [2_000, 10, 6]
/** Takes questions and never answers. */
const resolverHost = '127.0.0.99'
const impatient = {
  'uplink.request.timeout.ms': '1s',
  'uplink.retry.backoff.ms': '50',
  'uplink.retry.backoff.max.ms': '100',
}

const deadResolver = () =>
  new Promise((resolve, reject) => {
    const socket = createSocket('udp4').once('error', reject)
    socket.bind(53, resolverHost, () => resolve(socket))
  })

export const deadLink = async (_central, { runs, settings, link }) => {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'))
  const resolvConf = join(directory, 'resolv.conf')
  writeFileSync(resolvConf, `nameserver ${resolverHost}\n`)
  const resolver = await deadResolver()
  const ownResolver = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    `mount --bind ${resolvConf} /etc/resolv.conf && exec "$@"`,
    'sh',
  ]
  const measure = async (bootstrap, prefix) => {
    const data = mkdtempSync(join(directory, 'data-'))
    const gateway = await startGateway(data, {
      core: gatewayCore,
      prefix,
      settings: { 'uplink.bootstrap.servers': bootstrap, ...impatient, ...settings },
    })
    try {
      const publish = async forSeconds => {
        const load = await startLoad({ port: gateway.mqttPort, rate, devices: 100, payloadBytes: 120 })
        await sleep(forSeconds * 1000)
        return load.stop()
      }
      await publish(warmUpSeconds)
      const { sent, acked, latencyMs } = await publish(seconds)
      if (acked !== sent) throw new Error(`${sent} sent, ${acked} acknowledged`)
      return latencyMs
    } finally {
      await gateway.end('SIGTERM')
    }
  }
  const found = []
  try {
    const links = {
      async good() {
        link.restore()
        return measure(link.address, [])
      },
      async dead() {
        link.blackHole()
        return measure(`dead.example.com:9092,other.example.com:9092,${link.address}`, ownResolver)
      },
    }
    // what comes first finds a cold broker
    await links.good()
    for (let index = 0; index < runs; index++) {
      const order = index % 2 === 0 ? ['good', 'dead'] : ['dead', 'good']
      const pair = {}
      for (const name of order) pair[name] = await links[name]()
      found.push(pair)
      process.stderr.write(`${JSON.stringify(pair)}\n`)
    }
  } finally {
    link.restore()
    resolver.close()
    rmSync(directory, { recursive: true, force: true })
  }
  const row = (what, key) => ({
    what,
    'ack p50 ms': median(found.map(one => one[key].p50)),
    'ack p99 ms': median(found.map(one => one[key].p99)),
  })
  const rows = [row('a good link', 'good'), row('a dead resolver, a black hole', 'dead')]
  const value = rows[1]['ack p99 ms'] / rows[0]['ack p99 ms']
  return {
    rows,
    found,
    checks: [{ name: 'p99 ack with a dead resolver and link over that with a good one', value, atMost: 2 }],
  }
}

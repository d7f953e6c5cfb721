// Brokers as processes pinned to one core, each on a directory of its own that goes with it.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const mainFile = fileURLToPath(new URL('../../../dist/main.js', import.meta.url))
const brokerCore = '0'

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

const accepts = port =>
  new Promise(resolve => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

const untilAccepts = async (port, child) => {
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) throw new Error(`the broker ended with exit code ${child.exitCode}`)
    if (await accepts(port)) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error('the broker does not listen')
}

const isInstalled = (program, args) => {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch (error) {
    return error.code !== 'ENOENT'
  }
}

const start = (command, args, directory) => {
  const child = spawn('taskset', ['-c', brokerCore, command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  // a bench that is stopped leaves no broker behind
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  child.output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', text => (child.output += text))
  const exited = new Promise(resolve => child.once('exit', resolve))
  return {
    pid: child.pid,
    child,
    directory,
    async stop() {
      child.kill('SIGTERM')
      await exited
      process.off('exit', end)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

const makeDirectory = parent => mkdtempSync(join(parent, 'bench-'))

/** `{ name, isInstalled, start(parentDirectory) -> { port, pid, directory, stop, ... } }` for each broker. */
export const brokers = {
  brooklet: {
    isInstalled: () => true,
    async start(parent, settings = {}) {
      const directory = makeDirectory(parent)
      const all = {
        'data.dir': directory,
        'mqtt.listen': 'mqtt://127.0.0.1:0',
        'kafka.listen': 'plaintext://127.0.0.1:0',
        'http.listen': 'http://127.0.0.1:0',
        ...settings,
      }
      const flags = Object.entries(all).flatMap(([key, value]) => ['--set', `${key}=${value}`])
      const broker = start(process.execPath, [mainFile, 'serve', ...flags], directory)
      const ready = await new Promise((resolve, reject) => {
        const look = () => {
          const found = /^brooklet ready (\{.*\})$/m.exec(broker.child.output)
          if (found !== null) resolve(JSON.parse(found[1]))
        }
        broker.child.stdout.on('data', look)
        broker.child.once('exit', code => reject(new Error(`exit code ${code}: ${broker.child.output}`)))
      })
      return { ...broker, port: Number(ready.mqtt.split(':').at(-1)), kafka: ready.kafka, http: ready.http }
    },
  },
  mosquitto: {
    isInstalled: () => isInstalled('mosquitto', ['-h']),
    async start(parent) {
      const directory = makeDirectory(parent)
      const port = await freePort()
      const config = join(directory, 'mosquitto.conf')
      writeFileSync(
        config,
        `listener ${port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nset_tcp_nodelay true\n`,
      )
      const broker = start('mosquitto', ['-c', config], directory)
      await untilAccepts(port, broker.child)
      return { ...broker, port }
    },
  },
  nats: {
    isInstalled: () => isInstalled(process.env['NATS_SERVER'] ?? 'nats-server', ['--version']),
    async start(parent) {
      const directory = makeDirectory(parent)
      const [port, clientPort] = [await freePort(), await freePort()]
      const config = join(directory, 'nats.conf')
      writeFileSync(
        config,
        `server_name: bench\nlisten: "127.0.0.1:${clientPort}"\njetstream { store_dir: "${directory}" }\nmqtt { listen: "127.0.0.1:${port}" }\n`,
      )
      const broker = start(process.env['NATS_SERVER'] ?? 'nats-server', ['-c', config], directory)
      await untilAccepts(port, broker.child)
      await makeStream(clientPort)
      return { ...broker, port, messages: () => streamMessages(clientPort) }
    },
  },
}

/** One request of the JetStream API over NATS' text protocol. */
const natsRequest = (port, subject, body) =>
  new Promise((resolve, reject) => {
    const payload = JSON.stringify(body)
    const socket = createConnection({ host: '127.0.0.1', port })
    let text = ''
    socket.once('error', reject)
    socket.on('data', chunk => {
      text += chunk
      const answer = /MSG reply 1 (\d+)\r\n(.*)\r\n/s.exec(text)
      if (answer === null) return
      socket.destroy()
      const parsed = JSON.parse(answer[2].slice(0, Number(answer[1])))
      if (parsed.error !== undefined) reject(new Error(JSON.stringify(parsed.error)))
      else resolve(parsed)
    })
    socket.write(
      `CONNECT {"verbose":false}\r\nSUB reply 1\r\nPUB ${subject} reply ${Buffer.byteLength(payload)}\r\n${payload}\r\n`,
    )
  })

const makeStream = port =>
  natsRequest(port, '$JS.API.STREAM.CREATE.BENCH', {
    name: 'BENCH',
    subjects: ['bench.>'],
    storage: 'file',
    retention: 'limits',
  })

const streamMessages = async port => (await natsRequest(port, '$JS.API.STREAM.INFO.BENCH', {})).state.messages

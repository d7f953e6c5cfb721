// A gateway process on a directory that outlives it, for benches that start one again.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const mainFile = fileURLToPath(new URL('../../../dist/main.js', import.meta.url))
const startTimeoutMs = 60_000

const portOf = address => Number(address.split(':').at(-1))

/**
 * Starts `brooklet serve`; resolves at the ready line with `{ pid, readyMs, mqttPort, kafka, http, end(signal) }`. `core`: pinned to it;
 * `prefix`: words before the command.
 * `readyMs` counts from before the process is made.
 */
export const startGateway = (directory, { settings = {}, core, prefix = [] } = {}) => {
  const all = {
    'data.dir': directory,
    'mqtt.listen': 'mqtt://127.0.0.1:0',
    'kafka.listen': 'plaintext://127.0.0.1:0',
    'http.listen': '127.0.0.1:0',
    'log.format': 'json',
    ...settings,
  }
  const flags = Object.entries(all).flatMap(([key, value]) => ['--set', `${key}=${value}`])
  const extra = (process.env['BENCH_NODE_ARGUMENTS'] ?? '').split(' ').filter(text => text !== '')
  const node = [process.execPath, ...extra, mainFile, 'serve', ...flags]
  const pinned = core === undefined ? node : ['taskset', '-c', core, ...node]
  const [command, ...rest] = [...prefix, ...pinned]
  return new Promise((resolve, reject) => {
    const startedMs = performance.now()
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    const kill = () => child.kill('SIGKILL')
    const exited = new Promise(done => child.once('exit', done))
    // a bench that is stopped leaves no gateway behind
    process.once('exit', kill)
    const timer = setTimeout(kill, startTimeoutMs)
    let output = ''
    const look = text => {
      output = `${output}${text}`.slice(-16_384)
      const found = /^brooklet ready (\{.*\})$/m.exec(output)
      if (found === null) return
      clearTimeout(timer)
      child.stdout.off('data', look).resume()
      child.stderr.off('data', look).resume()
      const { mqtt, kafka, http } = JSON.parse(found[1])
      resolve({
        pid: child.pid,
        readyMs: performance.now() - startedMs,
        mqttPort: portOf(mqtt),
        kafka,
        http,
        async end(signal) {
          child.kill(signal)
          await exited
          process.off('exit', kill)
        },
      })
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    child.once('exit', code => reject(new Error(`the gateway ended before it was ready (${code}): ${output}`)))
  })
}

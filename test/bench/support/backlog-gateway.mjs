// A gateway on core 1 whose uplink was held until its log had a backlog.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { bundledProgram } from './bundle.mjs'
import { startGateway } from './gateway-process.mjs'
import { forgetPeak, memoryOf } from './machine.mjs'

const run = promisify(execFile)
export const gatewayCore = '1'
const loadCore = '0'
const pollMs = 50
const settleMs = 3_000
export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/** Runs `env-backlog.mjs`; what it printed. */
export const envBacklog = async given => {
  const program = await bundledProgram('env-backlog.mjs')
  const { stdout } = await run('taskset', ['-c', loadCore, process.execPath, program, JSON.stringify(given)])
  return Number(stdout)
}

/** `records` of the profile env, and the way to let them go. `restarted`: by a process that has done nothing before. */
export const startWithBacklog = async (bootstrap, records, { settings = {}, restarted = false } = {}) => {
  const data = mkdtempSync(join(tmpdir(), 'bench-'))
  const how = {
    core: gatewayCore,
    settings: { 'uplink.bootstrap.servers': bootstrap, 'disk.budget': '6GiB', ...settings },
  }
  let gateway = await startGateway(data, how)
  const post = async command => {
    const answer = await fetch(`http://${gateway.http}/api/v1/uplink/${command}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    })
    if (!answer.ok) throw new Error(`uplink ${command}: ${await answer.text()}`)
  }
  const status = async () => (await fetch(`http://${gateway.http}/api/v1/uplink`)).json()
  await post('pause')
  const stored = records === 0 ? 0 : await envBacklog({ port: gateway.mqttPort, records })
  if (restarted) {
    await gateway.end('SIGTERM')
    gateway = await startGateway(data, how)
    await sleep(settleMs)
  }
  return {
    ...gateway,
    stored,
    post,
    status,
    /** The peak is that since `drain` began. */
    memory: () => memoryOf(gateway.pid),
    /** Lets it go, and resolves with the seconds until all was acknowledged. `watch` is called now and then. */
    async drain(watch = () => {}) {
      forgetPeak(gateway.pid)
      const startedMs = performance.now()
      await post('resume')
      for (;;) {
        watch()
        const { partitions, error } = await status()
        const sent = partitions.reduce((sum, { sentRecords }) => sum + sentRecords, 0)
        if (sent >= stored) return (performance.now() - startedMs) / 1000
        if (performance.now() - startedMs > 220_000) throw new Error(`${sent} of ${stored} went up: ${error}`)
        await sleep(pollMs)
      }
    },
    async end() {
      await gateway.end('SIGTERM')
      rmSync(data, { recursive: true, force: true })
    },
  }
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { Ledger, type LedgerFile, type Receipt, receiptOf } from '../../firmware-sim/index.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'
import { readAll } from '../support/read-all.ts'

/** `brooklet sim` against a gateway that is killed in the middle: the ledger of the devices against what a consumer group reads. */

const seconds = Number(process.env['SIM_SECONDS'] ?? 20)
let gateway: Gateway | undefined

afterEach(() => gateway?.dispose())

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

describe('a fleet of 200 sensors', () => {
  it('misses nothing that was acknowledged, through kill -9 and restart', async () => {
    gateway = await Gateway.start({ keepsAddresses: true })
    const args = ['--profile', 'env', '--count', '200', '--rate', '5', '--duration', `${seconds}s`, '--seed', '7']
    const running = runBrooklet(['sim', '--url', gateway.mqttUrl, ...args, '--json'], {
      timeoutMs: (seconds + 60) * 1000,
    })
    for (let kill = 0; kill < 2; kill++) {
      await pause((seconds * 1000) / 3)
      await gateway.kill()
      await gateway.restart()
    }
    const { code, stdout, stderr } = await running
    expect(code, stderr).toBe(0)
    const ledger = Ledger.fromJSON(JSON.parse(stdout) as LedgerFile)
    const receipts: Receipt[] = []
    for (const { key, value } of await readAll(gateway.addresses.kafka, 'sensors')) {
      const receipt = receiptOf(key!.toString(), value!)
      expect(receipt).toBeDefined()
      receipts.push(receipt!)
    }
    const { examples, ...found } = ledger.compare(receipts)
    expect({ ...found, examples }).toMatchObject({ isClean: true, examples: [] })
    const { made, acked } = ledger.totals()
    expect(made).toBeGreaterThan(200 * 5 * (seconds / 2))
    // the kills were felt: what was on its way came again
    expect(acked).toBeGreaterThan(made * 0.9)
  })
})

it('a fleet that finds no gateway ends at Ctrl-C, also when it comes twice, with its ledger and exit code 1', async () => {
  const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
  const child = spawn(process.execPath, [main, 'sim', '--url', 'mqtt://127.0.0.1:1', '--rate', '50', '--json'])
  const output: Buffer[] = []
  child.stdout.on('data', chunk => output.push(chunk))
  child.stderr.once('data', async () => {
    // some readings, and two signals that are not one
    await pause(1000)
    child.kill('SIGINT')
    await pause(50)
    child.kill('SIGINT')
  })
  const [code] = await once(child, 'close')
  const { made, acked } = Ledger.fromJSON(JSON.parse(Buffer.concat(output).toString()) as LedgerFile).totals()
  expect({ code, acked, hasMade: made > 0 }).toEqual({ code: 1, acked: 0, hasMade: true })
})

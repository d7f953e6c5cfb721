import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { Gateway } from '../support/gateway.ts'
import { requireFolder } from '../support/tools.ts'

/**
 * The Eclipse Paho suites (https://github.com/eclipse/paho.mqtt.testing) from the folder in PAHO_DIR, against the real process. Their
 * cases have twins that always run in test/conformance/twins.
 */
const test = requireFolder('PAHO_DIR', 'a clone of https://github.com/eclipse/paho.mqtt.testing', 'python3')
const pathOf = (name: string): string => fileURLToPath(new URL(`../conformance/${name}`, import.meta.url))

/** What it prints, also when it takes too long: a case of the suite may wait for ever. */
async function runPython(...args: readonly string[]): Promise<string> {
  try {
    return (await promisify(execFile)('python3', args, { timeout: 270_000 })).stdout
  } catch (error) {
    const { stdout, killed } = error as { stdout?: string; killed?: boolean }
    if (killed === true && stdout !== undefined) return stdout
    throw error
  }
}

/** Results by case: null, or the end of the traceback. */
async function runSuite(file: string): Promise<Map<string, string | null>> {
  const folder = process.env['PAHO_DIR']!
  const suite = [join(folder, 'interoperability', file), join(folder, file)].find(existsSync)
  if (suite === undefined) throw new Error(`there is no ${file} in PAHO_DIR=${folder}`)
  const gateway = await Gateway.start({ configFile: pathOf('paho.yaml') })
  try {
    const port = gateway.addresses.mqtt.split(':').at(-1)!
    const lines = (await runPython(pathOf('run_paho.py'), suite, port)).split('\n').filter(line => line !== '')
    return new Map(
      lines.map(line => {
        const { case: name, failure } = JSON.parse(line) as { case: string; failure: string | null }
        return [name, failure]
      }),
    )
  } finally {
    await gateway.dispose()
  }
}

for (const { file, version, cases } of [
  { file: 'client_test.py', version: '3.1.1', cases: 10 },
  { file: 'client_test5.py', version: '5.0', cases: 27 },
] as const) {
  test(`the Paho suite for MQTT ${version} passes`, async () => {
    const results = await runSuite(file)
    const failures = [...results].filter(([, failure]) => failure !== null)
    for (const [name, failure] of failures) process.stderr.write(`${file} ${name}: ${failure}\n`)
    expect(results.size).toBe(cases)
    expect(failures.map(([name]) => name).sort()).toEqual([])
  })
}

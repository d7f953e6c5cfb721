import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { host } from '../../../src/platform/node/host.ts'

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-host-'))
  await build({
    entryPoints: [fileURLToPath(new URL('../../../src/platform/node/host.ts', import.meta.url))],
    outfile: join(directory, 'host.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
  })
})
afterAll(() => rm(directory, { recursive: true, force: true }))

/** Runs a script that has `host`, in a process of its own. */
const run = async (script: string): Promise<{ ended: number | string; stdout: string; stderr: string }> => {
  const text = `import { host } from ${JSON.stringify(join(directory, 'host.mjs'))}\n${script}`
  return new Promise(resolve => {
    execFile(process.execPath, ['--input-type=module', '-e', text], (error, stdout, stderr) => {
      const { code, signal } = (error ?? { code: 0 }) as { code?: number; signal?: string }
      resolve({ ended: signal ?? code ?? 0, stdout, stderr })
    })
  })
}

describe('the size of the file system of a path', () => {
  it('is that of the directory, or of the nearest above that is there', async () => {
    const { bsize, blocks } = await statfs(directory)
    expect(host.fileSystemBytes(directory)).toBe(bsize * blocks)
    expect(host.fileSystemBytes(join(directory, 'not/yet/there'))).toBe(bsize * blocks)
  })

  it('is unknown where nothing can be made', async () => {
    await writeFile(join(directory, 'file'), '')
    for (const path of ['/proc/x', '/sys/x', join(directory, 'file'), join(directory, 'file/x')]) {
      expect(host.fileSystemBytes(path), path).toBeUndefined()
    }
  })
})

it('tells memory that the machine has and that the process takes', () => {
  expect(host.memoryBytes()).toBeGreaterThan(64 << 20)
  expect(host.memoryBytes()).toBeLessThanOrEqual(totalmem())
  expect(host.residentBytes()).toBeGreaterThan(10 << 20)
  expect(host.residentBytes()).toBeLessThan(totalmem())
})

describe('a signal to stop', () => {
  const script = (then: string): string => `
    host.stayAlive()
    host.onStopSignal(signal => process.stdout.write(signal + '\\n'))
    process.kill(process.pid, 'SIGTERM')
    ${then}`

  it('is told once, also when two come together', async () => {
    const { ended, stdout } = await run(
      script(`process.kill(process.pid, 'SIGINT'); setTimeout(() => process.exit(7), 1000)`),
    )
    expect([ended, stdout]).toEqual([7, 'SIGTERM\n'])
  })

  it('is not SIGHUP where that reloads', async () => {
    const { ended, stdout } = await run(`
      host.onStopSignal(signal => process.stdout.write(signal), () => process.stdout.write('reload '))
      process.kill(process.pid, 'SIGHUP')
      setTimeout(() => process.kill(process.pid, 'SIGHUP'), 800)
      setTimeout(() => process.exit(7), 1600)`)
    expect([ended, stdout]).toEqual([7, 'reload reload '])
  })

  it('ends the process when it is repeated later', async () => {
    const { ended, stdout } = await run(
      script(`setTimeout(() => process.kill(process.pid, 'SIGHUP'), 800); setTimeout(() => process.exit(7), 20_000)`),
    )
    expect([ended, stdout]).toEqual([130, 'SIGTERM\n'])
  })
})

describe('a temporary directory', () => {
  it.each([
    ['at the end', '', 0],
    ['when the process is told to exit', 'process.exit(3)', 3],
    ['at SIGHUP', `host.stayAlive(); process.kill(process.pid, 'SIGHUP')`, 129],
  ])('goes %s', async (_, last, code) => {
    const { ended, stdout } = await run(`
      import { writeFileSync } from 'node:fs'
      const made = await host.makeTemporaryDirectory('brooklet-host-')
      writeFileSync(made + '/file', 'x')
      process.stdout.write(made)
      await new Promise(resolve => setImmediate(resolve))
      ${last}`)
    expect(ended).toBe(code)
    expect(stdout).toMatch(/brooklet-host-/)
    expect(existsSync(stdout)).toBe(false)
  })
})

describe('output that nobody reads', () => {
  const closedOutput = (script: string): Promise<{ ended: number | string; stderr: string }> =>
    new Promise(resolve => {
      const text = `import { host } from ${JSON.stringify(join(directory, 'host.mjs'))}\n${script}`
      const child = execFile(process.execPath, ['--input-type=module', '-e', text], (error, _, stderr) =>
        resolve({ ended: (error as { code?: number } | null)?.code ?? 0, stderr }),
      )
      child.stdout!.destroy()
    })

  it('is told, and ends nothing by itself', async () => {
    const { ended } = await closedOutput(`
      host.onOutputClosed(() => process.exit(4))
      setInterval(() => process.stdout.write('x'), 10)`)
    expect(ended).toBe(4)
  })
})

it('reports what nobody caught', async () => {
  for (const bug of [`throw new Error('bug')`, `Promise.reject(new Error('bug'))`]) {
    const { ended, stderr } = await run(`
      host.onBug(error => { process.stderr.write('report ' + error.message); process.exit(70) })
      host.stayAlive()
      setImmediate(() => { ${bug} })`)
    expect([ended, stderr]).toEqual([70, 'report bug'])
  }
})

it('stays alive until it need not', async () => {
  const { ended, stdout } = await run(`
    const end = host.stayAlive()
    setTimeout(() => { process.stdout.write('alive'); end() }, 200).unref()`)
  expect([ended, stdout]).toEqual([0, 'alive'])
})

import { type ChildProcess, spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
let directory = ''
beforeAll(async () => {
  const cache = file('../../../node_modules/.cache/')
  await mkdir(cache, { recursive: true })
  directory = await mkdtemp(join(cache, 'brooklet-logger-'))
  await build({
    entryPoints: [file('../../../src/platform/node/logger.ts')],
    outfile: join(directory, 'logger.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  })
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const start = (options: object, script: string, stderr: 'pipe' | number = 'pipe'): ChildProcess => {
  const text = `import { openLogger } from ${JSON.stringify(join(directory, 'logger.mjs'))}
    const logger = await openLogger(${JSON.stringify(options)})
    ${script}`
  return spawn(process.execPath, ['--input-type=module', '-e', text], { stdio: ['ignore', 'pipe', stderr] })
}

const ended = (child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> => {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', text => {
    stdout += text
  })
  child.stderr?.on('data', text => {
    stderr += text
  })
  return new Promise(resolve => child.once('close', code => resolve({ code, stdout, stderr })))
}

const levels = `for (const level of ['debug', 'info', 'warn', 'error']) logger[level]({ level_of: level }, 'an event')`

describe('JSON lines', () => {
  it('carry level, time, fields, event and part', async () => {
    const { stderr, stdout } = await ended(
      start({ level: 'debug', format: 'json' }, `logger.child('storage').warn({ bytes: 5 }, 'something was cut')`),
    )
    expect(stdout).toBe('')
    const { time, ...rest } = JSON.parse(stderr)
    expect(rest).toEqual({ level: 'warn', part: 'storage', bytes: 5, msg: 'something was cut' })
    expect(new Date(time).toISOString()).toBe(time)
  })

  it.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['silent', []],
  ])('from level %s on', async (level, expected) => {
    const { stderr } = await ended(start({ level, format: 'json' }, levels))
    const found = stderr.split('\n').filter(line => line !== '')
    expect(found.map(line => JSON.parse(line).level_of)).toEqual(expected)
  })

  it('are written when the call returns: the last one before a crash is there', async () => {
    const { stderr } = await ended(
      start({ level: 'info', format: 'json' }, `logger.error({}, 'the last'); process.kill(process.pid, 'SIGKILL')`),
    )
    expect(stderr).toContain('the last')
  })
})

it('pretty lines are for people: the event and its fields, a line each', async () => {
  const { stderr } = await ended(
    start({ level: 'info', format: 'pretty' }, `logger.child('kafka').info({ port: 9092 }, 'listening')`),
  )
  expect(stderr).toMatch(/^[^\n]*INFO.*listening.*port.*9092[^\n]*\n$/)
  expect(stderr).not.toMatch(/^\{|part/m)
})

it.each([
  ['', true],
  ['1', false],
])('pretty lines with NO_COLOR=%j are coloured: %s', async (noColor, isColoured) => {
  const script = "process.env.NO_COLOR = '%'; (await openLogger({ level: 'info', format: 'pretty' })).info({}, 'seen')"
  const { stderr } = await ended(start({ level: 'silent', format: 'json' }, script.replace('%', noColor)))
  expect(stderr).toContain('seen')
  expect(stderr.includes('\u001b')).toBe(isColoured)
})

const goesOn = `
  let lines = 0
  const timer = setInterval(() => {
    logger.error({ lines }, 'a line that is lost')
    if (++lines === 20) { clearInterval(timer); process.stdout.write('alive') }
  }, 5)`

describe.each(['json', 'pretty'])('a log that cannot be written (%s) ends nothing', format => {
  it('its reader has gone', async () => {
    const child = start({ level: 'info', format }, goesOn)
    child.stderr!.destroy()
    expect(await ended(child)).toMatchObject({ code: 0, stdout: 'alive' })
  })

  it('it goes to a file on a full file system', async () => {
    const child = start({ level: 'info', format }, goesOn, openSync('/dev/full', 'w'))
    expect(await ended(child)).toMatchObject({ code: 0, stdout: 'alive' })
  })
})

it('says how many lines were lost, once they can be written again', async () => {
  // a pipe that nobody reads takes some of it, then nothing
  const child = start(
    { level: 'info', format: 'json' },
    `for (let line = 0; line < 100; line++) logger.info({ line, text: 'x'.repeat(20_000) }, 'long')
    process.stdout.write('written')
    setInterval(() => logger.info({}, 'later'), 20)`,
  )
  const stderr = child.stderr!
  stderr.pause()
  await new Promise(resolve => child.stdout!.once('data', resolve))
  let text = ''
  await new Promise<void>(resolve => {
    stderr.on('data', chunk => {
      text += chunk
      if (text.includes('"later"')) resolve()
    })
    stderr.resume()
  })
  child.kill('SIGKILL')
  const lines = text.split('\n')
  const lost = Number(/"lines":(\d+),"msg":"lines of the log could not be written"/.exec(text)?.[1])
  const whole = lines.filter(line => line.startsWith('{') && line.endsWith('"msg":"long"}')).length
  // the line that was cut is one of the lost, and so may be some that came later
  expect(lost).toBeGreaterThanOrEqual(100 - whole)
  expect(whole).toBeLessThan(100)
  for (const line of lines.filter(line => line.startsWith('{') && line.endsWith('}'))) JSON.parse(line)
})

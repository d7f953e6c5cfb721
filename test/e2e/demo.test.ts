import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { runBrooklet } from '../support/gateway.ts'

const mainFile = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const nothingLost = /^group demo: [1-9]\d* read; 0 missing, 0 twice, 0 out of order$/m
const allUpstream =
  /^explained: of ([1-9]\d*) records \1 were sent up, 0 wait; the central cluster at 127\.0\.0\.1:\d+ agrees$/

const lastLineOf = (text: string): string => text.trimEnd().split('\n').at(-1)!
const directoryOf = (text: string): string => /data directory +(\S+),/.exec(text)![1]!

it('runs for a while, loses nothing, and leaves nothing behind', async () => {
  const { code, stdout, stderr } = await runBrooklet(['demo', '--duration', '5'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(nothingLost)
  expect(lastLineOf(stdout)).toMatch(allUpstream)
  expect(stdout).toMatch(/^running: \d+ s \| sensors: 25 of 25 connected \| events in: \d+\/s \| .*$/m)
  expect(stdout).toMatch(/^all +25 +[1-9]\d* +[1-9]\d* +0 +0 +0$/m)
  expect(existsSync(directoryOf(stdout))).toBe(false)
})

it('takes a free port where its own is taken, cuts the link at a key and restores it, and ends at Ctrl-C with ledger and audit', async () => {
  const other = createServer()
  other.on('error', () => undefined).listen(1883, '127.0.0.1')
  const child = spawn(process.execPath, [mainFile, 'demo'])
  let stdout = ''
  child.stdout.on('data', chunk => {
    stdout += chunk
  })
  while (!stdout.includes('running: 2 s')) await once(child.stdout, 'data')
  expect(stdout).toMatch(/mqtt:\/\/127\.0\.0\.1:(?!1883$)\d+$/m)
  expect(existsSync(directoryOf(stdout))).toBe(true)
  child.stdin.write('o')
  while (!/ link: CUT .* [1-9]\d wait, /.test(stdout)) await once(child.stdout, 'data')
  child.stdin.write('o')
  while (!/ link: CUT .*\n.* link: up /.test(stdout)) await once(child.stdout, 'data')
  child.kill('SIGINT')
  expect((await once(child, 'close'))[0]).toBe(0)
  expect(stdout).toMatch(nothingLost)
  expect(lastLineOf(stdout)).toMatch(allUpstream)
  expect(existsSync(directoryOf(stdout))).toBe(false)
  other.close()
})

it('says what is wrong with its options', async () => {
  const { code, stderr } = await runBrooklet(['demo', '--duration', '9x'])
  expect(code).toBe(64)
  expect(stderr).toMatch(/^brooklet: option '--duration <seconds>' argument '9x': .*nearest: 9; see --help\n$/)
})

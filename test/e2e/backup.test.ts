import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Gateway, runBrooklet } from '../support/gateway.ts'

let scratch: string
let gateway: Gateway
const gateways: Gateway[] = []

const startGateway = async (options: Parameters<typeof Gateway.start>[0] = {}): Promise<Gateway> => {
  const started = await Gateway.start(options)
  gateways.push(started)
  return started
}

const publish = async (to: Gateway, first: number, count: number, bytes = 100): Promise<void> => {
  const client = await connectAsync(to.mqttUrl)
  const padding = 'x'.repeat(bytes)
  for (let done = 0; done < count; done += 200) {
    const numbers = Array.from({ length: Math.min(200, count - done) }, (_, index) => first + done + index)
    await Promise.all(
      numbers.map(number =>
        client.publishAsync(`sensors/s${number % 5}/t`, JSON.stringify({ number, padding }), { qos: 1 }),
      ),
    )
  }
  await client.endAsync()
}

/** Every record of the topic: partition, offset, key and number. */
const records = async (of: Gateway, topic = 'sensors'): Promise<string[]> => {
  const { code, stdout, stderr } = await runBrooklet(
    ['consume', topic, '--bootstrap', of.addresses.kafka, '--from', 'earliest', '--until', 'end', '--json'],
    { timeoutMs: 60_000 },
  )
  expect([code, stderr]).toEqual([0, ''])
  return stdout
    .split('\n')
    .filter(line => line !== '')
    .sort()
}

const json = async <Value>(of: Gateway, path: string): Promise<Value> =>
  (await (await fetch(`${of.httpUrl}${path}`)).json()) as Value

const backup = (of: Gateway, ...args: string[]) =>
  runBrooklet(['backup', join(scratch, 'copy'), '--data-dir', of.dataDirectory, ...args], { timeoutMs: 60_000 })

const restore = (directory: string) => runBrooklet(['restore', join(scratch, 'copy'), '--data-dir', directory])

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'brooklet-backup-'))
  gateway = await startGateway()
})
afterEach(async () => {
  for (const each of gateways.splice(0)) await each.dispose()
  await rm(scratch, { recursive: true, force: true })
})

describe('a backup of a running gateway', () => {
  test('is restored elsewhere with all that was there: records, offsets, retained messages, topics; then it is a log of its own', async () => {
    await publish(gateway, 0, 500)
    const client = await connectAsync(gateway.mqttUrl)
    await client.publishAsync('state/door', 'open', { qos: 1, retain: true })
    await client.endAsync()
    const group = ['--group', 'billing', '--bootstrap', gateway.addresses.kafka, '--from', 'earliest']
    const consumed = await runBrooklet(['consume', 'sensors', ...group, '--max', '300'])
    expect(consumed.code).toBe(0)
    const first = await backup(gateway)
    expect([first.code, first.stderr]).toEqual([0, ''])
    expect(first.stdout).toMatch(/^backup of log [0-9a-f]{32} through group \d+: 1 segment, 0 of them unchanged/)

    // several segments more, while the second backup runs
    await publish(gateway, 500, 2000, 5000)
    const expected = await records(gateway)
    const load = publish(gateway, 2500, 400)
    const second = await backup(gateway)
    await load
    expect([second.code, second.stderr]).toEqual([0, ''])
    const third = await backup(gateway)
    expect(third.stdout).toMatch(/: (\d+) segments, [1-9]\d* of them unchanged, [\d.]+ [KM]?i?B copied$/m)
    const groupBefore = await json<{ offsets: unknown[] }>(gateway, '/api/v1/groups/billing')
    const all = await records(gateway)
    const { logId } = await json<{ logId: string }>(gateway, '/api/v1/gateway')
    await gateway.kill()

    const directory = join(scratch, 'restored')
    const done = await restore(directory)
    expect([done.code, done.stderr]).toEqual([0, ''])
    expect(done.stdout).toContain(`of log ${logId} through group`)
    const verified = await runBrooklet(['log', 'verify', directory])
    expect([verified.code, verified.stdout.split('\n').at(-2)]).toEqual([0, 'sound'])

    const restored = await startGateway({ dataDirectory: directory })
    expect(await records(restored)).toEqual(all)
    expect(all.length).toBe(2900)
    expect(all).toEqual(expect.arrayContaining(expected))
    expect(await json(restored, '/api/v1/groups/billing')).toEqual(groupBefore)
    const now = await json<{ logId: string }>(restored, '/api/v1/gateway')
    expect(now.logId).not.toBe(logId)
    const reader = await connectAsync(restored.mqttUrl)
    const retained = new Promise<string>(resolve => reader.on('message', (_, payload) => resolve(payload.toString())))
    await reader.subscribeAsync('state/door')
    expect(await retained).toBe('open')
    await reader.endAsync()

    // its own life: what is appended goes behind the parent's, in a later epoch, and it survives a kill
    await publish(restored, 10_000, 100)
    const more = await records(restored)
    expect(more.length).toBe(3000)
    await restored.kill()
    const dump = await runBrooklet(['log', 'dump', directory, '--partition', '0', '--records'])
    expect(dump.stdout).toMatch(new RegExp(`"kind":"restored","parent":\\{"logId":"${logId}","lastGroup":\\d+\\}`))
    expect(dump.stdout).toMatch(/"kind":"parentEnd","partition":32,"offset":\d+/)
    expect(dump.stdout).toMatch(/"kind":"start","logEpoch":1001/)
    await restored.restart()
    expect(await records(restored)).toEqual(more)
    const again = await runBrooklet(['log', 'dump', directory, '--partition', '0', '--records'])
    expect(again.stdout.match(/"kind":"restored"/g)).toHaveLength(1)
  })

  test('that is cut off never looks complete: the one before counts, and the next one clears up', async () => {
    await publish(gateway, 0, 1000, 5000)
    const slow = backup(gateway, '--rate', '1MiB')
    await expect
      .poll(async () => (await readdir(join(scratch, 'copy', 'segments')).catch(() => [])).length)
      .toBeGreaterThan(0)
    await gateway.kill()
    expect(await slow).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the gateway ended during the backup'),
    })
    const directory = join(scratch, 'restored')
    expect(await restore(directory)).toMatchObject({ code: 65, stderr: expect.stringContaining('no complete backup') })
    await gateway.restart()
    expect((await backup(gateway)).code).toBe(0)
    expect((await restore(directory)).code).toBe(0)
    expect(await restore(directory)).toMatchObject({ code: 65, stderr: expect.stringContaining('is not empty') })
  })

  test('keeps what eviction would take until it is copied, and appends go on', async () => {
    await gateway.stop()
    await gateway.restart({ settings: { 'disk.budget': '64MiB' } })
    await publish(gateway, 0, 3000, 5000)
    const slow = backup(gateway, '--rate', '4MiB')
    await expect
      .poll(async () => (await readdir(join(scratch, 'copy', 'segments')).catch(() => [])).length)
      .toBeGreaterThan(0)
    const before = await records(gateway)
    await publish(gateway, 3000, 8000, 5000)
    const done = await slow
    expect([done.code, done.stderr]).toEqual([0, ''])
    expect((await records(gateway)).length).toBeLessThan(11_000)
    const directory = join(scratch, 'restored')
    expect((await restore(directory)).code).toBe(0)
    const restored = await startGateway({ dataDirectory: directory, settings: { 'disk.budget': '128MiB' } })
    expect((await records(restored)).length).toBeGreaterThanOrEqual(before.length)
  })
})

describe('a backup that was damaged', () => {
  test.each(['a byte', 'a missing file', 'a cut file', 'the manifest'])(
    '%s: restore ends with 65, and no start takes what it made',
    async kind => {
      await publish(gateway, 0, 200)
      expect((await backup(gateway)).code).toBe(0)
      const segments = join(scratch, 'copy', 'segments')
      const path =
        kind === 'the manifest' ? join(scratch, 'copy', 'backup') : join(segments, (await readdir(segments))[0]!)
      const bytes = await readFile(path)
      if (kind === 'a missing file') await rm(path)
      else if (kind === 'a cut file') await writeFile(path, bytes.subarray(0, (await stat(path)).size - 1))
      else {
        bytes[bytes.length >> 1]! ^= 1
        await writeFile(path, bytes)
      }
      const directory = join(scratch, 'restored')
      const { code, stderr } = await restore(directory)
      expect([code, stderr.split('\n').length]).toEqual([65, 2])
      if (kind === 'the manifest') return
      const start = await runBrooklet(['serve', '--data-dir', directory])
      expect(start).toMatchObject({ code: 65, stderr: expect.stringContaining('restore.unfinished') })
    },
  )
})

test('a place that is no backup, or of another log, is refused and left as it was', async () => {
  const target = join(scratch, 'copy')
  expect((await backup(gateway)).code).toBe(0)
  const other = await startGateway()
  expect(await backup(other)).toMatchObject({ code: 65, stderr: expect.stringContaining('of another log') })
  await writeFile(join(target, 'mine.txt'), 'x')
  expect(await backup(gateway)).toMatchObject({ code: 65, stderr: expect.stringContaining('mine.txt') })
  expect(await readdir(target)).toEqual(['backup', 'mine.txt', 'segments'])
  await gateway.stop()
  expect(await backup(gateway)).toMatchObject({ code: 1, stderr: expect.stringContaining('no gateway runs on') })
})

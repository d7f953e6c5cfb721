import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { beforeEach, describe, expect, test } from 'vitest'
import { groupHeaderBytes, readGroupHeader } from '../../src/storage/group.ts'
import { decodeSlotHeader } from '../../src/storage/slot.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'
import { shareSetup } from '../support/shared-setup.ts'

let gateway: Gateway
let empty: string

/** Publishes with QoS 1, so that everything is on the device when it resolves. */
const publish = async (count: number): Promise<void> => {
  const client = await connectAsync(gateway.mqttUrl)
  const publishes = Array.from({ length: count }, (_, index) =>
    client.publishAsync(`sensors/s${index % 5}/temperature`, JSON.stringify({ index }), { qos: 1 }),
  )
  await Promise.all(publishes)
  await client.endAsync()
}

const setUp = async (): Promise<void> => {
  empty = await mkdtemp(join(tmpdir(), 'brooklet-no-log-'))
  gateway = await Gateway.start()
  await publish(500)
  const client = await connectAsync(gateway.mqttUrl)
  await client.publishAsync('hostile', '\u001b[2Jgone', { qos: 1 })
  await client.endAsync()
}
shareSetup(setUp, async () => {
  await gateway?.dispose()
  await rm(empty, { recursive: true, force: true })
})

const log = (...args: string[]) => runBrooklet(['log', ...args])

const lines = (text: string): string[] => text.split('\n').filter(line => line !== '')

/** The slot with groups, and the position of its group `index`. */
const slotFile = async (directory: string): Promise<{ path: string; bytes: Buffer; groups: number[] }> => {
  for (const name of await readdir(join(directory, 'log'))) {
    const path = join(directory, 'log', name)
    const bytes = await readFile(path)
    if (decodeSlotHeader(bytes)?.kind !== 'hot') continue
    const groups: number[] = []
    for (let at = 4096; at < bytes.length; at += 64) if (readGroupHeader(bytes, at) !== undefined) groups.push(at)
    return { path, bytes, groups }
  }
  throw new Error('no slot holds a segment')
}

/** Names, sizes, times of change and content of every file but the LMDB lock. */
const fingerprint = async (directory: string): Promise<string[]> => {
  const names = await readdir(directory, { recursive: true })
  return Promise.all(
    names.sort().map(async name => {
      const { size, mtimeMs, mode } = await stat(join(directory, name))
      const isFile = (mode & 0o170000) === 0o100000
      const content = isFile
        ? createHash('sha256')
            .update(await readFile(join(directory, name)))
            .digest('hex')
        : ''
      return `${name} ${size} ${mtimeMs} ${content}`
    }),
  )
}

describe('a running gateway', () => {
  test('is found sound while it is written', async () => {
    const load = publish(3000)
    for (let round = 0; round < 3; round++) {
      const { code, stdout } = await log('verify', gateway.dataDirectory)
      expect(lines(stdout).at(-1)).toBe('sound')
      expect(code).toBe(0)
    }
    await load
  })

  test('shows its segments', async () => {
    const { code, stdout } = await log('inspect', '--data-dir', gateway.dataDirectory)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^log [0-9a-f]{32}, format 1, slots of 4\.0 MiB$/m)
    expect(stdout).toMatch(/^log epochs 0, incarnation [0-9a-f]{16}$/m)
    expect(stdout).toMatch(/^ *\d+ +hot +1 +1 +\d+ +\d+ +\d\.\d MiB +\d+ +\S.*open$/m)
  })
})

describe('a gateway that was killed', () => {
  beforeEach(async () => {
    await gateway.kill()
  })

  test('is left as it was, byte for byte', async () => {
    const before = await fingerprint(gateway.dataDirectory)
    for (const command of ['inspect', 'verify', 'dump'])
      expect((await log(command, gateway.dataDirectory)).code).toBe(0)
    expect(await fingerprint(gateway.dataDirectory)).toEqual(before)
  })

  test('dumps groups, batches and records by topic, internal ones decoded', async () => {
    const dump = await log('dump', gateway.dataDirectory, '--topic', 'sensors', '--index', '1', '--records', '--json')
    expect([dump.code, dump.stderr]).toEqual([0, ''])
    const records = lines(dump.stdout)
      .map(line => JSON.parse(line))
      .filter(({ kind }) => kind === 'record')
    expect(records.length).toBeGreaterThan(0)
    expect(records.map(({ offset }) => offset)).toEqual(records.map((_, index) => index))
    for (const { name, key, value } of records) {
      expect(name).toBe('sensors/1')
      expect(key).toBe(`sensors/s${value.index % 5}/temperature`)
    }
    const from = await log(
      'dump',
      gateway.dataDirectory,
      '--topic',
      'sensors',
      '--index',
      '1',
      '--records',
      '--from',
      '7',
    )
    expect(from.stdout).toMatch(/^ {4}7 /m)
    expect(from.stdout).not.toMatch(/^ {4}6 /m)
    const topics = await log('dump', gateway.dataDirectory, '--partition', '1', '--records')
    expect(topics.stdout).toMatch(/^ {4}\d+ \S+ sensors \{"id":"[0-9a-f]{32}","partitions":\[32,33,34,35\]/m)
    const control = await log('dump', gateway.dataDirectory, '--partition', '0', '--records')
    expect(control.stdout).toMatch(/^group 1 at .*, start$/m)
    expect(control.stdout).toMatch(/\{"kind":"start","logEpoch":0,"incarnation":"[0-9a-f]{16}"\}/)
  })

  test('a record does not command the terminal', async () => {
    const { stdout } = await log('dump', gateway.dataDirectory, '--records')
    expect(stdout).toContain(' hostile \\u001b[2Jgone')
    expect(stdout).not.toContain('\u001b')
  })

  test('a flipped byte is one line, exit code 1, and the same in JSON', async () => {
    const { path, bytes, groups } = await slotFile(gateway.dataDirectory)
    // the newest group has no witness behind it
    const position = groups.at(-2)!
    const group = readGroupHeader(bytes, position)!.number
    // in the records of its first batch
    const at = position + groupHeaderBytes + 120
    const damaged = Buffer.from(bytes)
    damaged[at]! ^= 0x10
    await writeFile(path, damaged)
    const { code, stdout } = await log('verify', gateway.dataDirectory)
    expect(code).toBe(1)
    expect(
      lines(stdout).filter(line => /^slot \d+ at \d+: /.test(line) && line.includes(`, group ${group}, `)),
    ).toHaveLength(1)
    expect(lines(stdout).at(-1)).toMatch(/^DAMAGED: 1 range, \d+ records? lost$/)
    const json = JSON.parse((await log('verify', gateway.dataDirectory, '--json')).stdout)
    expect(json).toMatchObject({ sound: false, damages: [{ cause: 'batch', group }] })
    await writeFile(path, bytes)
    expect((await log('verify', gateway.dataDirectory)).code).toBe(0)
  })

  test('a torn tail is no damage, and said', async () => {
    const { path, bytes, groups } = await slotFile(gateway.dataDirectory)
    const last = groups.at(-1)!
    const torn = Buffer.from(bytes)
    const end = last + readGroupHeader(bytes, last)!.length
    torn.fill(0, end - 30, end)
    await writeFile(path, torn)
    const { code, stdout } = await log('verify', gateway.dataDirectory)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^note: slot \d+ ends with a torn group \d+ at \d+/m)
    await writeFile(path, bytes)
  })
})

describe('directories that hold no log end with exit code 65 and one line', () => {
  test.each(['inspect', 'verify', 'dump'])('log %s', async command => {
    for (const directory of ['/no/such/place', empty]) {
      const { code, stdout, stderr } = await log(command, directory)
      expect([code, stdout]).toEqual([65, ''])
      expect(stderr).toMatch(/^brooklet: [^\n]+\n$/)
      expect(stderr).toContain(directory)
    }
  })

  test('a directory of others is named so, and nothing is made in it', async () => {
    await writeFile(join(empty, 'meta'), 'not ours')
    const { code, stderr } = await log('verify', empty)
    expect(code).toBe(65)
    expect(stderr).toMatch(/^brooklet: .*meta is damaged or not of Brooklet.*\n$/)
    expect(await readdir(empty)).toEqual(['meta'])
  })
})

test('offsets without a partition and unknown topics end with exit code 64', async () => {
  const from = await log('dump', gateway.dataDirectory, '--from', '3')
  expect([from.code, lines(from.stderr).length]).toEqual([64, 1])
  const topic = await log('dump', gateway.dataDirectory, '--topic', 'nope')
  expect([topic.code, lines(topic.stderr).length]).toEqual([64, 1])
})

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Kafka, logLevel } from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { deleteRecords } from '../../src/wire/kafka/contracts/delete-records.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'
import { KafkaTestClient } from '../support/kafka-test-client.ts'
import { shareSetup } from '../support/shared-setup.ts'

const mainFile = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
let gateway: Gateway

const setUp = async (): Promise<void> => {
  gateway = await Gateway.start({ keepsAddresses: true })
}
shareSetup(setUp, () => gateway?.dispose())

const brooklet = (...words: string[]) => runBrooklet([...words, '--bootstrap', gateway.addresses.kafka])

/** Output of a command that has to succeed without a word on stderr. */
const output = async (...words: string[]): Promise<string> => {
  const { code, stdout, stderr } = await brooklet(...words)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

const jsonLines = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Record<string, unknown>)

class Running {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  readonly ended: Promise<unknown[]>

  constructor(...words: string[]) {
    this.child = spawn(process.execPath, [mainFile, ...words, '--bootstrap', gateway.addresses.kafka])
    this.child.stdout!.on('data', chunk => {
      this.stdout += chunk
    })
    this.child.stderr!.on('data', chunk => {
      this.stderr += chunk
    })
    this.ended = once(this.child, 'close')
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) await Promise.race([once(this.child.stdout!, 'data'), once(this.child.stderr!, 'data')])
  }

  async sendLines(lines: readonly string[]): Promise<void> {
    this.child.stdin!.end(`${lines.join('\n')}\n`)
    await this.ended
  }
}

const produced = async (topic: string, lines: readonly string[], ...flags: string[]): Promise<void> => {
  const running = new Running('produce', topic, ...flags)
  await running.sendLines(lines)
  expect({ code: running.child.exitCode, stderr: running.stderr }).toEqual({ code: 0, stderr: '' })
}

describe('topics', () => {
  it('are created, listed, described, altered and deleted', async () => {
    await output('topics', 'create', 'plain.topic', '--partitions', '3', '--config', 'retention.ms=60000')
    expect(await output('topics', 'list')).toMatch(/^TOPIC +PARTITIONS +RECORDS\n(.*\n)*plain\.topic +3 +0\n/)
    await output('topics', 'alter', 'plain.topic', '--partitions', '5', '--unset', 'retention.ms')
    const described = JSON.parse(await output('topics', 'describe', 'plain.topic', '--json'))
    expect(described).toMatchObject({ name: 'plain.topic', configs: [] })
    expect(described.partitions).toHaveLength(5)
    await output('topics', 'delete', 'plain.topic')
    expect(await output('topics', 'list', '--json')).not.toContain('plain.topic')
  })

  it('say in one line what is wrong', async () => {
    const wrong = [
      [
        ['topics', 'describe', 'none'],
        /^brooklet: topic none: UNKNOWN_TOPIC_OR_PARTITION \(there is no such topic\)\n$/,
      ],
      [['topics', 'create', 'bad name'], /^brooklet: .*INVALID_TOPIC_EXCEPTION.*\n$/],
      [['topics', 'create', 'x', '--config', 'retention.mss=1'], /^brooklet: .*INVALID_CONFIG.*retention\.ms.*\n$/],
    ] as const
    for (const [words, message] of wrong) {
      const { code, stdout, stderr } = await brooklet(...words)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(message)
    }
  })
})

describe('produce and consume', () => {
  it('give back what was put in, byte for byte, with keys and headers', async () => {
    await output('topics', 'create', 'bytes')
    await produced(
      'bytes',
      ['a=1', 'b={"id": 12345678901234567890}', 'no key', '=empty key'],
      '-K',
      '=',
      '-H',
      'site=north',
    )
    const records = jsonLines(await output('consume', 'bytes', '--from', 'earliest', '--until', 'end', '--json'))
    expect(records.map(({ key }) => key).sort()).toEqual(['', 'a', 'b', null])
    for (const { headers } of records) expect(headers).toEqual({ site: 'north' })
    const text = await output('consume', 'bytes', '--until', 'end')
    expect(text).toContain('b {"id": 12345678901234567890}\n')
  })

  it.each(['gzip', 'snappy', 'lz4', 'zstd'])('in batches compressed with %s', async codec => {
    const lines = Array.from({ length: 500 }, (_, index) => `${index}`)
    await output('topics', 'create', codec, '--partitions', '1')
    await produced(codec, lines, '-z', codec)
    const values = jsonLines(await output('consume', codec, '--until', 'end', '--json')).map(({ value }) => `${value}`)
    expect(values).toEqual(lines)
  })

  it('stop at a number, an end, or when nobody reads on', async () => {
    await output('topics', 'create', 'many', '--partitions', '2')
    await produced(
      'many',
      Array.from({ length: 20_000 }, (_, index) => `line ${index}`),
    )
    expect((await output('consume', 'many', '--from', 'earliest', '-n', '7')).split('\n')).toHaveLength(8)
    const reader = new Running('consume', 'many', '--from', 'earliest')
    await reader.until(() => reader.stdout !== '')
    reader.child.stdout!.destroy()
    await reader.ended
    expect({ code: reader.child.exitCode, stderr: reader.stderr }).toEqual({ code: 0, stderr: '' })
  })

  it('stop before an offset or a time, and wait for neither', async () => {
    await output('topics', 'create', 'timed', '--partitions', '1')
    const producer = new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING }).producer()
    await producer.connect()
    const noon = Date.UTC(2026, 4, 1, 12)
    for (let hour = 0; hour < 5; hour++) {
      await producer.send({ topic: 'timed', messages: [{ value: `${hour}`, timestamp: `${noon + hour * 3_600_000}` }] })
    }
    await producer.disconnect()
    const values = async (...args: string[]): Promise<unknown[]> =>
      jsonLines(await output('consume', 'timed', ...args, '--json')).map(({ value }) => value)
    expect(await values('--until', '2')).toEqual([0, 1])
    expect(await values('--from', '1', '--until', '3')).toEqual([1, 2])
    expect(await values('--until', '99')).toEqual([0, 1, 2, 3, 4])
    expect(await values('--until', '0')).toEqual([])
    expect(await values('--until', '2026-05-01T14:30:00Z')).toEqual([0, 1, 2])
    expect(await values('--from', '2026-05-01T13:00:00Z', '--until', '2026-05-01T14:00:00Z')).toEqual([1])
    expect(await values('--until', '2027-01-01')).toEqual([0, 1, 2, 3, 4])
    expect((await brooklet('consume', 'timed', '--until', 'latest')).code).toBe(64)
  })

  it.runIf(existsSync('/dev/full'))('end in one line when their output has no room', async () => {
    await output('topics', 'create', 'full')
    await produced('full', ['x'])
    const address = ['--bootstrap', gateway.addresses.kafka]
    for (const words of [
      ['topics', 'list', ...address],
      ['consume', 'full', '--from', 'earliest', ...address],
      ['version'],
      ['--help'],
      ['log', 'dump', '--help'],
      ['log', 'verify', gateway.dataDirectory],
    ]) {
      const child = spawn(process.execPath, [mainFile, ...words], {
        stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
      })
      let stderr = ''
      child.stderr!.on('data', chunk => {
        stderr += chunk
      })
      await once(child, 'close')
      expect(stderr).toMatch(/^brooklet: the output cannot be written \(ENOSPC.*\)\n$/)
      expect(child.exitCode).toBe(74)
    }
  })

  it('end quietly when nobody reads', async () => {
    for (const words of [['--help'], ['config', 'reference'], ['log', 'dump', gateway.dataDirectory]]) {
      const child = spawn(process.execPath, [mainFile, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
      child.stdout!.destroy()
      let stderr = ''
      child.stderr!.on('data', chunk => {
        stderr += chunk
      })
      await once(child, 'close')
      expect([child.exitCode, stderr]).toEqual([0, ''])
    }
  })

  it('refuse a topic, a partition and an address that are not there', async () => {
    expect(await brooklet('consume', 'none')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^brooklet: .*none.*\n$/),
    })
    await output('topics', 'create', 'one', '--partitions', '1')
    expect(await brooklet('produce', 'one', 'x', '-p', '5')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has 1 partitions'),
    })
    const nobody = await runBrooklet(['topics', 'list', '--bootstrap', '127.0.0.1:1'])
    expect(nobody).toMatchObject({ code: 1, stdout: '' })
    expect(nobody.stderr).toMatch(/^brooklet: cannot connect to 127\.0\.0\.1:1: .*ECONNREFUSED.*--bootstrap.*\n$/)
    expect((await brooklet('consume', 'one', '--from', 'yesterday')).code).toBe(64)
  })
})

describe('offsets that are gone', () => {
  const deleteBefore = async (topic: string, offsets: readonly number[]): Promise<void> => {
    const client = await KafkaTestClient.connect(Number(gateway.addresses.kafka.split(':')[1]))
    const partitions = offsets.map((offset, partitionIndex) => ({ partitionIndex, offset }))
    const answer = await client.request(deleteRecords, 2, { topics: [{ name: topic, partitions }], timeoutMs: 5000 })
    client.destroy()
    expect(answer.topics[0]!.partitions.map(({ errorCode }) => errorCode)).toEqual(offsets.map(() => 0))
  }

  it('are said in one line, and the rest is read', async () => {
    await output('topics', 'create', 'evicted', '--partitions', '1')
    await produced(
      'evicted',
      Array.from({ length: 10 }, (_, index) => `${index}`),
    )
    await deleteBefore('evicted', [7])
    const { code, stdout, stderr } = await brooklet('consume', 'evicted', '--from', '2', '--until', 'end', '--json')
    expect(code).toBe(0)
    expect(jsonLines(stdout).map(({ offset }) => offset)).toEqual([7, 8, 9])
    expect(stderr).toBe(
      'brooklet: offset 2 of evicted/0 was asked, but its log starts at 7: 5 records gone; going on there\n',
    )
  })

  it('of several partitions too, also where a group had committed them', async () => {
    await output('topics', 'create', 'evicted2', '--partitions', '2')
    for (const partition of ['0', '1']) await produced('evicted2', ['a', 'b', 'c'], '-p', partition)
    await output('groups', 'reset', 'late', '--topic', 'evicted2', '--to', 'earliest')
    await deleteBefore('evicted2', [1, 2])
    const { stdout, stderr } = await brooklet('consume', 'evicted2', '-g', 'late', '--until', 'end', '--json')
    expect(jsonLines(stdout)).toHaveLength(3)
    expect(stderr).toMatch(/^brooklet: .*evicted2\/\d at \d \(asked 0\), evicted2.*: 3 records gone; going on there\n$/)
  })
})

describe('groups', () => {
  it('go on where they were: what is not printed is not committed', async () => {
    await output('topics', 'create', 'grouped', '--partitions', '3')
    const lines = Array.from({ length: 3000 }, (_, index) => `${index}`)
    await produced('grouped', lines)
    const first = await output('consume', 'grouped', '-g', 'readers', '--from', 'earliest', '-n', '1234', '--json')
    const second = await output('consume', 'grouped', '-g', 'readers', '--until', 'end', '--json')
    expect(jsonLines(first)).toHaveLength(1234)
    const values = jsonLines(first + second).map(({ value }) => value as number)
    expect(values.sort((a, b) => a - b)).toEqual(lines.map(Number))
    const described = JSON.parse(await output('groups', 'describe', 'readers', '--json'))
    expect(described).toMatchObject({ state: 'Empty', members: [] })
    for (const { lag } of described.offsets) expect(lag).toBe(0)
    await output('groups', 'reset', 'readers', '--topic', 'grouped', '--to', 'earliest')
    expect(jsonLines(await output('consume', 'grouped', '-g', 'readers', '--until', 'end', '--json'))).toHaveLength(
      3000,
    )
    expect(await output('groups', 'list')).toMatch(/readers +Empty +consumer/)
    await output('groups', 'delete', 'readers')
    expect(await output('groups', 'list', '--json')).not.toContain('readers')
  })

  it('with members are not reset or deleted, which is said in one line', async () => {
    await output('topics', 'create', 'busy', '--partitions', '1')
    await produced('busy', ['x'])
    const reader = new Running('consume', 'busy', '-g', 'busy.group', '--from', 'earliest')
    await reader.until(() => reader.stdout !== '')
    const said =
      'brooklet: group busy.group: NON_EMPTY_GROUP (it has 1 member: stop them first; one that died stays until its session has timed out)\n'
    const reset = ['groups', 'reset', 'busy.group', '--topic', 'busy', '--to', 'earliest']
    expect(await brooklet(...reset)).toMatchObject({ code: 1, stdout: '', stderr: said })
    expect(await brooklet('groups', 'delete', 'busy.group')).toMatchObject({ code: 1, stdout: '', stderr: said })
    reader.child.kill('SIGINT')
    await reader.ended
    expect(await output(...reset)).toBe('busy/0 -> 0\n')
  })

  it('are left at SIGINT', async () => {
    await output('topics', 'create', 'left', '--partitions', '3')
    await produced('left', ['x'])
    const reader = new Running('consume', 'left', '-g', 'leavers', '--from', 'earliest')
    await reader.until(() => reader.stdout !== '')
    reader.child.kill('SIGINT')
    await reader.ended
    expect({ code: reader.child.exitCode, stderr: reader.stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(await output('groups', 'describe', 'leavers', '--json'))).toMatchObject({
      state: 'Empty',
      members: [],
    })
  })
})

it('produce and consume go on over kill -9 of the gateway, and nothing is lost or doubled', async () => {
  await output('topics', 'create', 'killed', '--partitions', '1')
  const reader = new Running('consume', 'killed', '-g', 'survivors', '--from', 'earliest')
  const writer = new Running('produce', 'killed')
  const lines = Array.from({ length: 30 }, (_, index) => `line ${index} ${'x'.repeat(100)}`)
  for (const [index, line] of lines.entries()) {
    writer.child.stdin!.write(`${line}\n`)
    await new Promise(resolve => setTimeout(resolve, 20))
    if (index === 15) {
      // both are at work
      await reader.until(() => reader.stdout.includes('line 0 '))
      await gateway.kill()
      await gateway.restart()
    }
  }
  await writer.sendLines(['the end'])
  expect({ code: writer.child.exitCode, stderr: writer.stderr }).toEqual({ code: 0, stderr: '' })
  await reader.until(() => reader.stdout.includes('the end'))
  reader.child.kill('SIGINT')
  await reader.ended
  expect(reader.child.exitCode).toBe(0)
  const values = (text: string) =>
    text
      .split('\n')
      .filter(Boolean)
      .map(line => line.replace(/^\S+ \S+ - /, ''))
  expect(values(await output('consume', 'killed', '--until', 'end'))).toEqual([...lines, 'the end'])
  // a reader may see again what it could not commit, but in order
  expect([...new Set(values(reader.stdout))]).toEqual([...lines, 'the end'])
})

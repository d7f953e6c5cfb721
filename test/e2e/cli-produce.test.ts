import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { Gateway, runBrooklet } from '../support/gateway.ts'
import { shareSetup } from '../support/shared-setup.ts'

const mainFile = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

let gateway: Gateway
const setUp = async (): Promise<void> => {
  gateway = await Gateway.start({ keepsAddresses: true })
}
shareSetup(setUp, () => gateway?.dispose())

const onGateway = (...args: string[]) => runBrooklet([...args, '--bootstrap', gateway.addresses.kafka])

/** Starts `brooklet ARGS` with standard input and output to use, and collects what it prints. */
const start = (...args: string[]) => {
  const child = spawn(process.execPath, [mainFile, ...args, '--bootstrap', gateway.addresses.kafka])
  const printed = { stdout: '', stderr: '' }
  child.stdout.on('data', chunk => {
    printed.stdout += chunk
  })
  child.stderr.on('data', chunk => {
    printed.stderr += chunk
  })
  return { child, printed, exited: once(child, 'close').then(([code]) => code as number | null) }
}

/** Waits until the output has so many lines. */
const linesOf = async ({ child, printed }: ReturnType<typeof start>, count: number): Promise<string[]> => {
  while (printed.stdout.split('\n').length <= count) await once(child.stdout, 'data')
  return printed.stdout.trimEnd().split('\n')
}

it('loses and doubles no line while the gateway is killed twice', async () => {
  const keys = 7
  const total = 10_000
  const producing = start('produce', 'killed', '-K', ':')
  const { stdin } = producing.child
  const write = (from: number, until: number): void => {
    for (let index = from; index < until; index++) stdin.write(`key ${index % keys}:${index}\n`)
  }
  write(0, 3000)
  for (const stop of [6000, 9000]) {
    while ((await stored('killed')) === 0) await new Promise(resolve => setTimeout(resolve, 20))
    // the kill meets a request under way, or the pause before the next one
    write(stop - 3000, stop)
    await gateway.kill()
    await gateway.restart()
  }
  write(9000, total)
  stdin.end()
  expect([await producing.exited, producing.printed.stderr]).toEqual([0, ''])

  const { code, stdout } = await onGateway('consume', 'killed', '--from', 'earliest', '--until', 'end', '--json')
  expect(code).toBe(0)
  const records = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as { key: string; value: number })
  for (let key = 0; key < keys; key++) {
    const values = records.filter(record => record.key === `key ${key}`).map(({ value }) => value)
    const sent = Array.from({ length: total }, (_, index) => index).filter(index => index % keys === key)
    expect(values).toEqual(sent)
  }
  expect(records.length).toBe(total)
})

const stored = async (topic: string): Promise<number> => {
  const { stdout } = await onGateway('topics', 'list', '--json')
  const topics = JSON.parse(stdout) as { name: string; records: number }[]
  return topics.find(({ name }) => name === topic)?.records ?? 0
}

it('a group member that is interrupted has committed what it printed', async () => {
  await onGateway('topics', 'create', 'interrupted', '--partitions', '1')
  const first = start('consume', 'interrupted', '--group', 'readers', '--from', 'earliest')
  await onGateway('produce', 'interrupted', 'one')
  expect((await linesOf(first, 1))[0]).toMatch(/ 0\/0 - one$/)
  first.child.kill('SIGINT')
  expect([await first.exited, first.printed.stderr]).toEqual([0, ''])

  const described = JSON.parse((await onGateway('groups', 'describe', 'readers', '--json')).stdout)
  expect(described).toMatchObject({ state: 'Empty', members: [], offsets: [{ committed: 1, end: 1, lag: 0 }] })
  await onGateway('produce', 'interrupted', 'two')
  const { stdout } = await onGateway('consume', 'interrupted', '--group', 'readers', '--max', '1')
  expect(stdout).toMatch(/^\S+ 0\/1 - two\n$/)
})

it('a group begins where it began, also when its first member printed nothing', async () => {
  await onGateway('topics', 'create', 'quiet', '--partitions', '1')
  await onGateway('produce', 'quiet', 'before')
  const first = start('consume', 'quiet', '--group', 'quiet-readers')
  const committed = async () => {
    const { stdout } = await onGateway('groups', 'describe', 'quiet-readers', '--json')
    return stdout === '' ? undefined : JSON.parse(stdout).offsets[0]?.committed
  }
  while ((await committed()) !== 1) await new Promise(resolve => setTimeout(resolve, 50))
  first.child.kill('SIGINT')
  expect(await first.exited).toBe(0)
  await onGateway('produce', 'quiet', 'while nobody read')
  const { stdout } = await onGateway('consume', 'quiet', '--group', 'quiet-readers', '--max', '1')
  expect(stdout).toMatch(/ 0\/1 - while nobody read\n$/)
})

it('an offset beyond the end is the end', async () => {
  await onGateway('topics', 'create', 'short', '--partitions', '1')
  await onGateway('produce', 'short', 'zero')
  const reading = start('consume', 'short', '--from', '1000', '--group', 'far')
  const described = async () => (await onGateway('groups', 'describe', 'far', '--json')).stdout
  while (!(await described()).includes('"committed": 1')) await new Promise(resolve => setTimeout(resolve, 50))
  await onGateway('produce', 'short', 'one')
  expect((await linesOf(reading, 1))[0]).toMatch(/ 0\/1 - one$/)
  reading.child.kill('SIGINT')
  await reading.exited
})

it.each([
  [1, /^brooklet: topic nowhere: .*there is no such topic.*\n$/, ['consume', 'nowhere', '--until', 'end']],
  [1, /^brooklet: group nowhere: GROUP_ID_NOT_FOUND.*\n$/, ['groups', 'describe', 'nowhere']],
  [1, /^brooklet: delete group nowhere: GROUP_ID_NOT_FOUND.*\n$/, ['groups', 'delete', 'nowhere']],
  [1, /^brooklet: CreateTopics: .*longer than.*\n$/, ['topics', 'create', 'x'.repeat(40_000)]],
  [64, /^brooklet: .*nearest: earliest; see --help\n$/, ['consume', 'any', '--from', 'earlist']],
  [64, /^brooklet: .*nearest: zstd; see --help\n$/, ['produce', 'any', 'v', '-z', 'zst']],
  [64, /^brooklet: .*nearest: 1; see --help\n$/, ['topics', 'create', 'any', '--partitions', '0']],
  [64, /^brooklet: unknown command 'lst' \(Did you mean list\?\); see --help\n$/, ['topics', 'lst']],
  [64, /^brooklet: nothing to alter; .*\n$/, ['topics', 'alter', 'any']],
] as const)('exit %i and one line: %s', async (code, stderr, args) => {
  const ended = await onGateway(...args)
  expect([ended.code, ended.stdout]).toEqual([code, ''])
  expect(ended.stderr).toMatch(stderr)
})

it('says that nobody answers, and what to do', async () => {
  const ended = await runBrooklet(['topics', 'list', '--bootstrap', '127.0.0.1:1'])
  expect(ended.code).toBe(1)
  expect(ended.stderr).toMatch(/^brooklet: cannot connect to 127\.0\.0\.1:1: .*ECONNREFUSED.*--bootstrap.*\n$/)
})

it('lists and describes in JSON that can be read', async () => {
  await onGateway('topics', 'create', 'told', '--partitions', '2', '--config', 'retention.ms=3600000')
  const topic = JSON.parse((await onGateway('topics', 'describe', 'told', '--json')).stdout)
  expect(topic).toMatchObject({ name: 'told', partitions: [{ partition: 0 }, { partition: 1 }] })
  expect(topic.configs).toEqual([expect.objectContaining({ name: 'retention.ms', value: '3600000' })])
  await onGateway('groups', 'reset', 'teller', '--topic', 'told', '--to', '100')
  const groups = JSON.parse((await onGateway('groups', 'list', '--json')).stdout)
  expect(groups).toContainEqual(expect.objectContaining({ groupId: 'teller', state: 'Empty' }))
  const { offsets } = JSON.parse((await onGateway('groups', 'describe', 'teller', '--json')).stdout)
  expect(offsets.map(({ committed }: { committed: number }) => committed)).toEqual([0, 0])
})

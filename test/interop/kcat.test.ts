import { afterEach, beforeEach, expect } from 'vitest'
import { Gateway } from '../support/gateway.ts'
import { requireTool, runTool } from '../support/tools.ts'

const test = requireTool('kcat')

let gateway: Gateway
beforeEach(async () => {
  gateway = await Gateway.start()
})
afterEach(() => gateway.dispose())

const kcat = (args: readonly string[], input?: string) =>
  runTool('kcat', ['-b', gateway.addresses.kafka, ...args], input === undefined ? {} : { input })

test('kcat lists the gateway as the one broker', async () => {
  const { stdout } = await kcat(['-L', '-J'])
  const metadata = JSON.parse(stdout)
  expect(metadata.brokers).toMatchObject([{ name: gateway.addresses.kafka }])
  expect(metadata.topics).toEqual([])
})

test('kcat reads back what kcat wrote, with keys and headers, also after kill -9', async () => {
  const lines = Array.from({ length: 200 }, (_, index) => `k${index % 7}:v${index}`)
  await kcat(['-P', '-t', 'lines', '-K', ':', '-H', 'origin=kcat', '-X', 'acks=all'], `${lines.join('\n')}\n`)
  const read = async () => {
    const { stdout } = await kcat(['-C', '-t', 'lines', '-o', 'beginning', '-e', '-q', '-f', '%p %o %k:%s %h\n'])
    return stdout.trimEnd().split('\n')
  }
  const before = await read()
  const records = before.map(line => line.split(' '))
  expect(records.map(([, , record]) => record).sort()).toEqual([...lines].sort())
  expect(new Set(records.map(([, , , headers]) => headers))).toEqual(new Set(['origin=kcat']))
  for (const partition of new Set(records.map(([id]) => id))) {
    const offsets = records.filter(([id]) => id === partition).map(([, offset]) => Number(offset))
    expect(offsets).toEqual(offsets.map((_, index) => index))
  }
  await gateway.kill()
  await gateway.restart()
  expect((await read()).sort()).toEqual(before.sort())
})

test('kcat finds offsets by time and is told of a topic that it may not create', async () => {
  await kcat(['-P', '-t', 'times', '-p', '0'], 'one\n')
  const { stdout } = await kcat(['-Q', '-t', 'times:0:0'])
  expect(stdout).toContain('times [0] offset 0')
  await expect(kcat(['-P', '-t', 'not a name'], 'x\n')).rejects.toThrow(/[Ii]nvalid topic/)
})

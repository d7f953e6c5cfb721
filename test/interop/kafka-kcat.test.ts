import { expect } from 'vitest'
import { flipBitsAt } from '../support/damage.ts'
import { Gateway } from '../support/gateway.ts'
import { shareSetup } from '../support/shared-setup.ts'
import { requireTool, runTool, startTool } from '../support/tools.ts'

const test = requireTool('kcat')

let gateway: Gateway
const setUp = async (): Promise<void> => {
  gateway = await Gateway.start({
    settings: {
      'group.initial.rebalance.delay.ms': '200',
      'kafka.listen': 'plaintext://0.0.0.0:0',
      'insecure.listeners': 'true',
    },
  })
}
shareSetup(setUp, () => gateway?.dispose())

const port = (): string => gateway.addresses.kafka.split(':').at(-1)!
const kcat = async (args: readonly string[], input?: string): Promise<string[]> => {
  const options = input === undefined ? {} : { input }
  const { stdout } = await runTool('kcat', ['-b', `127.0.0.1:${port()}`, ...args], options)
  return stdout.split('\n').filter(line => line !== '')
}

const lines = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

test('kcat is told the address that it connected to, behind a wildcard listener', async () => {
  const metadata = JSON.parse((await kcat(['-L', '-J'])).join('\n'))
  expect(metadata.brokers).toEqual([{ id: 1, name: `127.0.0.1:${port()}` }])
  expect(metadata.controllerid).toBe(1)
})

for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
  test(`kcat reads what it wrote with compression ${codec}`, async () => {
    const written = lines(codec, 2000)
    await kcat(['-P', '-t', `z-${codec}`, '-z', codec], `${written.join('\n')}\n`)
    const read = await kcat(['-C', '-t', `z-${codec}`, '-o', 'beginning', '-e', '-q'])
    expect(read.sort()).toEqual(written.sort())
    // by time the batch is unpacked by the gateway
    const [found] = await kcat(['-C', '-t', `z-${codec}`, '-o', 's@1', '-e', '-q', '-c', '1', '-f', '%o\n'])
    expect(found).toBe('0')
  })
}

test('kcat consumes from offsets and times', async () => {
  for (const line of lines('at', 5)) {
    await kcat(['-P', '-t', 'places', '-p', '0'], `${line}\n`)
  }
  const consume = (from: string) => kcat(['-C', '-t', 'places', '-p', '0', '-o', from, '-e', '-q', '-f', '%o:%T\n'])
  const all = await consume('beginning')
  expect(all.map(line => line.split(':')[0])).toEqual(['0', '1', '2', '3', '4'])
  expect(await consume('3')).toEqual(all.slice(3))
  expect(await consume('-2')).toEqual(all.slice(3))
  const third = all[2]!.split(':')[1]!
  const [byTime] = await kcat(['-Q', '-t', `places:0:${third}`])
  expect(byTime).toBe('places [0] offset 2')
  expect(await kcat(['-Q', '-t', 'places:0:-1'])).toEqual(['places [0] offset 5'])
  expect(await kcat(['-Q', '-t', 'places:0:-2'])).toEqual(['places [0] offset 0'])
  expect(await kcat(['-C', '-t', 'places', '-p', '0', '-o', `s@${third}`, '-e', '-q', '-f', '%o\n'])).toEqual([
    '2',
    '3',
    '4',
  ])
})

test('kcat members of a group share the partitions and go on where the group was', async () => {
  const group = (count: number) => [
    '-u',
    '-G',
    'crew',
    '-X',
    'auto.offset.reset=earliest',
    '-c',
    String(count),
    '-q',
    '-f',
    '%p/%o %s\n',
    'shared',
  ]
  await kcat(['-P', '-t', 'shared', '-X', 'topic.partitioner=random'], `${lines('first', 400).join('\n')}\n`)
  const members = [1, 2].map(() => startTool('kcat', ['-b', `127.0.0.1:${port()}`, ...group(100_000)]))
  const seen = () => members.flatMap(member => member.lines())
  await expect.poll(() => new Set(seen()).size).toBeGreaterThanOrEqual(400)
  await Promise.all(members.map(member => member.stop()))
  expect(new Set(seen().map(line => line.split(' ')[1]))).toEqual(new Set(lines('first', 400)))
  await kcat(['-P', '-t', 'shared'], `${lines('second', 50).join('\n')}\n`)
  const later = await kcat(group(50))
  expect(new Set(later.map(line => line.split(' ')[1]))).toEqual(new Set(lines('second', 50)))
})

test('kcat writes idempotently', async () => {
  const written = lines('exact', 300)
  await kcat(['-P', '-t', 'exact', '-X', 'enable.idempotence=true'], `${written.join('\n')}\n`)
  expect((await kcat(['-C', '-t', 'exact', '-e', '-q'])).sort()).toEqual(written.sort())
})

test('kcat goes past records that are damaged on the device, in the middle and at the end', async () => {
  const written = lines('record', 30)
  // one batch each
  for (const line of written) await kcat(['-P', '-t', 'damaged', '-p', '0', '-X', 'linger.ms=0'], `${line}.\n`)
  await gateway.stop()
  for (const lost of ['record-7.', 'record-29.']) expect(await flipBitsAt(gateway.dataDirectory, lost)).toBe(1)
  await gateway.restart()
  const read = await kcat(['-C', '-t', 'damaged', '-o', 'beginning', '-e', '-q'])
  expect(read).toEqual(written.map(line => `${line}.`).filter(line => line !== 'record-7.' && line !== 'record-29.'))
  await kcat(['-P', '-t', 'damaged', '-p', '0'], 'next\n')
  expect(await kcat(['-C', '-t', 'damaged', '-p', '0', '-o', '29', '-e', '-q', '-f', '%o %s\n'])).toEqual(['30 next'])
})

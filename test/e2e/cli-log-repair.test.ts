import { spawn, spawnSync } from 'node:child_process'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { frameHeaderBytes } from '../../src/storage/frame.ts'
import { groupHeaderBytes, readGroupHeader } from '../../src/storage/group.ts'
import { decodeSlotHeader } from '../../src/storage/slot.ts'
import { Gateway, runBrooklet } from '../support/gateway.ts'

/** `brooklet log repair` on directories of a gateway that ran, was stopped, and found its card damaged. */

const count = 40
let gateway: Gateway

const kafka = (): Kafka => new Kafka({ brokers: [gateway.addresses.kafka], logLevel: logLevel.NOTHING })

beforeEach(async () => {
  gateway = await Gateway.start({ settings: { 'num.partitions': '1' } })
  const producer = kafka().producer()
  await producer.connect()
  for (let index = 0; index < count; index++) {
    await producer.send({ topic: 'readings', messages: [{ value: `${index}`.padEnd(300, '.') }] })
  }
  await producer.disconnect()
})
afterEach(() => gateway.dispose())

const log = (command: string, ...args: string[]) => runBrooklet(['log', command, gateway.dataDirectory, ...args])

const lines = (text: string): string[] => text.split('\n').filter(line => line !== '')

const filesOf = async (directory: string): Promise<Map<string, string>> => {
  const files = new Map<string, string>()
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile()) files.set(path, (await readFile(path)).toString('base64'))
  }
  return files
}

/** Changes the file of the newest segment. */
const change = async (edit: (bytes: Buffer, groups: readonly number[]) => void): Promise<void> => {
  for (const name of await readdir(join(gateway.dataDirectory, 'log'))) {
    const path = join(gateway.dataDirectory, 'log', name)
    const bytes = await readFile(path)
    if (decodeSlotHeader(bytes)?.kind !== 'hot') continue
    const groups: number[] = []
    for (let at = 4096; at < bytes.length; at += 64) if (readGroupHeader(bytes, at) !== undefined) groups.push(at)
    edit(bytes, groups)
    await writeFile(path, bytes)
    return
  }
}

/** A record of the topic is damaged, with groups behind it. */
const damageRecord = (): Promise<void> =>
  change((bytes, groups) => {
    bytes[groups.at(-10)! + groupHeaderBytes + frameHeaderBytes + 150]! ^= 1
  })

/** Values from the beginning of the topic to its end, as a consumer gets them. */
const consumed = async (): Promise<number[]> => {
  const admin = kafka().admin()
  await admin.connect()
  const high = Number((await admin.fetchTopicOffsets('readings'))[0]!.high)
  await admin.disconnect()
  const consumer = kafka().consumer({ groupId: 'after', maxWaitTimeInMs: 50 })
  await consumer.connect()
  await consumer.subscribe({ topic: 'readings', fromBeginning: true })
  const values: number[] = []
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: async ({ message }) => {
          values.push(Number.parseInt(message.value!.toString(), 10))
          if (Number(message.offset) === high - 1) resolve()
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  return values
}

it('refuses while the gateway runs, and where it cannot ask', async () => {
  const running = await log('repair', '--yes')
  expect([running.code, running.stdout]).toEqual([65, ''])
  expect(running.stderr).toMatch(/^brooklet: .* is in use: stop the gateway first.*\n$/)
  await gateway.stop()
  const blind = await log('repair')
  expect([blind.code, blind.stdout]).toEqual([64, ''])
  expect(blind.stderr).toMatch(/^brooklet: there is no terminal to ask at: --yes .*\n$/)
  const elsewhere = await runBrooklet(['log', 'repair', '/proc', '--yes'])
  expect([elsewhere.code, lines(elsewhere.stderr).length]).toEqual([65, 1])
  const whole = await log('repair', '--yes')
  expect([whole.code, lines(whole.stdout).at(-1)]).toEqual([0, 'nothing to repair'])
})

it('says what it would do and changes nothing; then does it, once', async () => {
  await gateway.stop()
  await damageRecord()
  const before = await filesOf(gateway.dataDirectory)
  const dry = await log('repair', '--dry-run')
  expect(dry.code).toBe(1)
  expect(dry.stdout).toMatch(/^ {2}record 1 lost record as gaps/m)
  expect(lines(dry.stdout).at(-1)).toBe('nothing was changed')
  expect(await filesOf(gateway.dataDirectory)).toEqual(before)

  const done = await log('repair', '--yes')
  expect([done.code, done.stderr]).toEqual([0, ''])
  expect(done.stdout).toMatch(/^lost: readings\/0 offset \d+; a gap record names it$/m)
  expect(lines(done.stdout).at(-1)).toBe('DAMAGED: 1 range, 1 record lost, all named by gap records')

  const again = await log('repair', '--yes')
  expect([again.code, lines(again.stdout).at(-1)]).toEqual([0, 'nothing to repair'])

  await gateway.restart()
  const gaps = JSON.parse((await runBrooklet(['audit', '--gaps', '--json', '--http', gateway.addresses.http])).stdout)
  expect(gaps).toMatchObject([{ topic: 'readings', partition: 0, reason: 'damage' }])
  const lost = gaps[0].firstOffset
  expect(await consumed()).toEqual(Array.from({ length: count }, (_, index) => index).filter(index => index !== lost))
})

it('makes a lost meta and a damaged slot header again; the gateway starts with all it had', async () => {
  await gateway.stop()
  await rm(join(gateway.dataDirectory, 'meta'))
  const refused = await runBrooklet([
    'serve',
    '--data-dir',
    gateway.dataDirectory,
    '--mqtt-listen',
    '',
    '--kafka-listen',
    'plaintext://127.0.0.1:0',
    '--http-listen',
    '127.0.0.1:0',
  ])
  expect(refused.code).toBe(65)
  expect(refused.stderr).toContain('brooklet log repair')
  const made = await log('repair', '--yes')
  expect(made.code).toBe(0)
  expect(made.stdout).toMatch(
    /^ {2}make meta again from the slots: log [0-9a-f]{32}, slots of 4 MiB, 1 start up to log epoch 0$/m,
  )
  expect(lines(made.stdout).at(-1)).toBe('sound')
  await change(bytes => {
    bytes[40]! ^= 8
  })
  const header = await log('repair', '--yes')
  expect(header.code).toBe(0)
  expect(header.stdout).toMatch(/^ {2}keep a copy of 4 KiB that it writes over in .*quarantine$/m)
  expect(await readdir(join(gateway.dataDirectory, 'quarantine'))).toHaveLength(1)
  expect(header.stdout).toMatch(/^ {2}make the header of slot \d+ again/m)
  expect(lines(header.stdout).at(-1)).toBe('sound')
  await gateway.restart()
  expect(await consumed()).toEqual(Array.from({ length: count }, (_, index) => index))
})

/** Answers a question on a terminal of its own. */
const onTerminal = (answer: string): Promise<{ code: number | null; text: string }> =>
  new Promise(resolve => {
    const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
    const command = `${process.execPath} ${main} log repair ${gateway.dataDirectory}`
    const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
    let text = ''
    let asked = false
    child.stdout.setEncoding('utf8').on('data', chunk => {
      text += chunk
      if (asked || !text.includes('[y/N]')) return
      asked = true
      child.stdin.write(`${answer}\n`)
    })
    child.on('close', code => resolve({ code, text }))
  })

const hasTerminals = spawnSync('script', ['--version']).status === 0

it.skipIf(!hasTerminals)('asks at a terminal, and takes only yes for yes (needs script(1))', async () => {
  await gateway.stop()
  await damageRecord()
  const before = await filesOf(gateway.dataDirectory)
  const no = await onTerminal('')
  expect([no.code, no.text.includes('nothing was changed')]).toEqual([1, true])
  expect(await filesOf(gateway.dataDirectory)).toEqual(before)
  const yes = await onTerminal('y')
  expect([yes.code, yes.text.includes('all named by gap records')]).toEqual([0, true])
})

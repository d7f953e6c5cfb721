import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Gateway, runBrooklet } from '../support/gateway.ts'

const settings = `
num.partitions: 8
routes:
  - mqtt: sensors/{site}/{device}/{metric}
    topic: sensors
    key: "{device}"
    headers: { site: "{site}" }
  - mqtt: debug/#
    store: false
  - { mqtt: spread/#, topic: spread, key: null }
`
let directory: string
let config: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'brooklet-routes-'))
  config = join(directory, 'brooklet.yaml')
  await writeFile(config, settings)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const routesTest = (...args: string[]) => runBrooklet(['routes', 'test', ...args])
const explained = async (...args: string[]): Promise<unknown> =>
  JSON.parse((await routesTest(...args, '--json')).stdout)

test('a configured route is explained in small readable lines', async () => {
  const { code, stdout, stderr } = await routesTest('sensors/hall/d7/temperature', '--config', config)
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout.split('\n')).toEqual([
    'MQTT topic  sensors/hall/d7/temperature',
    'rule        sensors/{site}/{device}/{metric}',
    'topic       sensors',
    expect.stringMatching(/^partition {3}[0-7] of 8$/),
    'key         d7',
    'header      site: hall',
    'header      mqtt.topic: sensors/hall/d7/temperature',
    '',
  ])
})

test('routes that store nothing, spread, or are the default say so', async () => {
  expect((await routesTest('debug/x', '--config', config)).stdout).toMatch(/^stored {6}no$/m)
  expect((await routesTest('spread/x', '--config', config)).stdout).toMatch(/^partition {3}any of 8, batch by batch$/m)
  expect(await explained('other/x', '--config', config, '--set', 'num.partitions=1')).toMatchObject({
    rule: 'default route',
    topic: 'other',
    key: 'other/x',
    partition: 0,
    partitions: 1,
    headers: {},
  })
  expect(await explained('halle süd/x', '--config', config)).toMatchObject({
    topic: 'halle_s_d',
    notes: [expect.stringContaining('forbids'), expect.anything()],
  })
  expect(await explained('a/#', '--config', config)).toMatchObject({ rule: 'refused', stored: false })
})

test('the settings and a gateway that runs on them agree, and records are where both say', async () => {
  const gateway = await Gateway.start({ settings: { 'num.partitions': '8' } })
  try {
    const client = await connectAsync(gateway.mqttUrl)
    await client.publishAsync('plant/line/3', 'x', { qos: 1 })
    await client.endAsync()
    const running = await explained('plant/line/3', '--http', gateway.addresses.http)
    const offline = (await explained('plant/line/3', '--set', 'num.partitions=8')) as { partition: number }
    expect(running).toMatchObject({
      topic: 'plant',
      topicExists: true,
      key: 'plant/line/3',
      partition: offline.partition,
    })
    const consume = ['consume', 'plant', '-b', gateway.addresses.kafka, '--until', 'end', '--json']
    const record = JSON.parse((await runBrooklet(consume)).stdout)
    expect(record).toMatchObject({ partition: offline.partition, key: 'plant/line/3', value: 'x' })
  } finally {
    await gateway.dispose()
  }
})

test('bad settings end with 64, a gateway that is not there with 1, each in one line', async () => {
  const settingsFault = await routesTest('a/b', '--set', 'num.partitions=none')
  expect(settingsFault.code).toBe(64)
  const nobody = await routesTest('a/b', '--http', '127.0.0.1:9')
  expect([nobody.code, nobody.stdout, nobody.stderr.split('\n').length]).toEqual([1, '', 2])
})

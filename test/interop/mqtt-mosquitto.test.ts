import { execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, expect } from 'vitest'
import { headersOf, MqttServer } from '../support/mqtt-server.ts'
import { requireTool } from '../support/tools.ts'

const run = promisify(execFile)
const test = requireTool('mosquitto_pub', 'mosquitto_sub')
let server: MqttServer

afterEach(() => server.stop())

const publish = (...args: string[]): Promise<unknown> =>
  run('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(server.port), ...args])

for (const version of ['mqttv31', 'mqttv311', 'mqttv5']) {
  for (const qos of ['0', '1', '2']) {
    test(`mosquitto_pub with ${version} and QoS ${qos} is stored once`, async () => {
      server = await MqttServer.start()
      await publish('-V', version, '-q', qos, '-i', 'mp', '-t', 'sensors/a', '-m', 'hello')
      await expect.poll(async () => (await server.records('sensors')).length).toBe(1)
      const [record] = await server.records('sensors')
      expect(record!.value!.toString()).toBe('hello')
      expect(headersOf(record!)['mqtt.client']).toBe('mp')
    })
  }
}

test('mosquitto_pub sends a file of lines, all of them stored in order', async () => {
  server = await MqttServer.start()
  const lines = Array.from({ length: 2000 }, (_, index) => String(index))
  const child = spawn('mosquitto_pub', ['-p', String(server.port), '-q', '1', '-t', 'lines/x', '-l'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  child.stdin.end(`${lines.join('\n')}\n`)
  const code = await new Promise(resolve => child.once('exit', resolve))
  expect(code).toBe(0)
  expect((await server.records('lines')).map(({ value }) => value!.toString())).toEqual(lines)
})

test('mosquitto_sub gets live and retained publishes, with MQTT 5 properties', async () => {
  server = await MqttServer.start()
  await publish(
    '-V',
    'mqttv5',
    '-r',
    '-q',
    '1',
    '-t',
    'a/kept',
    '-m',
    'kept',
    '-D',
    'PUBLISH',
    'content-type',
    'text/x',
  )
  const subscriber = run('mosquitto_sub', [
    ...['-p', String(server.port), '-V', 'mqttv5', '-q', '1', '-t', 'a/#', '-C', '2', '-W', '60'],
    ...['-F', '%t %r %C %p'],
  ])
  await expect.poll(() => server.metrics.count('mqttReceived')).toBe(1)
  // published again and again until the subscriber has had both
  let running = true
  const publishing = (async () => {
    while (running) {
      await publish('-V', 'mqttv5', '-q', '2', '-t', 'a/live', '-m', 'live', '-D', 'PUBLISH', 'content-type', 'text/y')
    }
  })()
  const { stdout } = await subscriber
  running = false
  await publishing
  expect(stdout.trim().split('\n').sort()).toEqual(['a/kept 1 text/x kept', 'a/live 0 text/y live'])
})

test('mosquitto_sub reads the topics of dashboards under $SYS', async () => {
  server = await MqttServer.start({ settings: { 'mqtt.sys.interval': 1000 } })
  await publish('-q', '1', '-t', 'a/b', '-m', 'hello')
  const { stdout } = await run('mosquitto_sub', [
    ...['-p', String(server.port), '-t', '$SYS/broker/#', '-C', '60', '-W', '60', '-v'],
  ])
  expect(stdout).toContain('$SYS/broker/version brooklet version ')
  expect(stdout).toContain('$SYS/broker/clients/connected 1\n')
  expect(stdout).toContain('$SYS/broker/publish/messages/received 1\n')
  // more than there are topics: some came again
  expect(stdout).toMatch(/load\/connections\/1min \d+\.\d\d\n/)
})

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Kafka, logLevel } from 'kafkajs'
import { connectAsync, type MqttClient } from 'mqtt'
import { expect, it } from 'vitest'
import { Gateway, runBrooklet } from '../support/gateway.ts'

it('shows topics and groups once where there is no terminal', async () => {
  const gateway = await Gateway.start()
  try {
    const { kafka, http } = gateway.addresses
    await runBrooklet(['produce', 'seen', 'a value', '--bootstrap', kafka])
    await runBrooklet(['groups', 'reset', 'readers', '--topic', 'seen', '--to', 'earliest', '--bootstrap', kafka])
    const { code, stdout, stderr } = await runBrooklet(['top', '--http', http])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^in 0\/s {2}MQTT clients 0 {2}memory .* {2}disk .* of 256 MiB$/m)
    expect(stdout).toMatch(/^TOPIC +PARTITIONS +IN\/S +RECORDS +SIZE\nseen +4 +0 +1 +\S+ \S+$/m)
    expect(stdout).toMatch(/^GROUP +STATE +MEMBERS +LAG +UNCOMMITTED\nreaders +Empty +0 +1 +0$/m)
    // the Kafka listener closes what is not Kafka
    const wrong = await runBrooklet(['top', '--http', kafka])
    expect(wrong).toMatchObject({ code: 1, stdout: '' })
    expect(wrong.stderr).toMatch(/^brooklet: no gateway answers at http:\/\/.*: .+; name its HTTP listener.*\n$/)
  } finally {
    await gateway.dispose()
  }
})

it('counts partitions apart of which a group has committed nothing', async () => {
  const gateway = await Gateway.start()
  const { kafka, http } = gateway.addresses
  const consumer = new Kafka({ brokers: [kafka], logLevel: logLevel.NOTHING }).consumer({ groupId: 'silent' })
  try {
    await runBrooklet(['topics', 'create', 'seen', '--partitions', '3', '--bootstrap', kafka])
    await consumer.connect()
    await consumer.subscribe({ topic: 'seen' })
    const joined = new Promise(resolve => consumer.on('consumer.group_join', resolve))
    await consumer.run({ autoCommit: false, eachMessage: async () => undefined })
    await joined
    expect((await runBrooklet(['top', '--http', http])).stdout).toMatch(/^silent +Stable +1 +- +3$/m)
    await consumer.commitOffsets([{ topic: 'seen', partition: 1, offset: '0' }])
    expect((await runBrooklet(['top', '--http', http])).stdout).toMatch(/^silent +Stable +1 +0 +2$/m)
  } finally {
    await consumer.disconnect()
    await gateway.dispose()
  }
})

it('says that another server is no gateway', async () => {
  const server = createServer((_, response) => response.end('<html>')).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const { code, stderr } = await runBrooklet(['top', '--http', `127.0.0.1:${port}`])
  server.close()
  expect(code).toBe(1)
  expect(stderr).toMatch(/^brooklet: what answers at http:\/\/127\.0\.0\.1:\d+ is no gateway; .*\n$/)
})

it('lists the devices that are connected', async () => {
  const gateway = await Gateway.start()
  const devices: MqttClient[] = []
  try {
    const { http } = gateway.addresses
    expect((await runBrooklet(['devices', '--http', http])).stdout).toMatch(/^CLIENT +ADDRESS .*\n$/)
    devices.push(await connectAsync(gateway.mqttUrl, { clientId: 'pump-3', protocolVersion: 5 }))
    devices.push(await connectAsync(gateway.mqttUrl, { clientId: 'env-1', protocolVersion: 4 }))
    await devices[0]!.subscribeAsync('commands/#')
    const { stdout } = await runBrooklet(['devices', '--http', http])
    expect(stdout).toMatch(/\nenv-1 +127\.0\.0\.1:\d+ +3\.1\.1 +\d+s +0\npump-3 +127\.0\.0\.1:\d+ +5\.0 +\d+s +1\n$/)
    expect(JSON.parse((await runBrooklet(['devices', '--json', '--http', http])).stdout)).toMatchObject([
      { clientId: 'env-1', protocolVersion: 4, subscriptions: 0 },
      { clientId: 'pump-3', protocolVersion: 5, subscriptions: 1 },
    ])
  } finally {
    for (const device of devices) await device.endAsync()
    await gateway.dispose()
  }
})
